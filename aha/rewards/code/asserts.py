"""Asserts that are plain function calls: `assert f(1, k=[2]) == (3, 4)`.

Most tests of data sets are. They need no process of their own: the program's process gets the
arguments, the host keeps the expected value and compares, and nothing of the test is in sight.
"""

import ast
import builtins
import marshal
from collections.abc import Sequence
from typing import Any

from aha.rewards.code.cases import Call, CodeTests
from aha.rewards.code.extract import parse
from aha.rewards.sandbox.inside.prelude import SUPPLIED


def as_calls(tests: CodeTests) -> CodeTests | None:
    """The same tests as calls of one function, or None where they say more than that."""
    if not tests.asserts or tests.setup or tests.prelude:
        return None
    found = [_as_call(source) for source in tests.asserts]
    names = {name for name, _ in filter(None, found)}
    if None in found or len(names) != 1:
        return None
    name = names.pop()
    if hasattr(builtins, name) or name in SUPPLIED:
        return None  # `code/inside/names.py` decides whose it is
    calls = tuple(call for _, call in filter(None, found))
    return CodeTests(calls=calls, function=name, files=tests.files)


def _as_call(source: str) -> tuple[str, Call] | None:
    tree = parse(source)
    if tree is None or len(tree.body) != 1 or not isinstance(tree.body[0], ast.Assert):
        return None
    test = tree.body[0].test
    if (
        not isinstance(test, ast.Compare)
        or len(test.ops) != 1
        or not isinstance(test.ops[0], ast.Eq)
    ):
        return None
    call = test.left
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        return None
    try:
        args = _literals(call.args)
        kwargs = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords if word.arg}
        expected = ast.literal_eval(test.comparators[0])
        marshal.dumps((args, kwargs))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    if len(kwargs) != len(call.keywords):
        return None  # `**options`
    return call.func.id, Call(args, kwargs, expected, is_exact=True)


def _literals(nodes: Sequence[ast.expr]) -> tuple[Any, ...]:
    return tuple(ast.literal_eval(node) for node in nodes)
