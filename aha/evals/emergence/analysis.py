"""The figures of emergence over some responses: how often, how well, how long, how early.

Hard problems are thought about longer and with more checks, so accuracy with a behaviour against
accuracy without it says little by itself; the same problem's responses with and without it are
compared too (`within`). Even that is no cause: `aha.evals.emergence.causal` measures one.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from aha.evals.emergence.observe import Observed
from aha.evals.emergence.wording import BEHAVIOURS
from aha.evals.metrics import Difference, Estimate, mean_and_stderr, paired_difference

Table = dict[str, Any]
PASS_RATE_BINS = ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0), (1.0, 1.0))
"""From the first value on, below the second; the last one: solved every time."""
SIGNS = ("reflection", *BEHAVIOURS)
"""What a response shows or does not: a reflection word, or a behaviour."""
FEWEST_PAIRS = 5
"""Problems from which on a difference within problems is reported."""


def times(observed: Observed, sign: str) -> int:
    """Reflection words, or sentences that show a behaviour."""
    return observed.reflection if sign == "reflection" else observed.behaviours[sign]


def shows(observed: Observed, sign: str) -> bool:
    return times(observed, sign) > 0


def _times(sign: str) -> Callable[[Observed], float]:
    return lambda observed: float(times(observed, sign))


def _showing(sign: str) -> Callable[[Observed], float]:
    return lambda observed: float(shows(observed, sign))


def summarise(groups: Sequence[Sequence[Observed]]) -> Table:
    """All figures of some responses, as JSON.

    groups: what was sampled with the same weights, for example a list a step; responses of a
    problem are compared inside a group only.
    """
    everyone = [observed for group in groups for observed in group]
    if not everyone:
        return {"responses": 0}
    return {
        "responses": len(everyone),
        "problems": len({observed.problem for observed in everyone}),
        "accuracy": _mean(everyone, lambda o: float(o.correct)),
        "length_tokens": _mean(everyone, lambda o: float(o.length_tokens)),
        "shows": {sign: _mean(everyone, _showing(sign)) for sign in SIGNS},
        "per_response": {sign: _mean(everyone, _times(sign)) for sign in SIGNS},
        "given": {sign: _given(groups, sign) for sign in SIGNS},
        "length_by_pass_rate": _by_pass_rate(groups),
        "length_by_difficulty": _by_difficulty(everyone),
        "first_right": _first_right(everyone),
    }


def _given(groups: Sequence[Sequence[Observed]], sign: str) -> Table:
    """Accuracy of responses that show something, of the others, and the difference in a problem."""
    everyone = [observed for group in groups for observed in group]
    return {
        "with": _mean([o for o in everyone if shows(o, sign)], _correct),
        "without": _mean([o for o in everyone if not shows(o, sign)], _correct),
        "within": _difference(within_problems(groups, sign)),
    }


def within_problems(groups: Sequence[Sequence[Observed]], sign: str) -> Difference | None:
    """Accuracy with minus without, over the problems that have responses of both kinds.

    Each problem of a group counts once; the error is clustered by problem over all groups.
    """
    having, lacking, names = [], [], []
    for group in groups:
        for name, responses in by_problem(group).items():
            yes = [float(o.correct) for o in responses if shows(o, sign)]
            no = [float(o.correct) for o in responses if not shows(o, sign)]
            if yes and no:
                having.append(sum(yes) / len(yes))
                lacking.append(sum(no) / len(no))
                names.append(name)
    if len(set(names)) < FEWEST_PAIRS:
        return None
    return paired_difference(having, lacking, clusters=names)


def by_problem(group: Iterable[Observed]) -> dict[str, list[Observed]]:
    """The responses to each problem, in order of appearance."""
    found: dict[str, list[Observed]] = {}
    for observed in group:
        found.setdefault(observed.problem, []).append(observed)
    return found


def _by_pass_rate(groups: Sequence[Sequence[Observed]]) -> list[Table]:
    """Length of responses to problems that are rarely, sometimes and mostly solved."""
    binned: list[list[Observed]] = [[] for _ in PASS_RATE_BINS]
    for group in groups:
        for responses in by_problem(group).values():
            if len(responses) > 1:
                rate = sum(o.correct for o in responses) / len(responses)
                binned[int(rate * (len(binned) - 1))] += responses
    bins = zip(PASS_RATE_BINS, binned, strict=True)
    return [{"from": low, "to": high, **lengths(found)} for (low, high), found in bins if found]


def _by_difficulty(everyone: Sequence[Observed]) -> list[Table]:
    """The same by the task's own difficulty."""
    levels = sorted({o.difficulty for o in everyone if o.difficulty is not None})
    return [
        {"difficulty": level, **lengths([o for o in everyone if o.difficulty == level])}
        for level in levels
    ]


def lengths(responses: Sequence[Observed]) -> Table:
    """Length of all, of the right and of the wrong ones."""
    return {
        "length_tokens": _mean(responses, _length),
        "right_tokens": _mean([o for o in responses if o.correct], _length),
        "wrong_tokens": _mean([o for o in responses if not o.correct], _length),
        "accuracy": _mean(responses, _correct),
    }


def _first_right(everyone: Sequence[Observed]) -> Table:
    """Where right responses first state the right answer, and how many wrong ones had it."""
    right = [o for o in everyone if o.correct]
    placed = [o for o in right if o.first_right is not None]
    return {
        "stated_by_right": _mean(right, _stated),
        "stated_by_wrong": _mean([o for o in everyone if not o.correct], _stated),
        "by_chance": _mean([o for o in everyone if o.by_chance is not None], _by_chance),
        "position": _mean(placed, lambda o: o.first_right or 0.0),
        "tokens_after": _mean(placed, lambda o: o.tokens_after or 0.0),
        "share_after": _mean(placed, lambda o: (o.tokens_after or 0.0) / max(1, o.length_tokens)),
    }


def _correct(observed: Observed) -> float:
    return float(observed.correct)


def _length(observed: Observed) -> float:
    return float(observed.length_tokens)


def _stated(observed: Observed) -> float:
    return float(observed.first_right is not None)


def _by_chance(observed: Observed) -> float:
    return float(bool(observed.by_chance))


def _mean(responses: Sequence[Observed], value: Callable[[Observed], float]) -> Table | None:
    """A mean with its standard error, clustered by problem; None of nothing."""
    if not responses:
        return None
    clusters = [observed.problem for observed in responses]
    return as_table(mean_and_stderr([value(o) for o in responses], clusters=clusters))


def as_table(estimate: Estimate) -> Table:
    return asdict(estimate)


def _difference(difference: Difference | None) -> Table | None:
    return None if difference is None else asdict(difference)
