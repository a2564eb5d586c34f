"""`aha emergence RUN`: which reasoning behaviours emerge, what goes with them, what they cause."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aha.errors import UserError

if TYPE_CHECKING:
    from aha.report import RunData

FORMAT_VERSION = 1
KIND = "emergence"
WIDTH = 120
"""Of the tables where there is no terminal."""


def command(
    target: Annotated[
        str,
        typer.Argument(help="A run, a result of aha eval, or with --causal a model folder."),
    ],
    causal: Annotated[
        bool,
        typer.Option("--causal", help="Sample the model: reflection forbidden, and forced."),
    ] = False,
    suite: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE.jsonl", help="Of --causal. [what the run trained on]"),
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="PATH", help="The suite's JSONL file, or its folder.")
    ] = None,
    problems: Annotated[int, typer.Option(help="The first so many.")] = 128,
    samples: Annotated[int, typer.Option(help="Responses to each problem.")] = 4,
    temperature: Annotated[float | None, typer.Option(help="[the suite's]")] = None,
    top_p: Annotated[float | None, typer.Option(help="[the suite's]")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(help="Of a response. [the suite's]")] = None,
    template: Annotated[str | None, typer.Option(help="[as trained, else the suite's]")] = None,
    cue: Annotated[
        str | None, typer.Option(help='What is forced behind a thought. [" Wait,"]')
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the responses.")] = 0,
    dtype: Annotated[str, typer.Option(help="Of the weights: float32 or bfloat16.")] = "float32",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="[with --causal: RUN/emergence.json]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Behaviours in a run's samples, accuracy with and without them, overthinking.

    With --causal the model is sampled too. Killed at any moment, the same command goes on.
    """
    path = _existing(target)
    run = _run_of(path)
    found = {"format_version": FORMAT_VERSION, "kind": KIND, **_samples(target, path, run, causal)}
    if causal:
        config = {
            "suite": suite or _trained_on(run),
            "data": data,
            "problems": problems,
            "samples": samples,
            "temperature": temperature,
            "top_p": top_p,
            "max_new_tokens": max_new_tokens,
            "template": template,
            "cue": cue,
            "seed": seed,
            "dtype": dtype,
        }
        out = out or _default_out(run)
        found |= _measured(target, config, out)
    if out is not None:
        _write(out, found)
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        _print(found)


def _samples(target: str, path: Path | None, run: "RunData | None", causal: bool) -> dict[str, Any]:
    """The analysis of what has been sampled; nothing for a model folder, which is only measured."""
    if run is not None:
        return {"samples": _of_run(run)}
    if path is not None:
        return {"samples": _of_result(path)}
    if causal:
        return {}
    raise UserError(
        f"{target} is neither a run nor a result of aha eval",
        hint="for a model folder add --causal and --suite",
    )


def _existing(target: str) -> Path | None:
    from aha.cli.show import RUNS
    from aha.pipeline.sources import is_file

    for path in (Path(target).expanduser(), RUNS / target):
        if is_file(path) or is_file(path / "run.json"):
            return path
    return None


def _run_of(path: Path | None) -> "RunData | None":
    from aha.cli.show import read_checked

    return read_checked(path) if path is not None and path.is_dir() else None


def _of_run(run: "RunData") -> dict[str, Any]:
    from aha.report.emergence import emergence_summary
    from aha.report.survey import survey_samples

    return emergence_summary(survey_samples(run))


def _of_result(path: Path) -> dict[str, Any]:
    from aha.evals.emergence import observe_all, rows_of_result, summarise
    from aha.evals.result import load_result

    result = load_result(path)
    return {
        f"{result.model['name']}, {result.suite}": summarise([observe_all(rows_of_result(result))])
    }


def _trained_on(run: "RunData | None") -> str:
    """The first task that the run's reinforcement learning asked for."""
    stages = run.stages if run is not None else []
    tasks = [stage.config.get("task") for stage in stages]
    named = [task for task in tasks if isinstance(task, list) and task]
    if not named:
        raise UserError("what is to be measured on?", hint="add --suite NAME")
    return str(named[0][0])


def _default_out(run: "RunData | None") -> Path:
    from aha.report.emergence import FILE

    if run is None:
        raise UserError("where should the result go?", hint="add --out FILE.json")
    return run.path / FILE


def _measured(target: str, table: dict[str, Any], out: Path) -> dict[str, Any]:
    from aha.config import build
    from aha.evals.emergence.causal import CausalConfig
    from aha.evals.emergence.run import run_causal
    from aha.pipeline.progress import Progress

    config = build(CausalConfig, table)
    return run_causal(target, config, _journal(out), Progress().note)


def _journal(out: Path) -> Path:
    return out.with_name(out.name + ".unfinished")


def _write(out: Path, found: dict[str, Any]) -> None:
    """The result in one step; what was kept of its making goes."""
    from aha.pipeline.files import remove_folder, write_json

    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out, found)
    remove_folder(_journal(out))


def _print(found: dict[str, Any]) -> None:
    from rich.console import Console

    from aha.report.emergence import terminal_tables

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    for table in terminal_tables(found):
        console.print(table)
