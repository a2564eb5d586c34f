"""`aha show RUN`: a run as a table, as JSON or as an HTML page."""

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
    run: Annotated[
        str | None, typer.Argument(help="Run directory, or its name in runs/. [the newest]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    html: Annotated[bool, typer.Option("--html", help="Write report.html into the run.")] = False,
) -> None:
    """Show a run: its stages and what came of it."""
    from aha import report

    path = find_run(run)
    shown = read_checked(path)
    if as_json:
        print(json.dumps(report.show_json(shown), ensure_ascii=False))
    else:
        from rich.console import Console

        Console(highlight=False).print(report.summary_table(shown))
    if html:
        page = report.write_html(shown, path / "report.html")
        typer.echo(f"\nreport: {page}", err=as_json)


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
