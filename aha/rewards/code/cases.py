"""Tests of a program, in one shape for all the shapes that data sets have.

| Shape | Where it is used |
| --- | --- |
| `[{"input", "output", "testtype"?, "metadata": {"func_name"}?, "fn_name"?}]` | Codeforces, LiveCodeBench, PRIME |
| `{"inputs": [...], "outputs": [...], "fn_name"?}` | APPS, TACO, verl |
| `{"functional": "def check(candidate): ..."}`, a string with `check`, `test_*` or asserts | LeetCode, HumanEval, KodCode |
| `["assert f(1) == 2", ...]`, `{"test_list": [...], "test_setup_code"}` | MBPP |
| `{"args": [...], "kwargs": {...}, "expected"}` | function calls as JSON |
| any of them with `"checker"`: a program that judges the output | problems with several answers |
"""  # noqa: E501

import ast
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aha.errors import UserError
from aha.rewards.code.compare import read_value
from aha.rewards.code.extract import parse


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the program: what it reads, what it must print."""

    input: str
    output: str


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the tested function."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    expected: Any
    is_wrapped: bool = False
    """The expected value may stand in a list of one, as in APPS."""
    is_exact: bool = False
    """Equal as Python's `==` has it: the expected value is Python's, not JSON's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeTests:
    """The tests of one problem; exactly one of `runs`, `calls`, `asserts` and `module` is there."""

    runs: tuple[Run, ...] = ()
    calls: tuple[Call, ...] = ()
    asserts: tuple[str, ...] = ()
    """Python statements, each a test."""
    module: str = ""
    """A Python test module: `check(candidate)`, functions `test_*`, unittest cases or asserts."""
    function: str = ""
    """The function that `calls` call or that `check` gets."""
    setup: str = ""
    """Python code that runs before the asserts, with the program's names."""
    prelude: str = ""
    """The task's own code (imports, helpers, a prompt), given to the program and to the tests."""
    checker: str = ""
    """A Python program that judges an output: see `aha.rewards.code.checker`."""
    files: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def parse(cls, tests: Any, **context: Any) -> "CodeTests":
        """Read any of the shapes above; `context` holds further fields of the row, such as
        `entry_point`, `prompt`, `test_setup_code` or `checker`. Raises UserError."""
        found = _parse(tests, context)
        found = replace(found, **_context(context, found))
        if not (found.runs or found.calls or found.asserts or found.module.strip()):
            raise UserError("the row has no tests", hint=SHAPES_HINT)
        return found

    @property
    def num_tests(self) -> int:
        return len(self.runs) + len(self.calls) + len(self.asserts) + bool(self.module)

    @property
    def wanted_names(self) -> list[str]:
        """What the program has to define, as far as the tests say so."""
        if self.function:
            return [self.function]
        if self.module or self.asserts:
            return sorted(_called_names("\n".join([self.module, *self.asserts])))
        return []


SHAPES_HINT = (
    "tests are [{'input', 'output'}], {'inputs', 'outputs', 'fn_name'}, ['assert ...'], "
    "{'functional': '...'} or the source of a test module"
)
_CONTAINERS = ("tests", "test_cases", "input_output", "tests_json", "verification_info")
_SOURCES = ("functional", "test", "test_code", "unit_tests")
_ASSERTS = ("test_list", "assert_case", "asserts", "assert_list")


def _parse(tests: Any, context: dict[str, Any]) -> CodeTests:
    if isinstance(tests, CodeTests):
        return tests
    if isinstance(tests, str):
        return _from_text(tests, context)
    if isinstance(tests, Mapping):
        return _from_mapping(tests, context)
    if isinstance(tests, Sequence):
        return _from_list(tests, context)
    raise UserError(f"tests of the type {type(tests).__name__}", hint=SHAPES_HINT)


def _from_text(text: str, context: dict[str, Any]) -> CodeTests:
    if text.lstrip()[:1] in ("{", "["):
        try:
            return _parse(json.loads(text), context)
        except ValueError:
            pass
    return CodeTests(module=text)


def _from_mapping(tests: Mapping[str, Any], context: dict[str, Any]) -> CodeTests:
    for key, value in tests.items():
        context.setdefault(key, value)
    if "inputs" in tests and "outputs" in tests and not tests.get("assert_case"):
        return _from_columns(tests["inputs"], tests["outputs"], tests.get("fn_name"))
    for key in _ASSERTS:
        if tests.get(key):
            value = tests[key]
            return CodeTests(asserts=tuple([value] if isinstance(value, str) else value))
    for key in _SOURCES:
        if isinstance(tests.get(key), str):
            return CodeTests(module=tests[key])
    for key in _CONTAINERS:
        if tests.get(key):
            return _parse(tests[key], context)
    parts = [tests[k] for k in ("public_tests", "private_tests", "generated_tests") if k in tests]
    if parts:
        return CodeTests(runs=tuple(run for part in parts for run in _column_runs(part)))
    if "input" in tests or "args" in tests or "kwargs" in tests:
        return _from_list([tests], context)
    raise UserError(f"tests with the keys {', '.join(map(str, tests))}", hint=SHAPES_HINT)


def _from_list(tests: Sequence[Any], context: dict[str, Any]) -> CodeTests:
    if all(isinstance(test, str) for test in tests):
        return CodeTests(asserts=tuple(tests))
    if not all(isinstance(test, Mapping) for test in tests):
        raise UserError("a list of tests that are not all objects or all text", hint=SHAPES_HINT)
    function = next(filter(None, (_function_of(test, context) for test in tests)), "")
    if function:
        return CodeTests(calls=tuple(_call(test) for test in tests), function=function)
    if any("input" not in test for test in tests):
        raise UserError("a test without `input`", hint=SHAPES_HINT)
    outputs = [test.get("output", test.get("expected_output", "")) for test in tests]
    return CodeTests(
        runs=tuple(Run(_text(t["input"]), _text(o)) for t, o in zip(tests, outputs, strict=True))
    )


def _function_of(test: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    """The name of the function that a test calls, empty for a run of the whole program."""
    metadata = test.get("metadata")
    metadata = read_value(metadata) if isinstance(metadata, str) else metadata
    named = test.get("fn_name") or test.get("func_name") or test.get("function")
    if not named and isinstance(metadata, Mapping):
        named = metadata.get("func_name") or metadata.get("fn_name")
    kind = str(test.get("testtype") or test.get("type") or "")
    if kind in ("stdin", "stdin_stdout", "stdio"):
        return ""
    if kind in ("functional", "function_call") or "args" in test or "kwargs" in test:
        named = named or context.get("fn_name") or context.get("func_name")
        named = named or context.get("function") or context.get("entry_point")
        if not named:
            raise UserError("a function test without the function's name", hint="give `fn_name`")
    return str(named or "")


def _call(test: Mapping[str, Any]) -> Call:
    """`args`/`kwargs`, or `input`: one JSON value a line, a list of arguments, or an object."""
    for key in ("expected", "output", "expected_output", "result"):
        if key in test:
            break
    expected = test.get(key)
    if "args" in test or "kwargs" in test:
        return Call(tuple(test.get("args") or ()), dict(test.get("kwargs") or {}), expected)
    args, kwargs = _arguments(test.get("input", ""))
    is_text = isinstance(expected, str)
    value = read_value(expected) if isinstance(expected, str) else expected
    return Call(args, kwargs, value, is_wrapped=not is_text)


def _arguments(given: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(given, Mapping):
        return (), dict(given)
    if isinstance(given, list | tuple):
        return tuple(given), {}
    lines = [line for line in str(given).split("\n") if line.strip()]
    return tuple(read_value(line) for line in lines), {}


def _from_columns(inputs: Any, outputs: Any, function: str | None) -> CodeTests:
    if len(inputs) != len(outputs):
        raise UserError(f"{len(inputs)} inputs and {len(outputs)} outputs", hint=SHAPES_HINT)
    pairs = list(zip(inputs, outputs, strict=True))
    if not function:
        return CodeTests(runs=tuple(Run(_text(i), _text(o)) for i, o in pairs))
    calls = [_call({"input": i, "output": o}) for i, o in pairs]
    return CodeTests(calls=tuple(calls), function=function)


def _column_runs(part: Mapping[str, Any]) -> Iterable[Run]:
    pairs = zip(part.get("input", ()), part.get("output", ()), strict=True)
    return [Run(_text(i), _text(o)) for i, o in pairs]


def _text(value: Any) -> str:
    """Input and output as text: a list is its lines."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(_text(part) for part in value)
    return str(value)


def _context(context: Mapping[str, Any], tests: CodeTests) -> dict[str, Any]:
    """What the rest of a row says about its tests."""
    found: dict[str, Any] = {}
    setup = context.get("test_setup_code") or context.get("setup") or ""
    imports = context.get("test_imports") or ()
    setup = "\n".join([*([imports] if isinstance(imports, str) else imports), setup])
    if setup.strip():
        found["setup"] = setup
    prelude = context.get("prompt") or context.get("import_prefix") or context.get("prelude") or ""
    if prelude and (tests.module or tests.asserts or tests.calls) and parse(prelude) is not None:
        found["prelude"] = prelude
    checker = context.get("checker") or context.get("generated_checker")
    if checker:
        found["checker"] = checker
    entry = context.get("entry_point") or context.get("fn_name") or ""
    if tests.module and entry:
        found |= _with_entry(tests.module, str(entry))
    return found


def _with_entry(module: str, entry: str) -> dict[str, Any]:
    """`check` is called with a name or, for LeetCode, with a method of a new `Solution`."""
    if entry.isidentifier():
        return {"function": entry}
    is_called = any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "check"
        for node in ast.walk(parse(module) or ast.Module([], []))
    )
    return {} if is_called else {"module": f"{module}\n\ncheck({entry})\n"}


def _called_names(source: str) -> set[str]:
    """Names of the functions that test code calls, without those that it defines."""
    tree = parse(source)
    if tree is None:
        return set()
    defined = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    calls = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "solution"
        for alias in node.names
    }
    import builtins

    return {n for n in calls if not hasattr(builtins, n)} - defined | imported - {"*"}
