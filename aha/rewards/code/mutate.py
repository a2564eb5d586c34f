"""Programs and inputs with one small change: wrong programs, to measure tests; new inputs."""

import ast
import random
import re
from collections.abc import Iterator

_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.UAdd: ast.USub,
    ast.USub: ast.UAdd,
}
MOST_MUTANTS = 200
_NUMBER = re.compile(r"-?\d+")


def mutate_operators(source: str) -> list[str]:
    """Every program that differs from a Python program in one operator, in source order.

    An operator becomes its opposite (`<` and `>=`, `+` and `-`, `and` and `or`). Operators in
    annotations and in `if __name__ == "__main__"` change nothing and are left alone. Empty for
    text that is not Python.
    """
    tree = ast.parse(source)
    sites = list(_sites(tree))[:MOST_MUTANTS]
    mutants = []
    for owner, field, index in sites:
        old = getattr(owner, field)
        operator = old if index is None else old[index]
        new = _SWAPS[type(operator)]()
        _put(owner, field, index, new)
        mutants.append(ast.unparse(tree))
        _put(owner, field, index, operator)
    return mutants


def _put(owner: ast.AST, field: str, index: int | None, operator: ast.AST) -> None:
    if index is None:
        setattr(owner, field, operator)
    else:
        getattr(owner, field)[index] = operator


def _sites(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None]]:
    if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
        return
    if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant):
        return  # the sign of a literal
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp | ast.UnaryOp):
        if type(node.op) in _SWAPS:
            yield node, "op", None
    elif isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            if type(operator) in _SWAPS:
                yield node, "ops", index
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _sites(child)


def mutate_input(text: str, rng: random.Random) -> str:
    """An input near a given one: a number nudged or set to an edge, or two words exchanged.

    The result may break the problem's rules: `generate.filter_tests` drops what right programs
    disagree on, and a validator what they should not see.
    """
    numbers = list(_NUMBER.finditer(text))
    words = text.split(" ")
    if numbers and (rng.random() < 0.8 or len(words) < 2):
        place = rng.choice(numbers)
        old = int(place.group()[:18])
        new = rng.choice([old + 1, old - 1, old * 2, 0, 1, rng.randint(0, max(1, abs(old)))])
        return f"{text[: place.start()]}{new}{text[place.end() :]}"
    if len(words) < 2:
        return text + text
    first, second = rng.sample(range(len(words)), 2)
    words[first], words[second] = words[second], words[first]
    return " ".join(words)
