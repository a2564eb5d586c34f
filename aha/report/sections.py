"""Sections of the page that only runs of several stages have: models, lineage, data."""

import re
from collections.abc import Iterator
from typing import Any

from aha.report import tags
from aha.report.beside_paper import beside
from aha.report.formats import DASH, PLUS_MINUS, format_value
from aha.report.lineage import lineage_svg
from aha.report.models import MetricRow, ModelTable, model_table, training_rows
from aha.report.reader import Row, RunData, StageData, as_number
from aha.report.tags import escape, section

MAX_FUNNEL_STEPS, MAX_MASK_ROWS = 24, 8
_TRAINED = re.compile(r"(\[\[|\]\])")


def models_section(run: RunData) -> str:
    """The paper's stage table."""
    table = model_table(run)
    if table is None:
        return ""
    rows = training_rows(run)
    training = tags.table(rows[0], rows[1:]) if rows else ""
    body = (
        '<p class="note">Means over held-out prompts with \u00b1 standard error, clustered '
        "by prompt. The best value of a row is marked.</p>"
        f"{_model_table(table)}{training}{paper_beside(run)}"
    )
    return section("models", "Models", body)


def paper_beside(run: RunData) -> str:
    """The paper's own table; it is of other models."""
    found = beside(run)
    if found is None:
        return ""
    title = f"{found.title[0].upper()}{found.title[1:]}. {found.note}"
    shown = tags.table(found.rows[0], found.rows[1:])
    return f'<details class="beside"><summary>{escape(title)}</summary>{shown}</details>'


def lineage_section(run: RunData) -> str:
    """The graph of the stages."""
    return section("lineage", "Lineage", lineage_svg(run))


def data_section(run: RunData) -> str:
    """What the data stages kept, and which tokens fine-tuning trains on."""
    funnels = "".join(_funnel(stage) for stage in run.stages if stage.funnel)
    masks = "".join(_mask(stage) for stage in run.stages if stage.mask)
    if masks:
        masks = (
            '<h3 class="stage-title">What fine-tuning trains on</h3><p class="note">The first '
            f"conversations of each set; the loss is on the marked tokens.</p>{masks}"
        )
    return section(
        "datasets", "Data", (f'<div class="funnels">{funnels}</div>' if funnels else "") + masks
    )


def _model_table(table: ModelTable) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.models)
    groups = list(dict.fromkeys(row.spec.group for row in table.rows))
    body = "".join(_group(table, group) for group in groups)
    return (
        '<div class="scroll card models" tabindex="0"><table><thead><tr><th scope="col">metric</th>'
        f"{head}</tr></thead>{body}</table></div>"
    )


def _group(table: ModelTable, group: str) -> str:
    rows = "".join(_metric(row) for row in table.rows if row.spec.group == group)
    width = len(table.models) + 1
    title = f'<tr class="group"><th scope="rowgroup" colspan="{width}">{escape(group)}</th></tr>'
    return f"<tbody>{title}{rows}</tbody>"


def _metric(row: MetricRow) -> str:
    spec = row.spec
    arrow = {"more": "\u2191", "less": "\u2193", "": ""}[spec.better]
    said = {"more": "more is better", "less": "less is better", "": ""}[spec.better]
    mark = f' <span class="unit" title="{said}" aria-label="{said}">{arrow}</span>' if arrow else ""
    unit = "" if spec.unit == "fraction" else f", {spec.unit}" if spec.group != "Other" else ""
    name = (
        f'<th scope="row" title="{escape(spec.explanation)}">{escape(spec.label + unit)}{mark}</th>'
    )
    return f"<tr>{name}{''.join(_cells(row))}</tr>"


def _cells(row: MetricRow) -> Iterator[str]:
    for index, cell in enumerate(row.cells):
        if cell is None:
            yield f"<td>{DASH}</td>"
            continue
        value = format_value(cell.value, row.spec.unit)
        error = ""
        if cell.stderr is not None:
            shown = format_value(cell.stderr, row.spec.unit).rstrip("%")
            error = f' <span class="unit">{PLUS_MINUS}{shown}</span>'
        best = ' class="best"' if index in row.best else ""
        yield f"<td{best}>{value}{error}</td>"


def _funnel(stage: StageData) -> str:
    """Bars of what was left after each step; steps that dropped nothing are not drawn."""
    steps = list(_steps(stage.funnel))[:MAX_FUNNEL_STEPS]
    if not steps:
        return ""
    is_funnel = steps[0][0] == "drawn"
    whole = steps[0][1] if is_funnel else sum(count for _, count in steps)
    kept = steps[-1][1] if is_funnel else whole
    share = f" of {whole:,} ({100 * kept / whole:.1f}%)" if is_funnel and kept < whole else ""
    bars = "".join(_bars(steps, whole, is_funnel=is_funnel))
    return (
        f'<article class="card funnel"><h3>{escape(stage.name)}</h3>'
        f'<p class="note">{kept:,} kept{share}</p><ol>{bars}</ol>'
        f"{_left_out(stage, is_funnel)}</article>"
    )


def _bars(steps: list[tuple[str, int]], whole: int, *, is_funnel: bool) -> Iterator[str]:
    before = None
    for name, count in steps:
        if is_funnel and count == before:
            continue
        lost = "" if before is None or not is_funnel else f"\u2212{before - count:,}"
        label = name.removeprefix("not ") if lost else name
        width = 100 * count / whole if whole else 0
        taken = 100 * (before - count) / whole if lost and whole and before is not None else 0
        gone = f'<i class="lost" style="width:{taken:.2f}%"></i>' if lost else ""
        yield (
            f'<li><span class="step">{escape(label)}</span>'
            f'<span class="bar"><i style="width:{width:.2f}%"></i>{gone}</span>'
            f'<span class="count">{lost or f"{count:,}"}</span></li>'
        )
        before = count


def _left_out(stage: StageData, is_funnel: bool) -> str:
    """What a mixture leaves out of its inputs to keep the proportion."""
    dropped = stage.funnel.get("dropped")
    if is_funnel or not isinstance(dropped, dict):
        return ""
    counts = {name: as_number(count) for name, count in dropped.items()}
    said = ", ".join(f"{count:,.0f} {name}" for name, count in counts.items() if count)
    return f'<p class="note">{escape(said)}</p>' if said else ""


def _steps(funnel: Row) -> Iterator[tuple[str, int]]:
    steps: Any = funnel.get("steps")
    for step in steps if isinstance(steps, list) else ():
        count = as_number(step.get("count")) if isinstance(step, dict) else None
        if count is not None and count >= 0:
            yield str(step.get("name", "")), int(count)


def _mask(stage: StageData) -> str:
    """mask.txt with its trained tokens marked."""
    lines = stage.mask.split("\n")
    shown = "\n".join(lines[: 2 * MAX_MASK_ROWS + 1])
    marked, is_open = "", False
    for piece in _TRAINED.split(shown.partition("\n")[2]):
        if piece == "[[" and not is_open:
            marked, is_open = f"{marked}<mark>", True
        elif piece == "]]" and is_open:
            marked, is_open = f"{marked}</mark>", False
        else:
            marked += escape(piece)
    marked += "</mark>" if is_open else ""
    return (
        f'<details class="card mask"><summary>{escape(stage.name)}</summary>'
        f'<pre class="text" dir="auto">{marked}</pre></details>'
    )
