"""`aha eval MODEL --suite NAME`: measure a model; grade a result again; list the suites."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aha.errors import UserError

if TYPE_CHECKING:
    from aha.evals.result import Result


def command(
    model: Annotated[
        str | None,
        typer.Argument(help="A model folder, a run directory, or endpoint:URL#MODEL."),
    ] = None,
    suite: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE.jsonl", help="A suite (see --list), a task or a file."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="The suite's JSONL file, or the folder with it. [hub]"),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="Responses to each problem. [the suite's]")
    ] = None,
    problems: Annotated[int | None, typer.Option(help="The first so many. [all]")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="0 is greedy. [the suite's, mostly 0.6]")
    ] = None,
    top_p: Annotated[float | None, typer.Option(help="[the suite's, mostly 0.95]")] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(help="Of a response. [the suite's, mostly 32768]")
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(help="chat, r1-zero, none or a file. [as trained, else the suite's]"),
    ] = None,
    instruction: Annotated[
        str | None, typer.Option(help="Text behind each question. [the suite's]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the responses.")] = 0,
    engine: Annotated[
        str, typer.Option(help="local or vllm, for models on this machine.")
    ] = "local",
    dtype: Annotated[
        str | None, typer.Option(help="float32 or bfloat16. [float32; vllm: the model's]")
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Grades what rules cannot: endpoint:URL#MODEL."),
    ] = None,
    ranks: Annotated[
        int | None, typer.Option(help="Processes [one a core], or requests at once. [16]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="[evals/SUITE-MODEL.json]")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on with what is in --out, or anew.")
    ] = True,
    regrade: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="Grade its responses again, without a model."),
    ] = None,
    list_suites: Annotated[bool, typer.Option("--list", help="List the suites.")] = False,
) -> None:
    """Measure a model on a suite: pass@1, pass@k and cons@k with standard errors.

    Every response is kept in one JSON file. Killed at any moment, the same command goes on.
    """
    if list_suites:
        _list()
        return
    if regrade is not None:
        if model is not None:
            raise UserError("--regrade needs no model", hint="give the one or the other")
        _regrade(regrade, out, data, judge)
        return
    if model is None or suite is None:
        raise UserError(
            "give a model and --suite", hint="aha eval MODEL --suite NAME; names: aha eval --list"
        )
    from aha.config import build
    from aha.evals.plan import EvalConfig
    from aha.evals.run_eval import run

    table = {
        "model": model,
        "suite": suite,
        "data": data,
        "samples": samples,
        "problems": problems,
        "temperature": temperature,
        "top_p": top_p,
        "max_new_tokens": max_new_tokens,
        "template": template,
        "instruction": instruction,
        "seed": seed,
        "engine": engine,
        "dtype": dtype,
        "judge": judge,
        "ranks": ranks,
    }
    print("\n".join(table_lines(run(build(EvalConfig, table), out=out, resume=resume))))


def table_lines(result: "Result") -> list[str]:
    """The figures for people, each with its standard error and the problems behind it."""
    from aha.evals.figures import is_share

    settings = result.settings
    head = (
        f"{result.suite}, {result.model['name']}: {len(result.problems):,} problems x "
        f"{settings['samples']} samples, temperature {settings['temperature']:g}, "
        f"top-p {settings['top_p']:g}, at most {settings['max_new_tokens']:,} tokens, "
        f"seed {settings['seed']}"
    )
    width = max(map(len, result.metrics))
    rows = []
    for name, estimate in result.metrics.items():
        form = "{:.1%}" if is_share(name, [estimate.value]) else "{:.3g}"
        value, error = form.format(estimate.value), form.format(estimate.stderr)
        rows.append(f"  {name.ljust(width)}  {value:>7} +- {error:<7}  n {estimate.n}")
    return [head, *rows]


def _regrade(path: Path, out: Path | None, data: str | None, judge: str | None) -> None:
    from aha.evals.grading import regrade
    from aha.evals.result import load_result, save_result

    graded = regrade(load_result(path), data=data, judge_model=judge)
    save_result(out or path, graded.result)
    print("\n".join(table_lines(graded.result)))
    total = sum(graded.changed.values())
    typer.echo(f"{total} verdicts changed" if total else "no verdict has changed", err=True)
    for (before, after), count in sorted(graded.changed.items()):
        typer.echo(f"  {count:>6}  {before} -> {after}", err=True)


def _list() -> None:
    from aha.evals.suites.registry import SUITES
    from aha.evals.suites.suite import suite_names

    names = suite_names()
    width = max(map(len, names))
    print("\n".join(f"{name.ljust(width)}  {SUITES[name].description}" for name in names))
