"""One pass over a run's samples: what there is, how checks went, the first aha moments."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aha.evals.corrections import (
    Correction,
    CorrectionKind,
    CorrectionRates,
    analyse_corrections,
    count_corrections,
    thought_of,
)
from aha.evals.emergence import Observed, Observer
from aha.report.reader import Row, RunData, StageData

MAX_READ_BYTES = 100_000_000
"""Of samples files; when there is more, steps are left out evenly."""
NUM_FIXES, NUM_FAILURES = 4, 2
"""How many moments are kept: repairs that led to a right answer, and checks that did harm."""


@dataclass(frozen=True, slots=True)
class Located:
    """The corrections of one text, and where in the text the analysed thought starts."""

    corrections: list[Correction]
    offset: int

    def pairs(self) -> list[tuple[Correction, int]]:
        return [(correction, self.offset) for correction in self.corrections]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A sample in which looking back decided the outcome."""

    stage: int
    row: Row
    located: Located
    correction: Correction
    """The one that counts: the first of its kind in the sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupKey:
    """The samples of one problem at one step."""

    stage: int
    step: int
    problem_id: str
    when: str = ""
    """`before`, `after` or a model in an evaluation, which writes all of them at one step."""

    @staticmethod
    def of(stage: int, step: int, row: Row) -> "GroupKey":
        problem_id = str(row.get("problem_id", ""))
        return GroupKey(stage=stage, step=step, problem_id=problem_id, when=when_of(row))


@dataclass(slots=True)
class Survey:
    """What the samples of a run hold, without their texts."""

    groups: dict[GroupKey, int] = field(default_factory=dict)
    """Characters of text in each group, in order of stage, step and appearance."""
    rates: dict[tuple[int, int, str], CorrectionRates] = field(default_factory=dict)
    """(stage, step, when) -> how looking back went."""
    observed: dict[tuple[int, int, str], list[Observed]] = field(default_factory=dict)
    """(stage, step, when) -> what the responses show of reasoning behaviours."""
    fixes: list[Moment] = field(default_factory=list)
    failures: list[Moment] = field(default_factory=list)
    num_steps_skipped: int = 0
    """Steps whose samples were not read because there were too many."""


def survey_samples(run: RunData) -> Survey:
    """Read the samples of all stages, evenly thinned to MAX_READ_BYTES."""
    survey = Survey()
    sized = [(index, stage, _size(stage)) for index, stage in enumerate(run.stages)]
    total = sum(size for *_, size in sized)
    for index, stage, _ in sized:
        steps = list(stage.sample_files)
        keep = len(steps) if total <= MAX_READ_BYTES else len(steps) * MAX_READ_BYTES // total
        chosen = spread_evenly(steps, max(1, keep))
        survey.num_steps_skipped += len(steps) - len(chosen)
        for step in chosen:
            _survey_step(survey, index, stage, step)
    return survey


def locate_corrections(row: Row) -> Located:
    """The corrections in a sample's thought."""
    text = text_of(row)
    thought = thought_of(text)
    corrections = analyse_corrections(thought, row.get("verdict") == "correct")
    return Located(corrections, max(0, text.find(thought)))


def when_of(row: Row) -> str:
    """Which of the evaluated models a sample is of; empty for samples of training."""
    return str(row.get("when") or row.get("model") or "")


def text_of(row: Row) -> str:
    text = row.get("text")
    return text if isinstance(text, str) else ""


def spread_evenly(items: Sequence[Any], count: int) -> list[Any]:
    """`count` items at equal distances, the first and the last among them."""
    if count >= len(items):
        return list(items)
    if count <= 1:
        return list(items[-1:])
    return [items[round(index * (len(items) - 1) / (count - 1))] for index in range(count)]


def _size(stage: StageData) -> int:
    return sum(path.stat().st_size for path in stage.sample_files.values() if path.exists())


def _survey_step(survey: Survey, stage_index: int, stage: StageData, step: int) -> None:
    found: dict[str, list[list[Correction]]] = {}
    observers: dict[str, Observer] = {}
    for row in stage.samples(step):
        key = GroupKey.of(stage_index, step, row)
        survey.groups[key] = survey.groups.get(key, 0) + len(text_of(row))
        located = locate_corrections(row)
        found.setdefault(key.when, []).append(located.corrections)
        observers.setdefault(key.when, Observer()).take(row)
        _keep_moment(survey, stage_index, row, located)
    for when, corrections in found.items():
        survey.rates[stage_index, step, when] = count_corrections(corrections)
        survey.observed[stage_index, step, when] = observers[when].found


def _keep_moment(survey: Survey, stage_index: int, row: Row, located: Located) -> None:
    """Keep the first moments of each sort, one for each problem."""
    if row.get("verdict") == "correct":
        kept, limit = survey.fixes, NUM_FIXES
        kinds: tuple[CorrectionKind, ...] = ("fix",)
    else:
        kept, limit = survey.failures, NUM_FAILURES
        kinds = ("false_alarm", "missed")
    if len(kept) >= limit or _seen(kept, row):
        return
    deciding = next((found for found in located.corrections if found.kind in kinds), None)
    if deciding is not None:
        kept.append(Moment(stage=stage_index, row=row, located=located, correction=deciding))


def _seen(moments: Iterable[Moment], row: Row) -> bool:
    return any(moment.row.get("problem_id") == row.get("problem_id") for moment in moments)
