"""The part of pytest that test files of data sets use: raises, approx, parametrize, fixtures.

Importing the real one takes longer than most test runs, and it need not be installed.
"""

import contextlib
import inspect
import io
import itertools
import math
import pathlib
import re
import sys
import tempfile
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any


class Skipped(BaseException):
    """A test that asked to be skipped: neither for nor against the program."""


class _Raises:
    """Context manager of `pytest.raises`."""

    def __init__(self, expected: Any, match: str | None = None):
        self.expected = expected
        self.match = match
        self.value: BaseException | None = None

    def __enter__(self) -> "_Raises":
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if error is None:
            raise AssertionError(f"did not raise {self.expected}")
        if not isinstance(error, self.expected):
            return False
        if self.match is not None and not re.search(self.match, str(error)):
            raise AssertionError(f"{self.match!r} is not in {str(error)!r}")
        self.value, self.type = error, type(error)
        return True


def raises(expected: Any, *args: Any, match: str | None = None, **kwargs: Any) -> Any:
    context = _Raises(expected, match)
    if not args:
        return context
    with context:
        args[0](*args[1:], **kwargs)
    return context


class approx:
    """`pytest.approx`: relative 1e-6, absolute 1e-12, element by element."""

    def __init__(self, expected: Any, rel: float | None = None, abs: float | None = None):
        self.expected = expected
        self.rel = rel if rel is not None else (0.0 if abs is not None else 1e-6)
        self.abs = abs if abs is not None else 1e-12

    def __eq__(self, actual: object) -> bool:
        return self._near(actual, self.expected)

    __hash__ = None  # type: ignore[assignment]

    def _near(self, actual: Any, expected: Any) -> bool:
        if isinstance(expected, dict):
            return (
                isinstance(actual, dict)
                and actual.keys() == expected.keys()
                and all(self._near(actual[key], expected[key]) for key in expected)
            )
        if isinstance(expected, list | tuple):
            return (
                isinstance(actual, list | tuple)
                and len(actual) == len(expected)
                and all(map(self._near, actual, expected))
            )
        if isinstance(expected, int | float) and isinstance(actual, int | float):
            return math.isclose(actual, expected, rel_tol=self.rel, abs_tol=self.abs)
        return bool(actual == expected)


def fixture(function: Any = None, **_: Any) -> Any:
    def mark(made: Callable[..., Any]) -> Callable[..., Any]:
        made.is_fixture = True  # type: ignore[attr-defined]
        return made

    return mark if function is None else mark(function)


def skip(reason: str = "", **_: Any) -> None:
    raise Skipped(reason)


def fail(reason: str = "", **_: Any) -> None:
    raise AssertionError(reason)


def param(*values: Any, **_: Any) -> tuple[Any, ...]:
    return values


class _Marks:
    """`pytest.mark`: parametrize and skip mean something, other marks nothing."""

    def parametrize(self, names: Any, values: Any, **_: Any) -> Callable[[Any], Any]:
        split = [n.strip() for n in names.split(",")] if isinstance(names, str) else list(names)
        rows = [row if len(split) > 1 or isinstance(row, _Param) else (row,) for row in values]
        cases = [dict(zip(split, row, strict=True)) for row in rows]

        def mark(function: Any) -> Any:
            function.cases = [*getattr(function, "cases", []), cases]
            return function

        return mark

    def __getattr__(self, name: str) -> Any:
        def mark(*args: Any, **_: Any) -> Any:
            is_plain = len(args) == 1 and isinstance(args[0], types.FunctionType | type)
            return args[0] if is_plain else (lambda function: function)

        return mark


class _Param(tuple[Any, ...]):
    """Reserved for rows made by `param`."""


class _Captured:
    """The fixture `capsys`."""

    def __init__(self) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()

    def readouterr(self) -> Any:
        read = types.SimpleNamespace(out=self.out.getvalue(), err=self.err.getvalue())
        for stream in (self.out, self.err):
            stream.seek(0)
            stream.truncate()
        return read


def cases(
    name: str,
    function: Callable[..., Any],
    names: dict[str, Any],
    before: Callable[..., Any] | None = None,
) -> list[tuple[str, Callable[[], Any]]]:
    """One test for each combination of parameters."""
    rows: Sequence[Any] = [
        {key: value for part in combination for key, value in part.items()}
        for combination in itertools.product(*getattr(function, "cases", []))
    ]

    def one(row: dict[str, Any]) -> Callable[[], Any]:
        def run() -> None:
            if before is not None:
                before() if not inspect.signature(before).parameters else before(function)
            with contextlib.ExitStack() as stack:
                function(**_arguments(function, row, names, stack))

        return run

    return [(name, one(row)) for row in rows]


def _arguments(
    function: Callable[..., Any],
    given: dict[str, Any],
    names: dict[str, Any],
    stack: contextlib.ExitStack,
) -> dict[str, Any]:
    """The arguments of a test: its parameters and the fixtures it names."""
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name in given:
            found[name] = given[name]
        elif name == "capsys":
            captured = _Captured()
            stack.enter_context(contextlib.redirect_stdout(captured.out))
            stack.enter_context(contextlib.redirect_stderr(captured.err))
            found[name] = captured
        elif name == "tmp_path":
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            found[name] = pathlib.Path(folder)
        elif getattr(names.get(name), "is_fixture", False):
            found[name] = _fixture_value(names[name], names, stack)
        elif parameter.default is inspect.Parameter.empty:
            raise NameError(f"fixture {name!r} not found")
    return found


def _fixture_value(
    function: Callable[..., Any], names: dict[str, Any], stack: contextlib.ExitStack
) -> Any:
    made = function(**_arguments(function, {}, names, stack))
    if isinstance(made, Iterator) and inspect.isgeneratorfunction(function):
        value = next(made)
        stack.callback(lambda: next(made, None))
        return value
    return made


def install() -> None:
    """Put this in the place of `pytest`."""
    module = types.ModuleType("pytest")
    for value in (raises, approx, fixture, skip, fail, param):
        setattr(module, value.__name__, value)
    module.__dict__["mark"] = _Marks()
    module.__dict__["main"] = lambda *_, **__: 0
    sys.modules["pytest"] = module
