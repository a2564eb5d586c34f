"""The numbers a run is judged by, before and after, with their standard errors."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aha.report.reader import RunData, StageData, as_number

Unit = Literal["fraction", "tokens", "words"]

EVAL_KEY = re.compile(r"eval/(?P<task>.+)/(?P<measure>[^/]+)")


@dataclass(frozen=True, slots=True)
class Measured:
    """A value and its standard error, where one is known."""

    value: float
    stderr: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeSpec:
    """Where an outcome is found: in the headline under two names, in metrics.jsonl under one."""

    label: str
    unit: Unit
    measure: str
    """Last part of `eval/TASK/MEASURE`."""
    before_key: str
    after_key: str
    explanation: str

    @property
    def name(self) -> str:
        """The label, with the unit where numbers do not show it."""
        return self.label if self.unit == "fraction" else f"{self.label}, {self.unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One line of the headline."""

    spec: OutcomeSpec
    before: Measured | None
    after: Measured | None

    @property
    def factor(self) -> float | None:
        """after / before, where both are known and it means something."""
        if self.before is None or self.after is None or self.before.value <= 0:
            return None
        return self.after.value / self.before.value


def _spec(measure: str, label: str, unit: Unit, explanation: str) -> OutcomeSpec:
    name = measure.removesuffix("_tokens")
    suffix = "_tokens" if measure.endswith("_tokens") else ""
    return OutcomeSpec(
        label=label,
        unit=unit,
        measure=measure,
        before_key=f"{name}_before{suffix}",
        after_key=f"{name}_after{suffix}",
        explanation=explanation,
    )


SPECS = (
    _spec("pass@1", "pass@1", "fraction", "held-out problems solved by one sample"),
    _spec("cons@16", "cons@16", "fraction", "solved by the majority of 16 samples"),
    _spec("length_tokens", "length", "tokens", "mean tokens a response"),
    _spec("reflection", "reflection", "words", "words like wait, check and but, a response"),
    _spec("format", "format", "fraction", "one think block, then one answer block"),
    _spec("language_consistency", "one language", "fraction",
          "words of the thought in the question's language"),
)  # fmt: skip


def outcomes(run: RunData, task: str | None = None) -> list[Outcome]:
    """Every outcome that is known at one end at least: the headline's numbers, else the curve's.

    task: of this task alone; None: as the headline has it, else the mean over the tasks.
    """
    headline, ends = headline_of(run), evaluated_ends(run)
    if task is not None:
        headline = by_task(headline).get(task, {})
        ends = (_of_task(ends[0], task), _of_task(ends[1], task))
    found = []
    for spec in SPECS:
        spec = _of_this_size(spec, headline)
        before = measured_in(headline, spec.before_key) or _mean(ends[0], spec.measure)
        after = measured_in(headline, spec.after_key) or _mean(ends[1], spec.measure)
        if before or after:
            found.append(Outcome(spec=spec, before=before, after=after))
    return found


def task_names(run: RunData) -> list[str]:
    """The tasks that were evaluated: those of the headline, else those of the curve."""
    recorded = list(by_task(headline_of(run)))
    return recorded or list(
        dict.fromkeys(task for stage in run.with_metrics() for task in tasks_of(stage))
    )


def by_task(headline: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The headline of each task, as far as it was recorded."""
    tasks = headline.get("tasks")
    items = tasks.items() if isinstance(tasks, Mapping) else ()
    return {str(name): dict(row) for name, row in items if isinstance(row, Mapping)}


def measured_in(headline: Mapping[str, Any], key: str) -> Measured | None:
    """A number of a headline with its standard error; None where there is none."""
    value = as_number(headline.get(key))
    return None if value is None else Measured(value, as_number(headline.get(f"{key}_stderr")))


def _of_task(row: dict[str, float], task: str) -> dict[str, float]:
    return {key: value for key, value in row.items() if key.startswith(f"eval/{task}/")}


def majority_of(rows: Sequence[Outcome]) -> Outcome | None:
    """The majority vote among outcomes."""
    return next((row for row in rows if row.spec.measure.startswith("cons@")), None)


def _of_this_size(spec: OutcomeSpec, headline: Mapping[str, Any]) -> OutcomeSpec:
    """The majority vote under the number of samples that this run took."""
    sizes = [match[1] for key in headline if (match := re.fullmatch(r"cons@(\d+)_after", key))]
    if not sizes or not spec.measure.startswith("cons@"):
        return spec
    name = f"cons@{sizes[0]}"
    return _spec(name, name, "fraction", f"solved by the majority of {sizes[0]} samples")


def headline_of(run: RunData) -> dict[str, Any]:
    """The recorded headline: run.json's, else the summary of the last evaluate stage."""
    if isinstance(said := run.info.get("headline"), dict) and said:
        return said
    summaries = [stage.summary for stage in run.stages if stage.name.endswith("evaluate")]
    return next((summary for summary in reversed(summaries) if summary), {})


def full_headline(run: RunData) -> dict[str, Any]:
    """The headline with all of its names; what is not known yet comes from the curve or is None."""
    recorded = headline_of(run)
    if run.recipe != "zero":
        return recorded
    derived: dict[str, Any] = dict.fromkeys(HEADLINE_NAMES)
    for outcome in outcomes(run):
        ends = (outcome.spec.before_key, outcome.before), (outcome.spec.after_key, outcome.after)
        for key, measured in ends:
            if key in derived and measured is not None:
                derived[key] = measured.value
                if f"{key}_stderr" in derived:
                    derived[f"{key}_stderr"] = measured.stderr
    return derived | recorded


HEADLINE_NAMES = (
    *(f"{name}{suffix}" for name in ("pass@1_before", "pass@1_after", "cons@16_after")
      for suffix in ("", "_stderr")),
    "length_before_tokens", "length_after_tokens", "reflection_before", "reflection_after",
    "format_after", "language_consistency_after", "corrections_before", "corrections_after",
    *(f"pass@1_without_reflection{suffix}" for suffix in ("", "_stderr", "_n")),
)  # fmt: skip


def evaluated_ends(run: RunData) -> tuple[dict[str, float], dict[str, float]]:
    """The first and the last row of metrics that holds an evaluation (empty where there is none).

    The first counts as "before" only if it is step 0; a single one is never both.
    """
    for stage in run.with_metrics():
        rows = [row for row in stage.metrics if any(key.startswith("eval/") for key in row)]
        if rows:
            first = rows[0] if rows[0]["step"] == 0 else {}
            last = rows[-1] if rows[-1] is not first else {}
            return first, last
    return {}, {}


def tasks_of(stage: StageData) -> list[str]:
    """The tasks that metrics.jsonl evaluates, in order of appearance."""
    keys = (key for row in stage.metrics for key in row)
    matches = (EVAL_KEY.fullmatch(key) for key in keys)
    return list(dict.fromkeys(match["task"] for match in matches if match))


def _mean(row: dict[str, float], measure: str) -> Measured | None:
    """The measure's mean over the tasks of one row; standard errors combine as independent."""
    tasks = [
        match["task"]
        for key in row
        if (match := EVAL_KEY.fullmatch(key)) and match["measure"] == measure
    ]
    if not tasks:
        return None
    values = [row[f"eval/{task}/{measure}"] for task in tasks]
    stderrs = [row.get(f"eval/{task}/{measure}_stderr") for task in tasks]
    return Measured(sum(values) / len(values), _combined(stderrs))


def _combined(stderrs: Sequence[float | None]) -> float | None:
    known = [stderr for stderr in stderrs if stderr is not None]
    if len(known) < len(stderrs):
        return None
    return float(sum(stderr**2 for stderr in known) ** 0.5) / len(known)
