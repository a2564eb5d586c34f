"""Verdicts on the responses of an evaluation, and on those of an old one again."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from aha.errors import UserError
from aha.evals.figures import figures_of
from aha.evals.metrics import Estimate
from aha.evals.plan import EvalConfig, problems_sha256, short_meta, suite_of
from aha.evals.result import ProblemResult, Result, SampleResult
from aha.evals.suites.suite import Suite
from aha.rewards.verdict import Verdict
from aha.tasks.red_team import judge, judged
from aha.tasks.task import Problem, Task

Graded = tuple[Verdict, Mapping[str, float]]


def grade(suite: Suite, pairs: Iterable[tuple[Problem, str]]) -> list[Graded]:
    """Verdict and further figures of each (problem, whole response), in order; it never raises.

    Where grading waits for worker processes (`Task.isolated`) several are graded at once.
    """

    def one(task: Task, pair: tuple[Problem, str]) -> Graded:
        problem, text = pair
        verdict = judge(task, problem, text).verdict
        if not math.isfinite(verdict.score):
            return Verdict.error(f"the score is {verdict.score}"), {}
        return _with_figures(suite, problem, text, verdict)

    return list(judged(suite.task, one, pairs))


def _with_figures(suite: Suite, problem: Problem, text: str, verdict: Verdict) -> Graded:
    if suite.figures is None or not verdict.is_scored:
        return verdict, {}
    try:
        figures = {name: float(v) for name, v in suite.figures(problem, text, verdict).items()}
    except Exception as error:  # a suite may be the user's code
        return Verdict.error(f"figures() raised {type(error).__name__}: {error}"), {}
    if not all(map(math.isfinite, figures.values())):
        return Verdict.error(f"figures() gave {figures}"), {}
    return verdict, figures


@dataclass(frozen=True, slots=True)
class Regraded:
    """A result with the verdicts of today."""

    result: Result
    changed: Mapping[tuple[str, str], int]
    """How many verdicts changed, by (before, after)."""


def regrade(result: Result, *, data: str | None = None, judge_model: str | None = None) -> Regraded:
    """Grade the saved responses again; no model is needed.

    data: where the suite's problems are now. UserError when they are other ones.
    """
    suite = suite_of(
        EvalConfig(
            model=str(result.model["reference"]),
            suite=str(result.source["suite"]),
            data=data or result.source.get("data"),
            judge=judge_model or result.settings.get("judge"),
            seed=int(result.settings["seed"]),
        )
    )
    problems = _same_problems(suite, result)
    old = [(p, sample) for p, row in zip(problems, result.problems, strict=True)
           for sample in row.samples]  # fmt: skip
    verdicts = grade(suite, [(problem, sample.text) for problem, sample in old])
    new = [graded_sample(s, *verdict) for (_, s), verdict in zip(old, verdicts, strict=True)]
    rest = iter(new)
    rows = tuple(
        replace(row, gold=problem.gold, meta=short_meta(problem),
                samples=tuple(islice(rest, len(row.samples))))
        for problem, row in zip(problems, result.problems, strict=True)
    )  # fmt: skip
    pairs = ((a.verdict, b.verdict) for (_, a), b in zip(old, new, strict=True))
    return Regraded(
        result=replace(
            result,
            problems=rows,
            problems_sha256=problems_sha256(problems),
            metric=suite.metric,
            metrics=suite_figures(suite, rows),
        ),
        changed=Counter(pair for pair in pairs if pair[0] != pair[1]),
    )


def suite_figures(suite: Suite, problems: Sequence[ProblemResult]) -> dict[str, Estimate]:
    """All figures of a suite's graded problems."""
    return figures_of(problems, suite.same_answer, main=suite.metric, whole=suite.whole)


def graded_sample(
    sample: SampleResult, verdict: Verdict, figures: Mapping[str, float]
) -> SampleResult:
    """A response with another verdict."""
    return replace(
        sample,
        verdict=verdict.kind,
        score=verdict.score,
        extracted=verdict.extracted,
        reason=verdict.reason,
        figures=dict(figures),
    )


def _same_problems(suite: Suite, result: Result) -> list[Problem]:
    """The suite's problems that the result is about; another gold answer is no other problem."""
    known = {problem.id: problem for problem in suite.task.problems("heldout")}
    for row in result.problems:
        if row.id not in known or known[row.id].question != row.question:
            state = "has another question" if row.id in known else "is not there"
            raise UserError(
                f"the problem {row.id} of this result {state} in {suite.name!r} now",
                hint="--data FILE.jsonl with the problems that it was evaluated on",
            )
    return [known[row.id] for row in result.problems]
