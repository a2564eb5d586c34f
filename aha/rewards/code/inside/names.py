"""Which names of the tests stand for the program's functions, and which are the tests' own.

A program may define any name. If it could put its own `abs`, `isclose` or `Counter` into a test
that compares with them, it would decide the comparison. So:

- Python's own names and names that the tests define or import are never the program's;
- a name that judges supply (`gcd`, `Counter`, `add`) is the program's only where no statement of
  the tests uses it together with the program's functions;
- where the tests use no other name at all, they are about a function with such a name.
"""

import ast
import builtins
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wanted:
    """Names to take from the program."""

    needed: set[str]
    if_defined: set[str]
    """Names that judges supply: the program's own where it defines them."""


def wanted_names(
    sources: Sequence[str], *, supplied: Container[str], given: set[str], entry_point: str = ""
) -> Wanted:
    """`supplied`: names that judges supply; `given`: names of the task's own code."""
    trees = [ast.parse(source) for source in sources]
    stored = {name for tree in trees for name in _stored(tree)} | given - {entry_point}
    loaded = {name for tree in trees for name in _loaded(tree)} - stored
    loaded = {name for name in loaded if not name.startswith("__")}
    foreign = {n for n in loaded if n not in supplied and not hasattr(builtins, n)}
    foreign |= {entry_point} if entry_point else set()
    if not foreign:
        return Wanted(loaded, set())
    oracles = set()
    for tree in trees:
        for part in _parts(tree):
            names = set(_loaded(part))
            if names & foreign:
                oracles |= names
    return Wanted(foreign, {name for name in loaded if name in supplied} - oracles)


def _parts(tree: ast.AST) -> Iterator[ast.AST]:
    """Simple statements, and the heads of compound ones."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt):
            continue
        if not hasattr(node, "body"):
            yield node
            continue
        for name, value in ast.iter_fields(node):
            if name not in ("body", "orelse", "finalbody", "handlers", "decorator_list"):
                yield from (v for v in _listed(value) if isinstance(v, ast.AST))


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _loaded(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id


def _stored(tree: ast.AST) -> Iterator[str]:
    """Names that the tests bind anywhere: a parameter hides a name for its whole function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name
        elif isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
