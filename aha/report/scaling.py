"""The figure of `aha scale`: accuracy against tokens spent, and beside it against train steps.

As in the figure of OpenAI's o1 ("Learning to reason with LLMs", 2024). A plain SVG with its colours
written out, so that any viewer shows it; the page around it is one file without a script.
"""

import json
import re
from collections.abc import Mapping, Sequence
from html import escape as escape_text
from importlib.resources import files
from pathlib import Path
from typing import Any

from aha.errors import UserError
from aha.report.axes import Axis, Frame, error_bar, log_axis, mark, polyline, step_axis, text
from aha.report.formats import PLUS_MINUS, format_value
from aha.report.tags import escape, section, table

Row = Mapping[str, Any]
HEIGHT = 520
TOP, BOTTOM = 74, 450
LEGEND_WIDTH = 300
PANEL_WIDTH = 620
TRAIN_WIDTH = 330
NUM_COLORS = 8
ORACLE_COLOR = 5
"""Grey: a ceiling, no method."""
KIND = "scaling"


def load_scaling(path: Path) -> dict[str, Any]:
    """A file of `aha scale`. Raises UserError for anything else."""
    hint = "give a file that `aha scale` wrote"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as broken:
        raise UserError(f"{path} cannot be read: {broken}", hint=hint) from None
    if not isinstance(found, dict) or found.get("kind") != KIND:
        raise UserError(f"{path} is no measurement of test-time compute", hint=hint)
    return found


def write_figures(result: Row, path: Path) -> tuple[Path, Path]:
    """The SVG and the page beside the JSON file `path`."""
    svg, page = path.with_suffix(".svg"), path.with_suffix(".html")
    svg.write_text(figure_svg(result), encoding="utf-8")
    page.write_text(page_html(result), encoding="utf-8")
    return svg, page


def curves(result: Row) -> dict[str, list[Row]]:
    """The points of each strategy, in order of the tokens spent."""
    found: dict[str, list[Row]] = {}
    for point in result["points"]:
        found.setdefault(str(point["strategy"]), []).append(point)
    return {name: sorted(rows, key=lambda row: row["tokens"]) for name, rows in found.items()}


def table_rows(result: Row) -> list[list[str]]:
    """Header and one row a point: what was done, tokens a problem, accuracy with its error."""
    rows = [["strategy", "size", "tokens a problem", "accuracy", "problems"]]
    for point in result["points"]:
        accuracy = format_value(point["accuracy"], "fraction")
        error = format_value(point["stderr"], "fraction").rstrip("%")
        rows.append(
            [
                f"{point['strategy']}" + (" (knows the answers)" if point["oracle"] else ""),
                _counted(point["size"], point["unit"]),
                format_value(point["tokens"], "tokens"),
                f"{accuracy} {PLUS_MINUS}{error}",
                str(point["n"]),
            ]
        )
    return rows


def _counted(size: int, unit: str) -> str:
    """`16 samples`, `1 sample`, `1 candidate a step`."""
    noun, *rest = unit.split(" ")
    return " ".join([f"{size:,}", noun.removesuffix("s") if size == 1 else noun, *rest])


def table_text(result: Row) -> str:
    """The same for the terminal."""
    rows = table_rows(result)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in
                 enumerate(zip(row, widths, strict=True))]  # fmt: skip
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def figure_svg(result: Row) -> str:
    """The whole figure."""
    training = result.get("training")
    offset = TRAIN_WIDTH if training else 0
    width = offset + PANEL_WIDTH + LEGEND_WIDTH
    y = _accuracy_axis(result)
    parts = [text(24, 32, _title(result), size=17, weight=600)]
    if training:
        parts += _training_panel(training, y)
    parts += _tokens_panel(result, y, left=offset + 66, right=offset + PANEL_WIDTH - 14)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" role="img" '
        f'aria-label="{escape_text(_title(result))}" width="{width}" height="{HEIGHT}" '
        'font-family="system-ui,-apple-system,Segoe UI,Roboto,Noto Sans,sans-serif">'
        f'<rect class="ground" width="{width}" height="{HEIGHT}" fill="#fff"/>'
        + "".join(parts)
        + "</svg>\n"
    )


def _title(result: Row) -> str:
    return f"{result['suite']}: accuracy of {result['model']['name']}"


def _accuracy_axis(result: Row) -> Axis:
    """One scale for both panels: from 0, up to 100% where anything comes near it."""
    values = [point["accuracy"] + point["stderr"] for point in result["points"]]
    values += [row[1] + row[2] for row in (result.get("training") or {}).get("points", ())]
    top = min(1.0, max(values, default=1.0) * 1.05)
    high = next(mark for mark in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0) if top <= mark)
    marks = [high * i / 5 for i in range(6)] if high > 0.5 else [high * i / 4 for i in range(5)]
    return Axis(0.0, high, BOTTOM, TOP, tuple((v, f"{100 * v:.3g}%") for v in marks))


def _training_panel(training: Row, y: Axis) -> list[str]:
    points = training["points"]
    x = step_axis([row[0] for row in points], left=66, right=TRAIN_WIDTH - 16)
    color = _palette()[0]
    places = [(x.at(step), y.at(value)) for step, value, *_ in points]
    task = training["metric"].removeprefix("eval/").removesuffix("/pass@1")
    parts = Frame(x, y).draw("train steps", f"pass@1 on {task} in training")
    parts.append(polyline(places, color, 0))
    for (across, up), (_, value, error) in zip(places, points, strict=True):
        parts.append(error_bar(across, y.at(value - error), y.at(value + error), color, 0))
        parts.append(mark(across, up, color, 0, 0))
    return parts


def _tokens_panel(result: Row, y: Axis, *, left: float, right: float) -> list[str]:
    x = log_axis([point["tokens"] for point in result["points"]], left=left, right=right)
    parts = Frame(x, y).draw(
        "tokens spent on a problem (log scale)", f"accuracy on {result['suite']} at test time"
    )
    for index, (name, points) in enumerate(curves(result).items()):
        oracle = bool(points[0]["oracle"])
        number = ORACLE_COLOR if oracle else _color_of(index)
        color, shape = _palette()[number], index
        dashes = "6 4" if oracle else "2 3" if index >= NUM_COLORS - 1 else ""
        places = [(x.at(point["tokens"]), y.at(point["accuracy"])) for point in points]
        parts.append(polyline(places, color, number, dashes=dashes))
        for (across, up), point in zip(places, points, strict=True):
            low, high = (point["accuracy"] + sign * point["stderr"] for sign in (-1, 1))
            tip = f"{name}={point['size']}: {point['tokens']:,.0f} tokens, "
            tip += f"{100 * point['accuracy']:.1f}% {PLUS_MINUS}{100 * point['stderr']:.1f}"
            bar = error_bar(across, y.at(low), y.at(high), color, number)
            spot = mark(across, up, color, number, shape)
            parts.append(f"<g><title>{escape_text(tip)}</title>{bar}{spot}</g>")
        at, up = right + 24, TOP + 8 + 30 * index
        parts.append(polyline([(at, up), (at + 24, up)], color, number, dashes=dashes))
        parts.append(mark(at + 12, up, color, number, shape))
        parts.append(text(at + 32, up + 4, points[0]["title"]))
    return parts


def _color_of(index: int) -> int:
    """Colours in turn, the grey of the ceiling left out."""
    others = [number for number in range(NUM_COLORS) if number != ORACLE_COLOR]
    return others[index % len(others)]


def _palette() -> tuple[str, ...]:
    """The light colours of the report's pages."""
    css = (files("aha.report") / "assets" / "page.css").read_text(encoding="utf-8")
    found = dict(re.findall(r"--c(\d):(#[0-9a-f]{6})", css.partition("@media")[0]))
    return tuple(found[str(number)] for number in range(NUM_COLORS))


STYLE = (
    "main svg{width:100%;height:auto;display:block}.ground{fill:var(--card)}"
    "svg text{fill:var(--ink)}svg .soft{fill:var(--soft)}svg .grid{stroke:var(--grid)}"
    + "".join(f".k{n}{{stroke:var(--c{n})}}.f{n}{{fill:var(--c{n});stroke:var(--card)}}"
              for n in range(NUM_COLORS))
    + ".card{padding:10px;margin-top:22px}pre{white-space:pre-wrap;overflow-wrap:anywhere}"
)  # fmt: skip


def page_html(result: Row) -> str:
    """One page: the figure, the figures as a table, one response a strategy, the settings."""
    css = (files("aha.report") / "assets" / "page.css").read_text(encoding="utf-8")
    rows = table_rows(result)
    body = section("points", "Points", table(rows[0], rows[1:]))
    body += section("examples", "First problem, last size", _examples(result))
    body += section("settings", "Settings", _settings(result))
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{escape(_title(result))} - aha</title><style>{css}{STYLE}</style></head><body>"
        f'<header class="top"><p class="brand">aha</p><h1>Test-time compute</h1>'
        f'<p class="lead">{escape(_lead(result))}</p></header>'
        f'<main><div class="card">{figure_svg(result)}</div>{body}</main></body></html>\n'
    )


def _lead(result: Row) -> str:
    settings = result["settings"]
    return (
        f"{_title(result)}, {settings['num_problems']} problems, "
        f"temperature {settings['temperature']:g}, top-p {settings['top_p']:g}. "
        f"Bars are {PLUS_MINUS}1 standard error over problems. Tokens are all that stand behind "
        "the prompt, in every branch."
    )


def _examples(result: Row) -> str:
    texts = ((rows[-1]["title"], rows[-1]["example"]) for rows in curves(result).values())
    return "".join(
        f"<details><summary>{escape(title)}</summary><pre>{escape(example)}</pre></details>"
        for title, example in texts
    )


def _settings(result: Row) -> str:
    known: Sequence[tuple[str, Any]] = [
        *result["settings"].items(),
        *((f"model.{key}", value) for key, value in result["model"].items()),
        *((f"version.{key}", value) for key, value in result["versions"].items()),
    ]
    return table(("setting", "value"), [(str(key), str(value)) for key, value in known])
