"""Judges a program by its tests. The program runs in the sandbox and never sees the answers."""

import json
import marshal
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aha.errors import UserError
from aha.rewards.code import checker, javascript
from aha.rewards.code.asserts import as_calls
from aha.rewards.code.cases import Call, CodeTests
from aha.rewards.code.compare import TOLERANCE, same_output, same_value
from aha.rewards.code.extract import find_program, normal_language
from aha.rewards.code.inside.wire import Decoder, WireError, no_objects
from aha.rewards.code.languages import CompileError, Runner, check_language, runner
from aha.rewards.code.results import Judgement, ResultKind, TestResult, conclude, of_outcome, shown
from aha.rewards.sandbox import Limits, SandboxFailure, pool
from aha.rewards.sandbox.commands import imports_to_preload, outcome
from aha.rewards.sandbox.host import Job, buffer_file, read_file
from aha.rewards.verdict import Verdict

INSIDE = "aha.rewards.code.inside"
TOTAL_FACTOR = 6
"""All tests of a program together may take this many times the limit of one."""
MOST_RESULT_BYTES = 16 << 20

UNREADABLE = (
    WireError, LookupError, TypeError, ValueError, AttributeError, RecursionError, OverflowError,
    ArithmeticError, MemoryError,
)  # fmt: skip
"""What decoding or comparing a hostile value may raise."""

Tests = CodeTests | Mapping[str, Any] | Sequence[Any] | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How strictly a program is judged."""

    timeout_seconds: float = 10.0
    """Wall clock of one test; all tests of a program have six times as much."""
    memory_bytes: int = 1 << 30
    tolerance: float = TOLERANCE
    run_all: bool = False
    """Go on after a failed test, for the share of tests that pass."""

    @property
    def limits(self) -> Limits:
        return Limits(timeout_seconds=self.timeout_seconds, memory_bytes=self.memory_bytes)


def verify(
    response: str,
    tests: Tests,
    *,
    language: str | None = None,
    timeout_seconds: float = 10.0,
    memory_bytes: int = 1 << 30,
    tolerance: float = TOLERANCE,
    **context: Any,
) -> Verdict:
    """Judge the program in a reply. Never raises for what the reply holds.

    `tests` has any shape of `aha.rewards.code.cases`; `context` holds further fields of the row
    (`entry_point`, `prompt`, `test_setup_code`, `checker`). No program: `unparseable`; a program
    that fails a test, crashes or goes over a limit: `wrong`; a failure of the sandbox or of the
    tests: `error`. Raises UserError where programs cannot be isolated and unsafe execution was
    not allowed, or when the tests have no known shape.
    """
    rules = Rules(timeout_seconds=timeout_seconds, memory_bytes=memory_bytes, tolerance=tolerance)
    wanted = CodeTests.parse(tests, **context)
    found = find_program(response, language, wanted_names=wanted.wanted_names)
    if found is None:
        return Verdict.unparseable("no program in the response")
    return judge(found.text, wanted, language=found.tag, rules=rules).verdict


def verify_program(
    program: str, tests: Tests, *, language: str = "python", **settings: Any
) -> Verdict:
    """Judge source code that is not a reply; settings as those of `verify`."""
    names = ("timeout_seconds", "memory_bytes", "tolerance")
    rules = Rules(**{name: settings.pop(name) for name in names if name in settings})
    return judge(
        program, CodeTests.parse(tests, **settings), language=language, rules=rules
    ).verdict


def judge(
    program: str,
    tests: CodeTests,
    *,
    language: str = "python",
    rules: Rules | None = None,
) -> Judgement:
    """Run the tests and say what came of each. Raises UserError as `verify` does."""
    rules = rules or Rules()
    language = normal_language(language) or "python"
    check_language(language)
    try:
        if "\0" in program:
            return conclude(program, [TestResult("compile", "null bytes")], tests.num_tests)
        results, num_tests = _results(program, tests, language, rules)
    except CompileError as error:
        failed = TestResult("compile", f"does not compile: {error}")
        return conclude(program, [failed], tests.num_tests)
    except SandboxFailure as failure:
        return Judgement(verdict=Verdict.error(f"sandbox: {failure}"), num_tests=tests.num_tests)
    except checker.CheckerFailure as failure:
        return Judgement(verdict=Verdict.error(f"checker: {failure}"), num_tests=tests.num_tests)
    return conclude(program, results, num_tests)


def _results(
    program: str, tests: CodeTests, language: str, rules: Rules
) -> tuple[list[TestResult], int]:
    if tests.runs:
        return _run_all(program, tests, language, rules), len(tests.runs)
    if language == "javascript" and tests.calls:
        return _compare_calls(javascript.call_all(program, tests, rules.limits), tests, rules)
    if language != "python":
        raise UserError(
            f"these tests are Python's, the program is in {language}",
            hint="use tests of standard input and output, or calls for JavaScript",
        )
    calls = tests if tests.calls else as_calls(tests)
    if calls is not None:
        return _compare_calls(_call_all(program, calls, rules), calls, rules)
    return _run_tests(program, tests, rules)


# --- standard input and output


def _run_all(program: str, tests: CodeTests, language: str, rules: Rules) -> list[TestResult]:
    results: list[TestResult] = []
    end = time.monotonic() + TOTAL_FACTOR * rules.timeout_seconds
    with runner(language, program, tests.files) as run_once:
        for test in tests.runs:
            if time.monotonic() > end:
                results.append(TestResult("timeout", "all tests together took too long"))
                break
            results.append(_run_one(run_once, test.input, test.output, tests, rules))
            if results[-1].kind != "pass" and not rules.run_all:
                break
    return results


def _run_one(
    run_once: Runner, given: str, expected: str, tests: CodeTests, rules: Rules
) -> TestResult:
    came = run_once(given, rules.limits)
    failed = of_outcome(came)
    if failed is not None:
        return failed
    printed = came.stdout.decode("utf-8", errors="surrogateescape")
    if tests.checker:
        return checker.check(tests.checker, given, printed, expected)
    if same_output(printed, expected, tolerance=rules.tolerance):
        return TestResult("pass")
    return TestResult("wrong", f"expected {shown(expected)}, printed {shown(printed)}")


# --- function calls, compared here


def _call_all(program: str, tests: CodeTests, rules: Rules) -> list[dict[str, Any]]:
    """What the program's function returned for each call, as the program's process says it."""
    calls = [(list(call.args), dict(call.kwargs)) for call in tests.calls]
    payload = {
        "source": program,
        "prelude": tests.prelude,
        "files": dict(tests.files),
        "function": tests.function,
        "calls": marshal.dumps(calls),
        "seconds_per_call": rules.timeout_seconds,
    }
    results = buffer_file()
    try:
        job = Job(
            entry=f"{INSIDE}.solution:call_all",
            payload=marshal.dumps(payload),
            limits=rules.limits,
            results=results,
        )
        answer = pool.execute(
            [job],
            timeout_seconds=_total_seconds(rules, len(calls)),
            preload=imports_to_preload(program),
        )
        lines = _read_lines(results)
    finally:
        os.close(results)
    came = outcome(answer)
    if came.exit_code == 124:
        return [*lines, {"timeout": rules.timeout_seconds}]
    failed = of_outcome(came)
    return lines if failed is None else [*lines, {"failed": failed}]


def _total_seconds(rules: Rules, num_tests: int) -> float:
    return rules.timeout_seconds * min(num_tests, TOTAL_FACTOR)


def _compare_calls(
    lines: list[dict[str, Any]], tests: CodeTests, rules: Rules
) -> tuple[list[TestResult], int]:
    results: list[TestResult] = []
    first = lines[0] if lines else {}
    if first.get("loaded"):
        return [TestResult("crash", f"cannot be loaded: {first['loaded']}")], len(tests.calls)
    said = [line for line in lines if "loaded" not in line]
    for call, line in zip(tests.calls, said, strict=False):
        results.append(_compare_call(line, call, rules))
        if results[-1].kind != "pass" and not rules.run_all:
            break
    return results, len(tests.calls)


def _compare_call(line: dict[str, Any], call: Call, rules: Rules) -> TestResult:
    if "failed" in line and isinstance(line["failed"], TestResult):
        return line["failed"]
    if "timeout" in line:
        return TestResult("timeout", f"timeout after {rules.timeout_seconds:.1f} s")
    if "raised" in line:
        return TestResult("crash", f"raised {str(line['raised'])[:300]}")
    try:
        value = Decoder(line.get("value"), no_objects, is_wary=True).decode()
        is_same = _is_expected(value, call, rules.tolerance)
    except UNREADABLE as error:
        return TestResult("wrong", f"returned something that is not data: {error}"[:300])
    if is_same:
        return TestResult("pass")
    return TestResult("wrong", f"expected {shown(call.expected)}, returned {shown(value)}")


def _is_expected(value: Any, call: Call, tolerance: float) -> bool:
    if call.is_exact:
        return bool(value == call.expected)
    wanted = call.expected
    is_list_of_one = call.is_wrapped and isinstance(wanted, list) and len(wanted) == 1
    return same_value(value, wanted, tolerance=tolerance) or (
        is_list_of_one and same_value(value, wanted[0], tolerance=tolerance)
    )


# --- asserts and test modules, in a process of their own


def _run_tests(program: str, tests: CodeTests, rules: Rules) -> tuple[list[TestResult], int]:
    """Two jobs over a socket: the tests (first, they decide) and the program."""
    results = buffer_file()
    program_job = Job(
        entry=f"{INSIDE}.solution:serve",
        payload=marshal.dumps(
            {"source": program, "prelude": tests.prelude, "files": dict(tests.files)}
        ),
        limits=rules.limits,
    )
    try:
        jobs = [_test_job(tests, program, rules, results), program_job]
        answer = pool.execute(
            jobs,
            timeout_seconds=_total_seconds(rules, max(1, len(tests.asserts))),
            preload=imports_to_preload(program, tests.module),
            is_linked=True,
        )
        lines = _read_lines(results)
    finally:
        os.close(results)
    return _read_report(lines, answer.state, tests, rules)


def _test_job(tests: CodeTests, program: str, rules: Rules, results: int) -> Job:
    payload = {
        "tests": list(tests.asserts) or [tests.module],
        "is_module": not tests.asserts,
        "setup": tests.setup,
        "prelude": tests.prelude,
        "entry_point": tests.function or _candidate(tests, program),
        "seconds_per_test": rules.timeout_seconds,
        "run_all": rules.run_all,
    }
    return Job(
        entry=f"{INSIDE}.judge:judge",
        payload=marshal.dumps(payload),
        limits=rules.limits,
        results=results,
    )


def _candidate(tests: CodeTests, program: str) -> str:
    """What `check(candidate)` gets when the row does not say: the last function of the program."""
    if "def check(" not in tests.module:
        return ""
    names = re.findall(r"^(?:async )?def (\w+)", program, re.MULTILINE)
    return names[-1] if names else ""


def _read_report(
    lines: list[dict[str, Any]], state: str, tests: CodeTests, rules: Rules
) -> tuple[list[TestResult], int]:
    """The results that the process of the tests wrote. Raises SandboxFailure for broken tests."""
    expected = max(1, len(tests.asserts))
    results: list[TestResult] = []
    is_done = False
    for line in lines:
        if "broken" in line:
            raise SandboxFailure(line["broken"])
        if "unloadable" in line:
            return [TestResult("crash", f"cannot be loaded: {line['unloadable']}")], expected
        is_done = is_done or "done" in line
        if "test" in line:
            results.append(_result_of(line, rules))
    if not is_done and state != "ended":
        kind: ResultKind = "memory" if state == "memory" else "timeout"
        results.append(TestResult(kind, f"{kind} after {rules.timeout_seconds:.1f} s"))
    elif not is_done:
        results.append(TestResult("crash", "the tests did not come to an end"))
    return results, max(expected, len(results))


def _result_of(line: dict[str, Any], rules: Rules) -> TestResult:
    failure = line["failure"]
    if not failure:
        return TestResult("pass")
    if failure == "timeout":
        return TestResult(
            "timeout", f"{line['label']}: timeout after {rules.timeout_seconds:.1f} s"
        )
    kind: ResultKind = "crash" if failure == "the program ended" else "wrong"
    return TestResult(kind, f"{line['label']}: {failure}" if line["label"] else failure)


def _read_lines(results: int) -> list[dict[str, Any]]:
    """JSON objects, one a line; what a program has spoiled is left out."""
    lines = []
    for line in read_file(results, MOST_RESULT_BYTES).split(b"\n"):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            lines.append(value)
    return lines
