"""`aha show RUN`: a run as a table, as JSON or as an HTML page."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from aha.errors import UserError

RUNS = Path("runs")


def command(
    run: Annotated[
        str | None, typer.Argument(help="Run directory, or its name in runs/. [the newest]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    html: Annotated[bool, typer.Option("--html", help="Write report.html into the run.")] = False,
) -> None:
    """Show a run: its stages and what came of it."""
    path = find_run(run)
    if html:
        from aha.report import render_html

        report = render_html(path)
    if as_json:
        print(json.dumps(summary(path), ensure_ascii=False))
    else:
        print_tables(summary(path))
    if html:
        print(f"\nreport: {report}")


def find_run(name: str | None) -> Path:
    """A run directory by path or by name in runs/; without a name the newest."""
    if name is None:
        newest = sorted(RUNS.glob("*/run.json"), key=lambda file: file.stat().st_mtime)
        if not newest:
            raise UserError("there are no runs in runs/", hint="start one with: aha run zero")
        return newest[-1].parent
    for path in (Path(name), RUNS / name):
        if (path / "run.json").is_file():
            return path
    known = sorted(file.parent.name for file in RUNS.glob("*/run.json"))
    hint = f"runs in runs/: {', '.join(known)}" if known else "start one with: aha run zero"
    raise UserError(f"{name} is not a run directory", hint=hint)


def summary(path: Path) -> dict[str, Any]:
    """What `--json` prints: recipe, status, seconds, stages, headline (and stage_table)."""
    from aha.pipeline.run_dir import finished_output, read_run, run_status

    record = read_run(path)
    status = run_status(path, record)
    rows = []
    for row in record["stages"]:
        output = finished_output(path / row["dir"])
        has_begun = (path / row["dir"]).is_dir()
        rows.append(
            {
                "name": row["name"],
                "id": row["id"],
                "status": "done" if output else status if has_begun else "waiting",
                "seconds": row.get("seconds"),
                "output": str(output) if output else None,
            }
        )
    extra = {key: record[key] for key in ("headline", "stage_table", "error") if record.get(key)}
    return {
        "recipe": record["recipe"],
        "status": status,
        "seconds": record["seconds"],
        "stages": rows,
        "headline": {},
        **extra,
    }


def print_tables(shown: Mapping[str, Any]) -> None:
    """The summary for people, on stdout."""
    from rich.console import Console
    from rich.table import Table

    from aha.pipeline.progress import format_seconds

    console = Console(highlight=False, soft_wrap=True)
    took = format_seconds(shown["seconds"])
    console.print(f"{shown['recipe']}: {shown['status']}, {took}", markup=False)
    if shown.get("error"):
        console.print(f"error: {shown['error']}", markup=False)
    stages = Table("stage", "id", "status", "time", "output", box=None)
    for row in shown["stages"]:
        time = format_seconds(row["seconds"]) if row["seconds"] is not None else ""
        stages.add_row(row["name"], row["id"], row["status"], time, row["output"] or "")
    console.print(stages)
    if shown["headline"]:
        console.print()
        console.print(_headline_table(shown["headline"]))


def _headline_table(headline: Mapping[str, Any]) -> Any:
    """before and after side by side: `length_before_tokens` and `length_after_tokens` are a row."""
    from rich.table import Table

    table = Table("", "before", "after", box=None)
    rows: dict[str, dict[str, str]] = {}
    for key, value in headline.items():
        if key.endswith("_stderr") or not isinstance(value, int | float):
            continue
        when = "before" if "_before" in key else "after"
        name = key.replace("_before", "").replace("_after", "").replace("_", " ")
        error = headline.get(f"{key}_stderr")
        text = f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
        rows.setdefault(name, {})[when] = text + (f" +- {error:.3f}" if error is not None else "")
    for name, cells in rows.items():
        table.add_row(name, cells.get("before", ""), cells.get("after", ""))
    return table
