"""What came of each test, and of all of them together."""

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from aha.rewards.sandbox import Outcome
from aha.rewards.verdict import Verdict

ResultKind = Literal["pass", "wrong", "crash", "timeout", "memory", "output", "compile"]
SHOWN = 60
_short = reprlib.Repr()
_short.maxstring = _short.maxother = SHOWN


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test: `pass`, or what the program did wrong."""

    __test__ = False  # not a class of tests for pytest

    kind: ResultKind
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict with the tests that were run; those after the first failure may be missing."""

    verdict: Verdict
    results: tuple[TestResult, ...] = ()
    num_tests: int = 0

    @property
    def pass_fraction(self) -> float:
        """Share of all tests that passed; tests that were not run did not."""
        passed = sum(result.kind == "pass" for result in self.results)
        return passed / self.num_tests if self.num_tests else 0.0


def of_outcome(outcome: Outcome) -> TestResult | None:
    """What a run says by itself; None when its output has to be looked at."""
    if outcome.status == "ok":
        return None
    if outcome.status == "timeout":
        return TestResult("timeout", f"timeout after {outcome.seconds:.1f} s")
    if outcome.status == "memory":
        return TestResult("memory", "over the memory limit")
    if outcome.status == "output":
        return TestResult("output", "over the output limit")
    code = outcome.exit_code
    how = f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
    said = outcome.last_error
    return TestResult("crash", f"crashed ({how})" + (f": {said}" if said else ""))


def conclude(program: str, results: Sequence[TestResult], num_tests: int) -> Judgement:
    """All tests passed: correct; else wrong, with the first failure as the reason."""
    results = tuple(results)
    failed = next((n for n, result in enumerate(results) if result.kind != "pass"), None)
    if failed is None and len(results) < num_tests:
        results = (*results, TestResult("crash", "the program ended before its tests"))
        failed = len(results) - 1
    if failed is None:
        verdict = Verdict.correct(program, reason=f"passes {num_tests} tests")
    else:
        place = f"test {failed + 1} of {max(num_tests, failed + 1)}"
        verdict = Verdict.wrong(program, reason=f"{place}: {results[failed].reason}")
    return Judgement(verdict=verdict, results=results, num_tests=max(num_tests, len(results)))


def shown(text: object) -> str:
    """A value for a reason: short, on one line."""
    if not isinstance(text, str):
        try:
            return _short.repr(text)
        except ValueError:  # a whole number of thousands of digits
            return f"a long {type(text).__name__}"
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 3] + "...")
