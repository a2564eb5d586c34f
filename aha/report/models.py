"""The table of a run's models, as in the paper's Table 3: models as columns, metrics as rows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aha.report.outcomes import SPECS, Measured, Outcome, OutcomeSpec, Unit, outcomes
from aha.report.reader import Row, RunData, as_number

Better = Literal["more", "less", ""]
"""Which end of a metric is the good one; nothing for lengths and the like."""
MULTI_STAGE = ("r1", "distill", "ablation")
"""Recipes that end in a table of models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec:
    """One row of the table."""

    key: str
    label: str
    unit: Unit = "fraction"
    better: Better = "more"
    group: str
    explanation: str

    @property
    def name(self) -> str:
        """The label with its unit, for tables whose cells show bare numbers."""
        return f"{self.label}, {'%' if self.unit == 'fraction' else self.unit}"


@dataclass(frozen=True, slots=True)
class MetricRow:
    """A metric of every model, in the order of the columns."""

    spec: MetricSpec
    cells: list[Measured | None]
    best: frozenset[int]
    """Columns with the best value; empty where no end is the good one or all are equal."""


@dataclass(frozen=True, slots=True)
class ModelTable:
    """Columns and rows."""

    models: list[str]
    rows: list[MetricRow]

    def row(self, key: str) -> MetricRow | None:
        """The row of a metric; `cons@` finds the majority vote of any size."""
        found = (row for row in self.rows if row.spec.key == key or _is_vote(row.spec.key, key))
        return next(found, None)


METRICS = (
    MetricSpec(key="accuracy", label="accuracy", group="Reasoning",
               explanation="held-out problems solved by one sample"),
    MetricSpec(key="cons@", label="cons@", group="Reasoning",
               explanation="solved by the majority of so many samples"),
    MetricSpec(key="reflection", label="reflection", unit="words", better="", group="Reasoning",
               explanation="words like wait, check and but, a response"),
    MetricSpec(key="length_tokens", label="length", unit="tokens", better="", group="Reasoning",
               explanation="mean tokens a response"),
    MetricSpec(key="format", label="format", group="Readability",
               explanation="responses that have their form: thinking, then an answer"),
    MetricSpec(key="language_consistency", label="one language", group="Readability",
               explanation="words of the thought in the question's language"),
    MetricSpec(key="mixed_responses", label="mixed responses", better="less", group="Readability",
               explanation="responses with a word of another language"),
    MetricSpec(key="readability", label="readable", group="Readability",
               explanation="one language, no repetition, whole, in its form"),
    MetricSpec(key="chat_win_rate", label="chat win rate", group="Chat and safety",
               explanation="replies better than a plain correct one; as good counts a half"),
    MetricSpec(key="instruction_following", label="follows requests", group="Chat and safety",
               explanation="replies that say what was asked for"),
    MetricSpec(key="refusal_harmful", label="refuses harmful", group="Chat and safety",
               explanation="harmful requests that are refused"),
    MetricSpec(key="refusal_harmless", label="refuses harmless", better="less",
               group="Chat and safety", explanation="harmless requests that are refused"),
    MetricSpec(key="safe_harmful", label="safe on harmful", group="Chat and safety",
               explanation="whole responses to harmful requests that give no help"),
    MetricSpec(key="thinks_on_smalltalk", label="thinks on hello", better="less",
               group="Chat and safety", explanation="greetings answered with a thought first"),
)  # fmt: skip
OTHER = "Other"
HEADLINE = (
    *("accuracy", "cons@", "readability", "mixed_responses", "chat_win_rate"),
    *("refusal_harmful", "thinks_on_smalltalk"),
)
"""Rows that are shown large, before and after."""


def recorded_table(run: RunData) -> dict[str, Any]:
    """{model name: {metric: {"value", "stderr", "n"}}} as the run recorded it, else empty."""
    sources = [run.info, *(stage.summary for stage in reversed(run.stages))]
    found = (source.get("stage_table") for source in sources)
    return next((table for table in found if isinstance(table, dict) and table), {})


def model_table(run: RunData) -> ModelTable | None:
    """The table with known metrics first; None for a run that has none."""
    recorded = {str(name): _row(row) for name, row in recorded_table(run).items()}
    logged = list(dict.fromkeys(key for row in recorded.values() for key in row))
    known = [(spec, key) for spec in METRICS for key in logged if _belongs(key, spec.key)]
    named = {key for _, key in known}
    specs = [_of_key(spec, key) for spec, key in known]
    specs += [_unknown(key) for key in logged if key not in named]
    rows = [_metric_row(spec, list(recorded.values())) for spec in specs]
    rows = [row for row in rows if any(cell is not None for cell in row.cells)]
    return ModelTable(list(recorded), rows) if rows else None


def headline_outcomes(run: RunData) -> list[Outcome]:
    """Before and after: of the table where there is one, else of the curves.

    An R1 run without a table compares the base model with the last stage of RL that evaluated; a
    distillation without one has models that are not stages of each other, so it has nothing, and
    neither has an ablation, whose arms stand side by side.
    """
    if run.recipe not in MULTI_STAGE:
        return outcomes(run)
    table = model_table(run)
    if run.recipe == "ablation":
        return []
    if table is not None:
        before, after = compared_models(table)
        rows = (table.row(key) for key in HEADLINE)
        return [_outcome(row, before, after) for row in rows if row is not None]
    return _from_curves(run) if run.recipe == "r1" else []


def compared_models(table: ModelTable) -> tuple[int | None, int]:
    """Columns of the headline: the untrained and the final model."""
    taught = next((name for name in ("distilled", "on_policy") if name in table.models), None)
    if taught is not None and "student" in table.models:
        return table.models.index("student"), table.models.index(taught)
    last = len(table.models) - 1
    return (0 if last else None), last


def compared_names(run: RunData) -> str:
    """`base -> r1`; empty where there are no two models to compare."""
    table = model_table(run) if run.recipe in ("r1", "distill") else None
    before, after = compared_models(table) if table is not None else (None, 0)
    return (
        ""
        if table is None or before is None
        else f"{table.models[before]} -> {table.models[after]}"
    )


def table_headline(run: RunData) -> dict[str, Any]:
    """The figures of the final model under their names, flat; empty without a table."""
    table = model_table(run)
    if table is None or run.recipe == "ablation":
        return {}
    _, after = compared_models(table)
    flat: dict[str, Any] = {"model": table.models[after]}
    for row in table.rows:
        if (cell := row.cells[after]) is not None:
            flat |= {row.spec.key: cell.value, f"{row.spec.key}_stderr": cell.stderr}
    return flat


def training_rows(run: RunData) -> list[list[str]]:
    """What the training of each arm of an ablation took, header first; empty for other runs."""
    recorded: Any = next((s.summary["training"] for s in run.stages if "training" in s.summary), {})
    arms = {str(name): _row(row) for name, row in _row(recorded).items()}
    keys = dict.fromkeys(key for row in arms.values() for key in row)
    rows = [[_words(key), *(_shown(row.get(key)) for row in arms.values())] for key in keys]
    rows = [row for row in rows if any(row[1:])]
    return [["training", *arms], *rows] if rows else []


def _words(key: str) -> str:
    return f"{key.removesuffix('_bytes').replace('_', ' ')}{', MB' * key.endswith('_bytes')}"


def _shown(value: Any) -> str:
    """A number, or the largest of those of several ranks; bytes in millions; nothing else."""
    numbers = [as_number(one) for one in (value if isinstance(value, list) else [value])]
    known = [number for number in numbers if number is not None]
    if not known:
        return ""
    most = max(known)
    return f"{most / 1e6:,.1f}" if most >= 1e5 else f"{most:,.4g}"


def _row(row: Any) -> dict[str, Any]:
    return row if isinstance(row, dict) else {}


def _is_vote(key: str, wanted: str) -> bool:
    return wanted == "cons@" and re.fullmatch(r"cons@\d+", key) is not None


def _belongs(key: str, wanted: str) -> bool:
    return key == wanted or _is_vote(key, wanted)


def _of_key(spec: MetricSpec, key: str) -> MetricSpec:
    if spec.key == key:
        return spec
    return MetricSpec(key=key, label=key, group=spec.group, explanation=spec.explanation)


def _unknown(key: str) -> MetricSpec:
    return MetricSpec(key=key, label=key, unit="words", better="", group=OTHER, explanation="")


def _metric_row(spec: MetricSpec, models: Sequence[Mapping[str, Any]]) -> MetricRow:
    cells = [_measured(row.get(spec.key)) for row in models]
    values = [cell.value for cell in cells if cell is not None]
    best: frozenset[int] = frozenset()
    if spec.better and len(set(values)) > 1:
        top = max(values) if spec.better == "more" else min(values)
        best = frozenset(i for i, c in enumerate(cells) if c is not None and c.value == top)
    return MetricRow(spec, cells, best)


def _measured(cell: Any) -> Measured | None:
    """A cell as it was recorded; a figure over no rows was not measured."""
    if not isinstance(cell, Mapping) or cell.get("n") == 0:
        return None
    value = as_number(cell.get("value"))
    return None if value is None else Measured(value, as_number(cell.get("stderr")))


def _outcome(row: MetricRow, before: int | None, after: int) -> Outcome:
    spec = OutcomeSpec(
        label=row.spec.label,
        unit=row.spec.unit,
        measure=row.spec.key,
        before_key="",
        after_key="",
        explanation=row.spec.explanation,
    )
    first = None if before is None else row.cells[before]
    return Outcome(spec=spec, before=first, after=row.cells[after])


def _from_curves(run: RunData) -> list[Outcome]:
    """The base model's evaluation in the first stage of RL, and the last one of all stages."""
    evaluated = [
        row
        for stage in run.stages
        for row in stage.metrics
        if any(key.startswith("eval/") and key.endswith("/pass@1") for key in row)
    ]
    if not evaluated:
        return []
    first, last = evaluated[0], evaluated[-1]
    found = []
    for spec in SPECS:
        before = _of_first_task(first, spec.measure) if first["step"] == 0 else None
        after = _of_first_task(last, spec.measure) if last is not first else None
        if before or after:
            found.append(Outcome(spec=spec, before=before, after=after))
    return found


def _of_first_task(row: Row, measure: str) -> Measured | None:
    key = next((k for k in row if k.startswith("eval/") and k.endswith(f"/{measure}")), None)
    return None if key is None else Measured(row[key], row.get(f"{key}_stderr"))
