"""Finds the tests of a test module: `check`, functions `test_*`, classes, unittest cases."""

import dis
import types
import unittest
from collections.abc import Callable
from typing import Any

from aha.rewards.code.inside import pytest_shim

Tests = list[tuple[str, Callable[[], Any]]]


def run_module(
    code: types.CodeType,
    names: dict[str, Any],
    outcome: list[BaseException],
    entry_point: str,
) -> Tests:
    """Execute a test module and return its tests; what it raises goes into `outcome`.

    A `check(candidate)` that nobody calls is called with the entry point, as HumanEval does.
    """
    before = set(names)
    unittest.main = lambda *_, **__: None  # type: ignore[assignment]
    try:
        exec(code, names)
    except BaseException as error:
        outcome.append(error)
        return []
    defined = {name: value for name, value in names.items() if name not in before}
    tests = _functions(defined, names) + _classes(defined, names)
    check = defined.get("check")
    is_waiting = not tests and entry_point and not _is_loaded(code, "check")
    if is_waiting and isinstance(check, types.FunctionType):
        tests.append(("check", lambda: check(_entry(names, entry_point))))
    return tests


def _entry(names: dict[str, Any], entry_point: str) -> Any:
    if entry_point not in names:
        raise NameError(f"the program does not define {entry_point!r}")
    return names[entry_point]


def _is_loaded(code: types.CodeType, name: str) -> bool:
    """Whether module code uses a name: a definition alone only stores it."""
    return any(
        i.opname in ("LOAD_NAME", "LOAD_GLOBAL") and i.argval == name
        for i in dis.get_instructions(code)
    )


def _functions(defined: dict[str, Any], names: dict[str, Any]) -> Tests:
    tests: Tests = []
    for name, value in defined.items():
        if name.startswith("test") and isinstance(value, types.FunctionType):
            tests += pytest_shim.cases(name, value, names)
    return tests


def _classes(defined: dict[str, Any], names: dict[str, Any]) -> Tests:
    tests: Tests = []
    for name, value in defined.items():
        if not isinstance(value, type):
            continue
        if issubclass(value, unittest.TestCase):
            for method in unittest.defaultTestLoader.getTestCaseNames(value):
                tests.append((f"{name}.{method}", value(method).debug))
        elif name.startswith("Test"):
            tests += _plain_class(name, value, names)
    return tests


def _plain_class(name: str, cls: type, names: dict[str, Any]) -> Tests:
    tests: Tests = []
    for method in vars(cls):
        if method.startswith("test"):
            instance = cls()
            setup = getattr(instance, "setup_method", None) or getattr(instance, "setUp", None)
            bound = getattr(instance, method)
            tests += pytest_shim.cases(f"{name}.{method}", bound, names, before=setup)
    return tests
