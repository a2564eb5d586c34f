"""A task by measured difficulty: only problems that are solved sometimes, easy ones first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aha.errors import UserError
from aha.pipeline.sources import is_file
from aha.rewards.verdict import Verdict
from aha.tasks.sources.readers import read_jsonl
from aha.tasks.sources.reference import Reference
from aha.tasks.sources.splits import plain
from aha.tasks.task import Judgement, Problem, Split, Task

MOST_BANDS = 100
PASS_RATE = "pass_rate"
"""Where a problem's `meta` keeps the share of samples that solved it."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which training problems are used, and in how many bands of difficulty they come."""

    low: float = 0.0
    high: float = 1.0
    bands: int = 0
    """0: in any order."""
    rates: Mapping[str, float | None] | None = None
    """Pass rates by question, from a file beside the task; None: in the problems' own `meta`."""

    def apply(self, problems: Sequence[Problem]) -> list[Problem]:
        """The problems whose pass rate is known and within the limits, with it in `meta`."""
        kept = []
        for problem in problems:
            rate = self._rate(problem)
            if rate is not None and self.low <= rate <= self.high:
                kept.append(replace(problem, meta={**problem.meta, PASS_RATE: rate}))
        return kept

    def _rate(self, problem: Problem) -> float | None:
        if self.rates is not None:
            return self.rates.get(plain(problem.question))
        rate = problem.meta.get(PASS_RATE)
        return float(rate) if isinstance(rate, int | float) else None


class MeasuredTask(Task):
    """Another task with some of its training problems; the other splits stay whole."""

    def __init__(self, task: Task, selection: Selection):
        """Raises UserError when nothing is left to train on."""
        self.task = task
        self.name = task.name
        self.checkable = task.checkable
        self.rewards = task.rewards
        self.notes = task.notes
        self.isolated = task.isolated
        self.curriculum = selection.bands
        measured = task.problems("train")
        self._train = selection.apply(measured)
        if not self._train:
            raise UserError(
                f"of {len(measured)} training problems of {task.name!r} none has a pass rate from "
                f"{selection.low:g} to {selection.high:g}",
                hint="measure them with `aha tasks measure`, or widen min_pass_rate, max_pass_rate",
            )

    def problems(self, split: Split) -> Sequence[Problem]:
        return self._train if split == "train" else self.task.problems(split)

    def score(self, problem: Problem, response: str) -> Verdict:
        return self.task.score(problem, response)

    def judge(self, problem: Problem, response: str) -> Judgement:
        return self.task.judge(problem, response)


def by_difficulty(task: Task, reference: Reference) -> Task:
    """The task as the options of its reference choose from it; the task itself without any."""
    options = reference.options
    selection = Selection(
        low=reference.fraction("min_pass_rate", 0.0),
        high=reference.fraction("max_pass_rate", 1.0),
        bands=reference.count("curriculum", most=MOST_BANDS),
        rates=read_rates(Path(options["pass_rates"])) if "pass_rates" in options else None,
    )
    return task if selection == Selection() else MeasuredTask(task, selection)


def read_rates(path: Path) -> dict[str, float | None]:
    """Pass rates by question, as `aha tasks measure` wrote them. Raises UserError."""
    if not is_file(path):
        raise UserError(f"no file of pass rates {str(path)!r}", hint="see: aha tasks measure")
    rates: dict[str, float | None] = {}
    for row in read_jsonl(path):
        question, meta = row.values.get("question"), row.values.get("meta")
        if not isinstance(question, str) or not isinstance(meta, Mapping) or PASS_RATE not in meta:
            raise UserError(f"{row.where}: no pass rate", hint="see: aha tasks measure")
        rate = meta[PASS_RATE]
        known = isinstance(rate, int | float) and not isinstance(rate, bool)
        if rate is not None and not (known and 0 <= rate <= 1):
            raise UserError(f"{row.where}: pass_rate is {rate!r}", hint="a number from 0 to 1")
        rates[plain(question)] = rate
    return rates
