"""What `aha show` does with evaluations: one, two against each other, a leaderboard of many."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from aha.errors import UserError

if TYPE_CHECKING:
    from rich.console import RenderableType

PAGES = (".html", ".htm")


def page_of(names: list[str]) -> Path | None:
    """Take the page's file out of what `--html` was given with; None where it names none."""
    pages = [name for name in names if name.lower().endswith(PAGES)]
    if len(pages) > 1:
        raise UserError("--html writes one page", hint=f"name one file, not {', '.join(pages)}")
    for page in pages:
        names.remove(page)
    return Path(pages[0]) if pages else None


def without_timings(names: Sequence[str]) -> list[str]:
    """The names without the seconds that stand beside results: a shell's *.json holds both."""
    from aha.evals.result import TIMING

    kept = [name for name in names if not name.endswith(TIMING)]
    return kept or list(names)


def are_results(names: Sequence[str]) -> bool:
    """Whether these are files of evaluations, not runs."""
    return all(name.endswith(".json") or os.path.isfile(name) for name in names)


def results(
    names: Sequence[str], *, as_json: bool, html: bool, page: Path | None, force: bool
) -> None:
    """One evaluation, or two compared."""
    from aha.evals.leaderboard import KIND, kind_of

    if len(names) == 1 and kind_of(Path(names[0])) == KIND:
        return leaderboard(names, as_json=as_json, html=html, page=page, out=None)
    if len(names) > 2:
        raise UserError("two evaluations can be compared", hint="for more, add --leaderboard")
    first = Path(names[0])
    target = (page or first.with_suffix(".html")) if html else None
    if len(names) == 1:
        return _show_one(first, as_json, target)
    _show_two(first, Path(names[1]), as_json, target, force)


def leaderboard(
    names: Sequence[str], *, as_json: bool, html: bool, page: Path | None, out: Path | None
) -> None:
    """Merge files and folders of evaluations, and show who stands where."""
    from aha.evals.leaderboard import merge, save_leaderboard
    from aha.report.evaluations import leaderboard_view

    if not names:
        raise UserError("a leaderboard of what?", hint="give files of aha eval, or their folder")
    board = merge([Path(name) for name in names])
    if out is not None:
        save_leaderboard(out, board)
        typer.echo(f"leaderboard: {out}", err=True)
    _print(board.table() if as_json else leaderboard_view(board))
    if html:
        from aha.report.evaluations_page import write_leaderboard_page

        beside = out or Path(names[0] if names[0].endswith(".json") else "leaderboard.json")
        written = write_leaderboard_page(page or beside.with_suffix(".html"), board)
        typer.echo(f"\nreport: {written}", err=as_json)


def _show_one(path: Path, as_json: bool, page: Path | None) -> None:
    from aha.evals.result import load_result
    from aha.report.evaluations import result_json, result_view

    result = load_result(path)
    _print(result_json(result) if as_json else result_view(result))
    if page is not None:
        from aha.report.evaluations_page import write_result_page

        typer.echo(f"\nreport: {write_result_page(page, result)}", err=as_json)


def _show_two(a: Path, b: Path, as_json: bool, page: Path | None, force: bool) -> None:
    from aha.evals.compare import compare
    from aha.evals.result import load_result
    from aha.report.evaluations import comparison_json, comparison_view

    first, second = load_result(a), load_result(b)
    found = compare(first, second, force=force)
    view = comparison_json if as_json else comparison_view
    _print(view(first, second, found))
    if page is not None:
        from aha.report.evaluations_page import write_comparison_page

        written = write_comparison_page(page, first, second, found)
        typer.echo(f"\nreport: {written}", err=as_json)


def _print(shown: "dict[str, Any] | RenderableType") -> None:
    """A dict as one line of JSON, anything else as the console draws it."""
    if isinstance(shown, dict):
        print(json.dumps(shown, ensure_ascii=False))
    else:
        from rich.console import Console

        Console(highlight=False).print(shown)
