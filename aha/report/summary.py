"""`aha show RUN`: the headline before and after, the curve, the stages; as a table or as JSON."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Literal

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from aha.report.beside_paper import beside
from aha.report.corrections import correction_lines
from aha.report.emergence import emergence_lines
from aha.report.formats import (
    DASH,
    MAX_SPARKS,
    PLUS_MINUS,
    format_change,
    format_measured,
    format_number,
    format_seconds,
    format_value,
    sparkline,
)
from aha.report.markup import visible
from aha.report.models import (
    MULTI_STAGE,
    MetricRow,
    compared_names,
    headline_outcomes,
    model_table,
    recorded_table,
    table_headline,
)
from aha.report.outcomes import EVAL_KEY, Outcome, full_headline, outcomes, task_names
from aha.report.reader import RunData, StageData
from aha.report.stages import kind_of, result_of

CURVE_KEYS = ("reward/mean", "rollout/length_tokens", "rollout/reflection", "rollout/entropy")
MAX_CURVES = 8
CURVES_A_STAGE, LONG_RUN_SKIPS = 2, ("reward/mean",)
BEST = "*"
COLUMN_GAP, MODELS_GAP, MIN_SPARKS = 3, 2, 8
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
    if run.recipe in MULTI_STAGE:
        recorded = {k: v for k, v in shown["headline"].items() if k != "stage_table"}
        shown["headline"] = recorded | table_headline(run)
        shown["stage_table"] = recorded_table(run)
    return shown


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
        for warning in warnings_of(self.run):
            yield Text(f"WARNING: {visible(warning)}", style="yellow")
        parts = (
            _headline(self.run),
            _looking_back(self.run),
            _curves(self.run, width=options.max_width, ascii_only=options.ascii_only),
            _models(self.run, width=options.max_width),
            _stages(self.run),
            _paper(self.run),
        )
        yield Group(*(part for part in parts if part is not None))


def warnings_of(run: RunData) -> list[str]:
    """What the red-team found before the run started: rewards that a cheater is paid."""
    warnings = run.info.get("warnings")
    return (
        [text for text in warnings if isinstance(text, str)] if isinstance(warnings, list) else []
    )


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
    tasks = task_names(run) if run.recipe not in MULTI_STAGE else []
    several = len(tasks) > 1
    whole = headline_outcomes(run)
    sections = {task: outcomes(run, task) for task in tasks} if several else {"": whole}
    if not any(sections.values()):
        return None
    after = "after" if run.status == "done" else "so far"
    first = compared_names(run) or "held-out problems"
    names = [f"\n{first}", *(["\nfigure"] if several else [])]
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
    lines = correction_lines(run) + emergence_lines(run)
    return Text("\n" + "\n".join(lines)) if lines else None


def _curves(run: RunData, *, width: int, ascii_only: bool) -> Table | None:
    """First, last and shape of a few metrics; the shape takes what room `width` leaves."""
    rows = []
    for stage, key in _curves_shown(run):
        points = stage.series(key)
        values = [value for _, value in points]
        ends = format_number(values[0]), format_number(values[-1])
        name = f"{stage.name}: {key}" if run.recipe in MULTI_STAGE else key
        rows.append(((name, f"{points[0][0]}..{points[-1][0]}", *ends), values))
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


def _curves_shown(run: RunData) -> Iterator[tuple[StageData, str]]:
    """Of a run of many stages two curves a stage at most, and none of data stages."""
    is_long = run.recipe in MULTI_STAGE
    for stage in run.with_metrics():
        if is_long and kind_of(run, stage) in ("data", "evaluation"):
            continue
        chosen = [key for key in _curve_keys(stage) if not is_long or key not in LONG_RUN_SKIPS]
        for key in chosen[: CURVES_A_STAGE if is_long else MAX_CURVES]:
            yield stage, key


def _curve_keys(stage: StageData) -> list[str]:
    """The few metrics that tell how a stage went: known ones first, else whatever there is."""
    logged = list(dict.fromkeys(key for row in stage.metrics for key in row if key != "step"))
    accuracy = [key for key in logged if key.endswith("/pass@1") and EVAL_KEY.fullmatch(key)]
    losses = [key for key in logged if key.startswith("loss/")]
    known = [*accuracy, *(key for key in CURVE_KEYS if key in logged)]
    chosen = known if accuracy or "reward/mean" in logged else losses or logged
    return [key for key in chosen if len(stage.series(key)) > 1][:MAX_CURVES]


def _models(run: RunData, *, width: int) -> Table | None:
    """The stage table of a run: models as columns; standard errors where there is room."""
    found = model_table(run)
    if found is None:
        return None
    texts = [_model_cells(row, errors=True) for row in found.rows]
    names = [row.spec.name for row in found.rows]
    columns = zip(found.models, zip(*texts, strict=True), strict=True)
    taken = max(map(len, names)) + sum(
        MODELS_GAP + max(len(model), *map(len, cells)) for model, cells in columns
    )
    table = _table(f"\nheld-out ({BEST} best)", *(f"\n{name}" for name in found.models))
    table.padding = (0, MODELS_GAP, 0, 0)
    for row, name in zip(found.rows, names, strict=True):
        cells = _model_cells(row, errors=taken <= width)
        styles = ["bold" if index in row.best else "" for index in range(len(cells))]
        table.add_row(name, *(Text(c, s) for c, s in zip(cells, styles, strict=True)))
    return table


def _model_cells(row: MetricRow, *, errors: bool) -> list[str]:
    """`94.2\u00b10.7*`: percent without the sign, which stands beside the name."""
    return [
        _model_cell(row, index, errors=errors) if cell is not None else DASH
        for index, cell in enumerate(row.cells)
    ]


def _model_cell(row: MetricRow, index: int, *, errors: bool) -> str:
    cell, unit = row.cells[index], row.spec.unit
    assert cell is not None
    text = format_value(cell.value, unit).rstrip("%")
    if errors and cell.stderr is not None:
        text += PLUS_MINUS + format_value(cell.stderr, unit).rstrip("%")
    if not row.best:
        return text
    return text + (BEST if index in row.best else " ")


def _paper(run: RunData) -> Table | None:
    """The paper's own table, which is of other models; not before the run has figures."""
    found = beside(run)
    if found is None or not headline_outcomes(run):
        return None
    header, *rows = found.rows
    table = _table(f"\n{header[0]}", *(f"\n{name}" for name in header[1:]))
    table.title, table.title_justify = f"\n{found.title}", "left"
    table.title_style, table.row_styles = "dim", ["dim"]
    table.padding = (0, MODELS_GAP, 0, 0)
    for row in rows:
        table.add_row(*row)
    return table


def _stages(run: RunData) -> Table | None:
    if not run.stages:
        return None
    is_long = run.recipe in MULTI_STAGE
    table = _table("\nstage", "\nstatus", "\ntime", *(["\nwhat came of it"] if is_long else []))
    if is_long:
        table.columns[-1].justify = "left"
    for stage in run.stages:
        came = [result_of(run, stage)] if is_long else []
        table.add_row(stage.name, stage.status, format_seconds(stage.seconds), *came)
    return table
