"""`aha show`: a run, an evaluation, two against each other, or a leaderboard of many."""

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aha.errors import UserError

if TYPE_CHECKING:
    from aha.report import RunData

RUNS = Path("runs")


def command(
    what: Annotated[
        list[str] | None,
        typer.Argument(help="Run directory, or its name in runs/ [the newest]; or A.json [B.json]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    html: Annotated[
        bool, typer.Option("--html", help="Write a page: report.html of a run, else [FILE.html].")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Compare evaluations of unlike settings.")
    ] = False,
    leaderboard: Annotated[
        bool, typer.Option("--leaderboard", help="Merge evaluations: files and folders of them.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write the leaderboard to this file.")] = None,
) -> None:
    """Show a run, an evaluation (A.json), two compared (A.json B.json), or a leaderboard."""
    from aha.cli import show_results

    names = show_results.without_timings(what or [])
    page = show_results.page_of(names) if html else None
    if leaderboard:
        return show_results.leaderboard(names, as_json=as_json, html=html, page=page, out=out)
    if out is not None:
        raise UserError("--out is where a leaderboard goes", hint="add --leaderboard")
    if names and show_results.are_results(names):
        return show_results.results(names, as_json=as_json, html=html, page=page, force=force)
    if len(names) > 1:
        raise UserError("aha show takes one run", hint="evaluations end in .json: A.json B.json")
    show_run(names[0] if names else None, as_json=as_json, html=html, page=page)


def show_run(name: str | None, *, as_json: bool, html: bool, page: Path | None) -> None:
    """A run as a table, as JSON or as an HTML page."""
    from aha import report

    path = find_run(name)
    shown = read_checked(path)
    if as_json:
        print(json.dumps(report.show_json(shown), ensure_ascii=False))
    else:
        from rich.console import Console

        Console(highlight=False).print(report.summary_table(shown))
    if html:
        written = report.write_html(shown, page or path / "report.html")
        typer.echo(f"\nreport: {written}", err=as_json)


def find_run(name: str | None) -> Path:
    """A run directory by path or by name in runs/; without a name the newest."""
    if name is None:
        newest = sorted(RUNS.glob("*/run.json"), key=lambda file: file.stat().st_mtime)
        if not newest:
            raise UserError("there are no runs in runs/", hint="start one with: aha run zero")
        return newest[-1].parent
    for path in (Path(name), RUNS / name):
        if os.path.isfile(path / "run.json"):  # Path.is_file raises for a name too long
            return path
    known = sorted(file.parent.name for file in RUNS.glob("*/run.json"))
    hint = f"runs in runs/: {', '.join(known)}" if known else "start one with: aha run zero"
    raise UserError(f"{name} is not a run directory", hint=hint)


def read_checked(path: Path) -> "RunData":
    """A run for the report: of our format, and not "running" when its process is gone."""
    from aha.pipeline.run_dir import read_run, run_status
    from aha.report import read_run as read_data

    record = read_run(path)
    data = read_data(path)
    return dataclasses.replace(data, info={**data.info, "status": run_status(path, record)})
