"""`aha show A.json [B.json]`: evaluations as tables and JSON, beside the paper's figures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aha.evals.compare import ComparedFigure, Comparison
from aha.evals.figures import is_share
from aha.evals.leaderboard import Leaderboard, Place
from aha.evals.metrics import Difference, Estimate
from aha.evals.paper import LABEL, figures_of_suite
from aha.evals.result import Result
from aha.report.formats import DASH, MINUS, PLUS_MINUS, TIMES, format_value
from aha.report.markup import visible
from aha.report.outcomes import Unit

Cells = list[str]
TOKENS = ("length_tokens",)
MAX_PAPER_MODELS, MAX_NOTES = 14, 12


def unit_of(name: str, values: Sequence[float]) -> Unit:
    """How a figure is written: tokens, a share where it can be one, else a bare number."""
    if name in TOKENS:
        return "tokens"
    return "fraction" if is_share(name, values) else "words"


def format_estimate(name: str, estimate: Estimate) -> str:
    """`42.5% +-1.9`, with the sign that the terminal can show."""
    unit = unit_of(name, [estimate.value])
    error = format_value(estimate.stderr, unit).rstrip("%")
    return f"{format_value(estimate.value, unit)} {PLUS_MINUS}{error}"


def format_difference(figure: ComparedFigure) -> str:
    """`+2.4 +-1.1`, in points where the figure is a share."""
    unit = unit_of(figure.name, [figure.a, figure.b])
    difference = figure.difference
    sign = MINUS if difference.value < 0 else "+"
    value, error = (
        format_value(abs(x), unit).rstrip("%") for x in (difference.value, difference.stderr)
    )
    return f"{sign}{value} {PLUS_MINUS}{error}"


def format_p(difference: Difference) -> str:
    """`0.031`, or `<0.001`."""
    return "<0.001" if difference.p_value < 0.001 else f"{difference.p_value:.3f}"


def name_of(result: Result) -> str:
    """The model, as people call it."""
    return visible(str(result.model.get("name") or result.model.get("reference") or "a model"))


def names_of(a: Result, b: Result) -> tuple[str, str]:
    """Two names that differ: by the seed, else as A and B."""
    first, second = name_of(a), name_of(b)
    if first != second:
        return first, second
    seeds = a.settings.get("seed"), b.settings.get("seed")
    if seeds[0] != seeds[1]:
        return f"{first}, seed {seeds[0]}", f"{second}, seed {seeds[1]}"
    return f"A: {first}", f"B: {second}"


def how_taken(result: Result) -> str:
    """`200 problems x 4 responses, temperature 0.6, top-p 0.95, ...`."""
    settings, engine = result.settings, result.engine
    said = {"temperature": "temperature", "top_p": "top-p", "template": "template", "seed": "seed"}
    parts = [
        f"{len(result.problems):,} problems {TIMES} {settings.get('samples', '?')} responses",
        f"at most {settings.get('max_new_tokens', '?')} tokens",
        *(f"{words} {settings[key]}" for key, words in said.items() if key in settings),
        "engine " + " ".join(str(engine[k]) for k in ("name", "version", "dtype") if engine.get(k)),
    ]
    if judge := settings.get("judge"):
        parts.append(f"judged by {judge}")
    return visible(", ".join(parts))


def figure_rows(result: Result) -> list[Cells]:
    """Every figure with its standard error and the problems behind it, header first."""
    rows = [
        [visible(name), format_estimate(name, estimate), f"{estimate.n:,}"]
        for name, estimate in _main_first(result)
    ]
    return [["figure", f"value {PLUS_MINUS}", "problems"], *rows]


def comparison_rows(comparison: Comparison, names: tuple[str, str]) -> list[Cells]:
    """Both models over the shared problems, header first."""
    return [
        ["figure", *names, f"difference {PLUS_MINUS}", "p", "problems"],
        *(_compared(figure) for figure in comparison.figures),
    ]


def comparison_line(comparison: Comparison, names: tuple[str, str]) -> str:
    """How many problems each wins."""
    a, b = names
    line = (
        f"{visible(comparison.metric)} on {len(comparison.problems):,} shared problems: "
        f"{a} better on {comparison.wins:,}, {b} on {comparison.losses:,}, "
        f"equal on {comparison.ties:,}. Differences with their standard errors, clustered by "
        "problem; p: of no difference (paired, Student's t)."
    )
    if comparison.only_a or comparison.only_b:
        line += (
            f" Left out: {comparison.only_a:,} of {a} alone, {comparison.only_b:,} of {b} alone."
        )
    return line


def warning_lines(comparison: Comparison) -> list[str]:
    """What a forced comparison disregards."""
    return [f"not taken in the same way: {visible(str(one))}" for one in comparison.unlike]


def paper_rows(suite: str, *, most: int | None = None) -> list[Cells]:
    """The paper's figures of a suite, at most so many models, header first; empty without any."""
    found = figures_of_suite(suite)
    names = list(dict.fromkeys(figure.metric for figure in found))
    models = list(dict.fromkeys(figure.model for figure in found))[:most]
    cells = {(figure.model, figure.metric): figure for figure in found}
    rows = []
    for model in models:
        own = [cells.get((model, name)) for name in names]
        sources = dict.fromkeys(figure.source for figure in own if figure)
        rows.append([model, *(f.text if f else DASH for f in own), ", ".join(sources)])
    return [["model", *names, "in arXiv 2501.12948"], *rows] if rows else []


def leaderboard_rows(board: Leaderboard) -> list[Cells]:
    """Models down, suites across; header first."""
    places = {suite: board.places(suite) for suite in board.suites}
    rows = [
        [visible(name), *(_board_cell(places[s], name, board) for s in board.suites)]
        for name in board.models
    ]
    return [["model", *map(visible, board.suites)], *rows]


def board_notes(board: Leaderboard) -> list[str]:
    """What the marks of the table mean, and which results are not like the others."""
    notes = [
        "#1: no other model is better beyond chance (paired difference, p < 0.05); "
        "ranks only among results that were taken in the same way."
    ]
    unlike = [p for suite in board.suites for p in board.places(suite) if p.differs]
    for place in unlike[:MAX_NOTES]:
        entry, names = place.entry, ", ".join(place.differs)
        notes.append(visible(f"* {entry.model} on {entry.suite} differs in {names}: not ranked."))
    if len(unlike) > MAX_NOTES:
        notes.append(f"* So do {len(unlike) - MAX_NOTES:,} more results; --json names how.")
    return notes


def result_view(result: Result) -> RenderableType:
    """What `aha show A.json` prints."""
    parts: list[RenderableType] = [
        Text(f"{name_of(result)} on {visible(result.suite)}", style="bold"),
        Text(how_taken(result), style="dim"),
        _grid(figure_rows(result)),
        Text(f"{PLUS_MINUS}: standard error, clustered by problem", style="dim"),
    ]
    return Group(*parts, *_paper(result.suite))


def comparison_view(a: Result, b: Result, comparison: Comparison) -> RenderableType:
    """What `aha show A.json B.json` prints."""
    names = names_of(a, b)
    title = f"{names[0]} against {names[1]} on {visible(a.suite)}"
    warnings = [Text(f"WARNING: {line}", style="yellow") for line in warning_lines(comparison)]
    return Group(
        Text(title, style="bold"),
        Text(how_taken(a), style="dim"),
        *warnings,
        _grid(comparison_rows(comparison, names)),
        Text(comparison_line(comparison, names)),
        *_paper(a.suite),
    )


def leaderboard_view(board: Leaderboard) -> RenderableType:
    """What `aha show --leaderboard` prints."""
    notes = [Text(note, style="dim") for note in board_notes(board)]
    return Group(_grid(leaderboard_rows(board)), *notes)


def result_json(result: Result) -> dict[str, Any]:
    """A result without its samples, for scripts."""
    shown = {k: v for k, v in result.table().items() if k not in ("problems",)}
    return shown | {"paper": [asdict(figure) for figure in figures_of_suite(result.suite)]}


def comparison_json(a: Result, b: Result, comparison: Comparison) -> dict[str, Any]:
    """A comparison, for scripts."""
    return {
        "kind": "comparison",
        "suite": a.suite,
        "metric": comparison.metric,
        "a": dict(a.model),
        "b": dict(b.model),
        "figures": {f.name: _flat(f) for f in comparison.figures},
        "wins": comparison.wins,
        "losses": comparison.losses,
        "ties": comparison.ties,
        "only_a": comparison.only_a,
        "only_b": comparison.only_b,
        "unlike": [asdict(one) for one in comparison.unlike],
    }


def _compared(figure: ComparedFigure) -> Cells:
    found = figure.difference
    ends = _ends(figure)
    return [visible(figure.name), *ends, format_difference(figure), format_p(found), f"{found.n:,}"]


def _flat(figure: ComparedFigure) -> dict[str, float]:
    difference: Mapping[str, float] = asdict(figure.difference)
    found = {"a": figure.a, "b": figure.b, "difference": difference["value"]}
    return found | {key: difference[key] for key in ("stderr", "p_value", "n")}


def _main_first(result: Result) -> Iterator[tuple[str, Estimate]]:
    yield result.metric, result.main
    yield from (item for item in result.metrics.items() if item[0] != result.metric)


def _ends(figure: ComparedFigure) -> Cells:
    unit = unit_of(figure.name, [figure.a, figure.b])
    return [format_value(figure.a, unit), format_value(figure.b, unit)]


def _board_cell(places: Sequence[Place], model: str, board: Leaderboard) -> str:
    """The best-placed result of a model: `#1 42.5% +-1.9`, or with a star where unlike others."""
    place = next((p for p in places if board.label(p.entry) == model), None)
    if place is None:
        return DASH
    entry = place.entry
    text = format_estimate(entry.metric, Estimate(entry.value, entry.stderr, entry.n))
    rank = f"#{place.rank} " if place.rank is not None else ""
    return f"{rank}{text}{' *' if place.differs else ''}"


def _paper(suite: str) -> list[RenderableType]:
    rows = paper_rows(suite, most=MAX_PAPER_MODELS)
    if not rows:
        return []
    title = Text(f"\nFor orientation: {LABEL}, on {visible(suite)}", style="bold")
    return [title, _grid(rows, numbers=range(1, len(rows[0]) - 1))]


def _grid(rows: Sequence[Cells], *, numbers: Sequence[int] | None = None) -> Table:
    """A table without lines; all columns but the first are numbers unless said otherwise."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for index, name in enumerate(rows[0]):
        is_number = index > 0 if numbers is None else index in numbers
        side: Literal["left", "right"] = "right" if is_number else "left"
        table.add_column(Text(name), justify=side, overflow="fold", no_wrap=index == 0)
    for row in rows[1:]:
        table.add_row(*map(Text, row))
    return table
