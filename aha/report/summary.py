"""`aha show RUN`: the headline before and after, the curve, the stages; as a table or as JSON."""

from datetime import datetime, timedelta
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from aha.report.formats import (
    DASH,
    format_change,
    format_measured,
    format_number,
    format_seconds,
    sparkline,
)
from aha.report.outcomes import EVAL_KEY, full_headline, outcomes
from aha.report.reader import RunData, StageData

CURVE_STEPS = 64
"""How many of the last logged values a sparkline shows."""
CURVE_KEYS = ("reward/mean", "rollout/length_tokens", "rollout/reflection", "rollout/entropy")
MAX_CURVES = 8
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
            _curves(self.run, ascii_only=options.ascii_only),
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


def _table(*columns: str) -> Table:
    """A frameless table: first column left, the others right; numbers are never folded."""
    table = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, header_style="dim")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    return table


def _headline(run: RunData) -> Table | None:
    rows = outcomes(run)
    if not rows:
        return None
    after = "after" if run.status == "done" else "so far"
    table = _table("\nheld-out problems", "\nbefore", f"\n{after}", "\nchange")
    for row in rows:
        unit = row.spec.unit
        name = row.spec.label + ("" if unit == "fraction" else f", {unit}")
        before = format_measured(row.before, unit) if row.before else ""
        change = format_change(row)
        table.add_row(name, before, Text(format_measured(row.after, unit), "bold"), change)
    return table


def _curves(run: RunData, *, ascii_only: bool) -> Table | None:
    table = _table("\ncurve", "\nsteps", "\nfirst", "\nlast", "\n")
    table.columns[-1].justify = "left"
    for stage in run.with_metrics():
        for key in _curve_keys(stage):
            points = stage.series(key)[-CURVE_STEPS:]
            values = [value for _, value in points]
            steps = f"{points[0][0]}..{points[-1][0]}"
            curve = sparkline(values, ascii_only=ascii_only)
            table.add_row(key, steps, format_number(values[0]), format_number(values[-1]), curve)
    return table if table.row_count else None


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
