"""`aha show RUN`: the headline before and after, the curve, the stages; as a table or as JSON."""

from datetime import datetime, timedelta
from typing import Any, Literal

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from aha.report.corrections import correction_lines
from aha.report.formats import (
    DASH,
    MAX_SPARKS,
    format_change,
    format_measured,
    format_number,
    format_seconds,
    sparkline,
)
from aha.report.outcomes import EVAL_KEY, Outcome, full_headline, outcomes, task_names
from aha.report.reader import RunData, StageData

CURVE_STEPS = 64
"""How many of the last logged values a sparkline shows."""
CURVE_KEYS = ("reward/mean", "rollout/length_tokens", "rollout/reflection", "rollout/entropy")
MAX_CURVES = 8
COLUMN_GAP, MIN_SPARKS = 3, 8
QUIET_AFTER = timedelta(minutes=15)
"""A run that claims to be running and has not written for this long is said to be quiet."""


def show_json(run: RunData) -> dict[str, Any]:
    """One object with the names that scripts read (docs/design: machine-readable output)."""
    shown: dict[str, Any] = {
        "recipe": run.recipe,
        "status": run.status,
        "seconds": run.seconds,
        "stages": [
            {
                "name": stage.name,
                "id": stage.id,
                "status": stage.status,
                "seconds": stage.seconds,
                "output": stage.output,
            }
            for stage in run.stages
        ],
        "headline": full_headline(run),
    }
    if run.recipe == "r1":
        shown["stage_table"] = stage_table(run)
    return shown


def stage_table(run: RunData) -> dict[str, Any]:
    """{model name: {metric: {"value", "stderr", "n"}}} as the run recorded it, else empty."""
    sources = [run.info, *(stage.summary for stage in reversed(run.stages))]
    found = (source.get("stage_table") for source in sources)
    return next((table for table in found if isinstance(table, dict) and table), {})


def summary_text(run: RunData, *, width: int = 96) -> str:
    """The summary as plain text without colour."""
    console = Console(width=width, color_system=None, force_terminal=False, highlight=False)
    with console.capture() as capture:
        console.print(summary_table(run))
    return capture.get()


def summary_table(run: RunData) -> RenderableType:
    """Everything `aha show RUN` prints. Reads well without colour and on narrow terminals."""
    return _Summary(run)


class _Summary:
    """Renders late, because only the console knows whether it can draw more than ASCII."""

    def __init__(self, run: RunData):
        self.run = run

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(title(self.run), style="bold")
        yield Text(status_line(self.run), style="dim")
        parts = (
            _headline(self.run),
            _looking_back(self.run),
            _curves(self.run, width=options.max_width, ascii_only=options.ascii_only),
            _models(self.run),
            _stages(self.run),
        )
        yield Group(*(part for part in parts if part is not None))


def title(run: RunData) -> str:
    return f"{run.name}: recipe {run.recipe}"


def status_line(run: RunData, *, now: datetime | None = None) -> str:
    """Status, time taken, and how long a running run has been quiet."""
    parts = [run.status]
    if run.seconds is not None:
        parts.append(format_seconds(run.seconds))
    last = [stage.last_step for stage in run.stages if stage.last_step is not None]
    if last and run.status != "done":
        parts.append(f"step {last[-1]}")
    if run.status == "running" and run.last_change is not None:
        quiet = (now or datetime.now().astimezone()) - run.last_change
        if quiet > QUIET_AFTER:
            parts.append(f"nothing written for {format_seconds(quiet.total_seconds())}: stopped?")
    return ", ".join(parts)


def _table(*columns: str, num_names: int = 1) -> Table:
    """A frameless table: names to the left, numbers to the right; numbers are never folded."""
    table = Table(box=None, padding=(0, COLUMN_GAP, 0, 0), pad_edge=False, header_style="dim")
    for index, column in enumerate(columns):
        justify: Literal["left", "right"] = "left" if index < num_names else "right"
        table.add_column(column, justify=justify, no_wrap=True)
    return table


def _headline(run: RunData) -> Table | None:
    """Before and after: the headline, or a row a task and figure where there are several tasks."""
    tasks = task_names(run)
    several = len(tasks) > 1
    sections = {task: outcomes(run, task) for task in tasks} if several else {"": outcomes(run)}
    if not any(sections.values()):
        return None
    after = "after" if run.status == "done" else "so far"
    names = ["\nheld-out problems", *(["\nfigure"] if several else [])]
    table = _table(*names, "\nbefore", f"\n{after}", "\nchange", num_names=len(names))
    for task, rows in sections.items():
        for row in rows:
            table.add_row(*([task] if several else []), *_outcome_cells(row))
    return table


def _outcome_cells(row: Outcome) -> tuple[str | Text, ...]:
    unit = row.spec.unit
    before = format_measured(row.before, unit) if row.before else ""
    return row.spec.name, before, Text(format_measured(row.after, unit), "bold"), format_change(row)


def _looking_back(run: RunData) -> Text | None:
    """What self-corrections do and what the words are worth."""
    lines = correction_lines(run)
    return Text("\n" + "\n".join(lines)) if lines else None


def _curves(run: RunData, *, width: int, ascii_only: bool) -> Table | None:
    """First, last and shape of a few metrics; the shape takes what room `width` leaves."""
    rows = []
    for stage in run.with_metrics():
        for key in _curve_keys(stage):
            points = stage.series(key)[-CURVE_STEPS:]
            values = [value for _, value in points]
            ends = format_number(values[0]), format_number(values[-1])
            rows.append(((key, f"{points[0][0]}..{points[-1][0]}", *ends), values))
    if not rows:
        return None
    header = ("curve", "steps", "first", "last")
    columns = zip(header, *(cells for cells, _ in rows), strict=True)
    taken = sum(max(map(len, column)) + COLUMN_GAP for column in columns)
    table = _table(*(f"\n{name}" for name in header), "\n")
    table.columns[-1].justify = "left"
    room = min(MAX_SPARKS, max(MIN_SPARKS, width - taken - COLUMN_GAP))
    for cells, values in rows:
        table.add_row(*cells, sparkline(values, ascii_only=ascii_only, width=room))
    return table


def _curve_keys(stage: StageData) -> list[str]:
    """The few metrics that tell how a stage went: known ones first, else whatever there is."""
    logged = list(dict.fromkeys(key for row in stage.metrics for key in row if key != "step"))
    accuracy = [key for key in logged if key.endswith("/pass@1") and EVAL_KEY.fullmatch(key)]
    losses = [key for key in logged if key.startswith("loss/")]
    known = [*accuracy, *(key for key in CURVE_KEYS if key in logged)]
    chosen = known if accuracy or "reward/mean" in logged else losses or logged
    return [key for key in chosen if len(stage.series(key)) > 1][:MAX_CURVES]


def _models(run: RunData) -> Table | None:
    """The stage table of an R1 run: one row a metric, one column a model."""
    models = stage_table(run)
    metrics = list(dict.fromkeys(metric for row in models.values() for metric in _items(row)))
    if not metrics:
        return None
    table = _table("\nmodel", *(f"\n{name}" for name in models))
    for metric in metrics:
        cells = (_items(row).get(metric) for row in models.values())
        table.add_row(metric, *(_cell(cell) for cell in cells))
    return table


def _items(row: Any) -> dict[str, Any]:
    return row if isinstance(row, dict) else {}


def _cell(cell: Any) -> str:
    value = _items(cell).get("value")
    return format_number(value) if isinstance(value, int | float) else DASH


def _stages(run: RunData) -> Table | None:
    if not run.stages:
        return None
    table = _table("\nstage", "\nstatus", "\ntime")
    for stage in run.stages:
        table.add_row(stage.name, stage.status, format_seconds(stage.seconds))
    return table
