"""Two evaluations on the problems that both have: who is better, by how much, how surely.

Every figure that a problem has of its own is compared in pairs (`metrics.paired_difference`), the
mean over the scored responses of a problem being one value. Results that were not taken in the same
way are refused, because their difference says nothing of the models.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aha.errors import UserError
from aha.evals.figures import OF_K
from aha.evals.metrics import Difference, paired_difference
from aha.evals.result import ProblemResult, Result, SampleResult

FREE_SETTINGS = ("seed", "num_problems")
"""What may differ: other draws of the same experiment; the problems are compared by their hash."""
OWN_TEMPLATE = "chat"
"""Brought by each model, or filled in by the server."""
GRADERS = ("aha-rl", "aha", "math-verify", "sympy", "latex2sympy2_extended")
"""Packages whose version may change a verdict."""
MAX_SHOWN_CHARS = 60
OF_SAMPLE: dict[str, Callable[[SampleResult], float]] = {
    "length_tokens": lambda sample: float(sample.length_tokens),
    "truncated": lambda sample: float(sample.is_truncated),
    "unscored": lambda sample: float(not sample.is_scored),
}


@dataclass(frozen=True, slots=True)
class Unlike:
    """Something in which two results differ that must be the same."""

    name: str
    a: str
    b: str

    def __str__(self) -> str:
        return f"{self.name} ({self.a} against {self.b})"


@dataclass(frozen=True, slots=True)
class ComparedFigure:
    """One figure of both models, each over the shared problems, and a - b."""

    name: str
    a: float
    b: float
    difference: Difference


@dataclass(frozen=True, slots=True)
class ComparedProblem:
    """The main figure on one problem."""

    id: str
    a: float
    b: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What `compare` found."""

    metric: str
    figures: tuple[ComparedFigure, ...]
    """The main figure first."""
    problems: tuple[ComparedProblem, ...]
    """The shared ones, in the order of `a`."""
    only_a: int
    only_b: int
    unlike: tuple[Unlike, ...]
    """Empty unless the comparison was forced."""

    @property
    def main(self) -> ComparedFigure:
        return self.figures[0]

    @property
    def wins(self) -> int:
        """Problems on which `a` is better."""
        return sum(problem.a > problem.b for problem in self.problems)

    @property
    def losses(self) -> int:
        return sum(problem.a < problem.b for problem in self.problems)

    @property
    def ties(self) -> int:
        return len(self.problems) - self.wins - self.losses


def compare(a: Result, b: Result, *, force: bool = False) -> Comparison:
    """Compare two results of one suite. Raises UserError for unlike ones, unless forced."""
    unlike = differences(a, b)
    if unlike and not force:
        raise UserError(
            f"these results cannot be compared: they differ in {_listed(unlike)}",
            hint=f"{_remedy(unlike)}, or compare all the same with --force",
        )
    shared = shared_problems(a, b)
    figures = tuple(_figures(a, b, shared))
    if not figures:
        raise UserError(
            "these results share no problem that both have scored",
            hint="compare results of the same problems",
        )
    return Comparison(
        metric=figures[0].name,
        figures=figures,
        problems=tuple(_problems(a, b, shared, figures[0].name)),
        only_a=len(a.problems) - len(shared),
        only_b=len(b.problems) - len(shared),
        unlike=tuple(unlike),
    )


def differences(a: Result, b: Result) -> list[Unlike]:
    """Everything that keeps two results from being compared, by name."""
    return unlike_facts(conditions(a), conditions(b))


def conditions(result: Result) -> dict[str, Any]:
    """How a result was taken: what has to be equal for a comparison, by name.

    The text of the prompts is no part of it where each model's own chat template makes it: the
    messages are the same where problems and instruction are.
    """
    prompts = None if result.settings.get("template") == OWN_TEMPLATE else result.prompts_sha256
    settings = {k: v for k, v in result.settings.items() if k not in FREE_SETTINGS}
    graders = {f"grader {k}": v for k, v in result.versions.items() if k in GRADERS}
    return {
        "suite": result.suite,
        "metric": result.metric,
        "problems": result.problems_sha256,
        "prompts": prompts,
        **settings,
        **graders,
    }


def unlike_facts(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Unlike]:
    """The conditions that differ, in the order of `a`; a missing one is None."""
    names = list(dict.fromkeys([*a, *b]))
    found = [(name, a.get(name), b.get(name)) for name in names]
    return [Unlike(name, _shown(x), _shown(y)) for name, x, y in found if x != y]


def shared_problems(a: Result, b: Result) -> list[str]:
    """Ids of the problems of both, in the order of `a`: same id, question and gold."""
    others = {_identity(problem) for problem in b.problems}
    return [problem.id for problem in a.problems if _identity(problem) in others]


def figure_names(a: Result, b: Result) -> list[str]:
    """Figures that both report, the main one first; of pass@k and the like the largest k."""
    both = [a.metric, *(name for name in a.metrics if name != a.metric and name in b.metrics)]
    largest: dict[str, int] = {}
    for name in both:
        kind, k = of_k(name)
        largest[kind] = max(k, largest.get(kind, 0))
    return [n for n in both if n in (a.metric, "pass@1") or of_k(n)[1] == largest[of_k(n)[0]]]


def of_k(name: str) -> tuple[str, int]:
    """("cons", 16) of `cons@16`, ("g-pass:1", 16) of `g-pass@16:1`; else the name and 0."""
    kind, _, rest = name.rpartition("@")
    k, colon, threshold = rest.partition(":")
    kind += colon + threshold
    return (kind, int(k)) if kind in OF_K and k.isdecimal() else (name, 0)


def problem_value(problem: ProblemResult, name: str, *, main: str = "") -> float | None:
    """A figure of one problem, over its responses; None where nothing is known of it.

    main: a suite's own name for pass@1, where its samples have no figure of that name.
    """
    kind, k = of_k(name)
    if k:
        return OF_K[kind](problem.scored, k) if len(problem.scored) >= k else None
    if name in OF_SAMPLE:
        return _mean(OF_SAMPLE[name](sample) for sample in problem.samples)
    own = _mean(sample.figures[name] for sample in problem.samples if name in sample.figures)
    return problem_value(problem, "pass@1") if own is None and name == main else own


def problem_values(result: Result, name: str) -> dict[str, float]:
    """A figure of every problem that has it, by id; empty for a vote that cannot be taken again.

    Whether two answers are the same is the suite's knowledge, not the file's: a vote counts only
    where equal text alone leads to the figure that was recorded.
    """
    found = {
        problem.id: value
        for problem in result.problems
        if (value := problem_value(problem, name, main=result.metric)) is not None
    }
    if of_k(name)[0] != "cons":
        return found
    recorded = result.metrics[name].value
    return found if math.isclose(_mean(found.values()) or 0.0, recorded, abs_tol=1e-9) else {}


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return math.fsum(known) / len(known) if known else None


def _figures(a: Result, b: Result, shared: Sequence[str]) -> Iterable[ComparedFigure]:
    for name in figure_names(a, b):
        of_a, of_b = problem_values(a, name), problem_values(b, name)
        known = [key for key in shared if key in of_a and key in of_b]
        if known:
            x, y = [of_a[key] for key in known], [of_b[key] for key in known]
            means = math.fsum(x) / len(x), math.fsum(y) / len(y)
            yield ComparedFigure(name, *means, paired_difference(x, y))


def _problems(a: Result, b: Result, shared: Sequence[str], name: str) -> Iterable[ComparedProblem]:
    of_a, of_b = problem_values(a, name), problem_values(b, name)
    for key in shared:
        if key in of_a and key in of_b:
            yield ComparedProblem(key, of_a[key], of_b[key])


def _identity(problem: ProblemResult) -> tuple[str, str, str]:
    return problem.id, problem.question, problem.gold


def _remedy(unlike: Sequence[Unlike]) -> str:
    names = [one.name for one in unlike]
    if all(name.startswith("grader ") for name in names):
        return "grade the older one again (aha eval --regrade FILE)"
    if names == ["prompts"]:
        return "the text of the template has changed: evaluate one of them again"
    return "evaluate both in the same way"


def _listed(unlike: Sequence[Unlike]) -> str:
    return "; ".join(map(str, unlike))


def _shown(value: Any) -> str:
    text = "none" if value in (None, "") else str(value)
    is_hash = len(text) == 64 and all(c in "0123456789abcdef" for c in text)
    limit = 12 if is_hash else MAX_SHOWN_CHARS
    return text if len(text) <= limit else text[:limit] + "..."
