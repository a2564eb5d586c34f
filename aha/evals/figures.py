"""The figures of an evaluation, from its graded samples alone.

pass@1 is the mean over all k responses, pass@k unbiased, cons@k the expected majority vote of k
responses drawn from those there are; every standard error is clustered by problem.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from aha.evals.length_control import length_controlled
from aha.evals.metrics import (
    Estimate,
    classes,
    cons_at_k,
    g_pass_at_k,
    mean_and_stderr,
    mg_pass_at_k,
    pass_at_k,
    quotient_and_stderr,
)
from aha.evals.result import ProblemResult, SampleResult

SameAnswer = Callable[[str, str], bool]
Samples = Sequence[SampleResult]
Rows = Sequence[tuple[str, Mapping[str, float]]]
"""The problem and the suite's own figures of every response."""
WholeFigure = Callable[[Rows], Estimate | None]
"""A figure of all problems together, where it is no mean over responses; None: nothing known."""
RIGHT = -1
"""The class that every right answer votes for, however it is spelled."""
FEWEST_FOR_G = 4
"""Samples from which on G-Pass@k says something."""
G_THRESHOLDS = (0.5, 0.75, 1.0)
"""Shares of right responses, those of arXiv 2412.13147's tables."""


def figures_of(
    problems: Sequence[ProblemResult],
    same_answer: SameAnswer = str.__eq__,
    *,
    main: str = "pass@1",
    whole: Mapping[str, WholeFigure] | None = None,
) -> dict[str, Estimate]:
    """Every figure by name. `n` is the number of problems behind it.

    Responses without a verdict count in no accuracy but in `unscored`. Where a problem has fewer
    than k responses with a verdict it is left out of pass@k and cons@k. A figure that nothing is
    known of is not there. main: name of the suite's main figure; where it is none of these, it is
    another name for pass@1. whole: further figures, by name.
    """
    most = max((len(problem.samples) for problem in problems), default=0)
    figures = {"pass@1": pass_at_1(problems)}
    for k in powers(most):
        figures[f"pass@{k}"] = _of_k(problems, k, OF_K["pass"])
    for k in powers(most):
        figures[f"cons@{k}"] = _of_k(problems, k, lambda s, k: majority(s, k, same_answer))
    if most >= FEWEST_FOR_G:
        for t in G_THRESHOLDS:
            figures[f"g-pass@{most}:{t:g}"] = _of_k(problems, most, OF_K[f"g-pass:{t:g}"])
        figures[f"mg-pass@{most}"] = _of_k(problems, most, OF_K["mg-pass"])
    for name in own_names(problems):
        figures[name] = _averaged(problems, partial(_figure, name))
    rows = [(problem.id, sample.figures) for problem in problems for sample in problem.samples]
    for name, figure in (whole or {}).items():
        figures[name] = figure(rows)
    if any(sample.length_tokens for problem in problems for sample in problem.samples):
        figures["length_tokens"] = _averaged(problems, lambda s: float(s.length_tokens))
    figures["truncated"] = _averaged(problems, lambda s: float(s.is_truncated))
    figures["unscored"] = _averaged(problems, lambda s: float(not s.is_scored))
    if main not in figures:
        figures = {main: figures["pass@1"], **figures}
    return {name: estimate for name, estimate in figures.items() if estimate is not None}


def is_share(name: str, values: Iterable[float]) -> bool:
    """Whether a figure is written in percent: no count, no length, and between 0 and 1."""
    is_number = name.startswith(("num_", "length_", "rating"))
    return not is_number and all(0.0 <= value <= 1.0 for value in values)


def pass_at_1(problems: Sequence[ProblemResult]) -> Estimate | None:
    """The share of right ones among the responses that have a verdict; None without any."""
    return _averaged(problems, lambda s: float(s.is_correct) if s.is_scored else None)


def powers(num_samples: int) -> list[int]:
    """2, 4, 8, ... up to the number of samples, and that number itself."""
    found = {2**i for i in range(1, num_samples.bit_length())}
    return sorted({*found, num_samples} - {0, 1})


def majority(samples: Samples, k: int, same_answer: SameAnswer = str.__eq__) -> float:
    """cons@k of the responses to one problem; answers that are the same vote together."""
    wrong = [None if s.is_correct else s.extracted for s in samples]
    votes = [
        RIGHT if sample.is_correct else vote
        for sample, vote in zip(samples, classes(wrong, same_answer), strict=True)
    ]
    return cons_at_k(votes, gold=RIGHT, k=k)


def own_names(problems: Sequence[ProblemResult]) -> list[str]:
    """Names of the suite's further figures, in the order in which they appear."""
    names = (name for p in problems for s in p.samples for name in s.figures)
    return list(dict.fromkeys(names))


def _of_k(
    problems: Sequence[ProblemResult], k: int, value: Callable[[Samples, int], float]
) -> Estimate | None:
    values = [value(problem.scored, k) for problem in problems if len(problem.scored) >= k]
    return mean_and_stderr(values) if values else None


def _averaged(
    problems: Sequence[ProblemResult], value: Callable[[SampleResult], float | None]
) -> Estimate | None:
    """The mean over all responses that have the value, with an error clustered by problem."""
    pairs = [(p.id, value(sample)) for p in problems for sample in p.samples]
    known = [(cluster, number) for cluster, number in pairs if number is not None]
    if not known:
        return None
    return mean_and_stderr([n for _, n in known], clusters=[cluster for cluster, _ in known])


def quotient(above: str, below: str) -> WholeFigure:
    """The sum of one figure over all responses by that of another, clustered by problem."""

    def figure(rows: Rows) -> Estimate | None:
        both = [(id, row[above], row[below]) for id, row in rows if above in row and below in row]
        if not sum(denominator for _, _, denominator in both):
            return None
        clusters, numerators, denominators = zip(*both, strict=True)
        return quotient_and_stderr(numerators, denominators, clusters=clusters)

    return figure


def without_length(wins: str, longer_by: str) -> WholeFigure:
    """A win rate with the length of replies taken out; see `length_control`.

    Responses without a length are losses whatever the length: their share stays a loss.
    """

    def figure(rows: Rows) -> Estimate | None:
        judged = [(id, row) for id, row in rows if wins in row]
        compared = [(id, row) for id, row in judged if longer_by in row]
        controlled = length_controlled(
            [row[wins] for _, row in compared],
            [row[longer_by] for _, row in compared],
            clusters=[id for id, _ in compared],
        )
        if controlled is None:
            return None
        said = mean_and_stderr(
            [float(longer_by in row) for _, row in judged], clusters=[id for id, _ in judged]
        )
        error = math.hypot(said.value * controlled.stderr, controlled.value * said.stderr)
        return Estimate(said.value * controlled.value, error, said.n)

    return figure


def _of_counts(chance: Callable[[int, int, int], float]) -> Callable[[Samples, int], float]:
    """From (responses, right ones, k) to the figure of one problem."""
    return lambda samples, k: chance(len(samples), sum(s.is_correct for s in samples), k)


OF_K: Mapping[str, Callable[[Samples, int], float]] = {
    "pass": _of_counts(pass_at_k),
    "cons": majority,
    "mg-pass": _of_counts(mg_pass_at_k),
    **{f"g-pass:{t:g}": _of_counts(partial(g_pass_at_k, threshold=t)) for t in G_THRESHOLDS},
}
"""Figures of k responses to a problem that have a verdict, by their kind."""


def _figure(name: str, sample: SampleResult) -> float | None:
    return sample.figures.get(name)
