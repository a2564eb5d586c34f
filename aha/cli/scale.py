"""`aha scale MODEL`: accuracy against the tokens that are spent on a problem."""

from pathlib import Path
from typing import Annotated

import typer

from aha.errors import UserError


def command(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL|FILE.json",
            help="A run directory or model folder; a file of this command is drawn again.",
            show_default=False,
        ),
    ] = None,
    suite: Annotated[
        str, typer.Option(help="Name of a suite or of a task, or a file of problems.")
    ] = "arithmetic",
    data: Annotated[
        str | None, typer.Option(help="The suite's JSONL file, or the folder with it.")
    ] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SIZES",
            help="As budget=8,16,32 or majority; repeat. [the usual ones; --list shows all]",
        ),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Print the strategies and stop.")] = False,
    problems: Annotated[int, typer.Option(min=2, help="The first so many of the suite.")] = 128,
    samples: Annotated[
        int, typer.Option(min=1, help="Responses a problem where single ones are judged.")
    ] = 4,
    temperature: Annotated[
        float | None, typer.Option(help="Of sampling. [the suite's]", show_default=False)
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Of sampling. [the suite's]", show_default=False)
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(help="Of a response. [the suite's]", show_default=False)
    ] = None,
    template: Annotated[
        str | None, typer.Option(help="Prompt template. [the model's own, else the suite's]")
    ] = None,
    reward_model: Annotated[
        str | None, typer.Option(help="Folder of a reward model: best:reward, beam:reward.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all responses.")] = 0,
    ranks: Annotated[int | None, typer.Option(min=1, help="Processes. [one a core]")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json", help="[scale.json in the run, else here]", show_default=False
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on with interrupted work.")
    ] = True,
) -> None:
    """Measure test-time compute: budget forcing, votes, best-of-N, verification, search.

    Writes FILE.json, FILE.svg and FILE.html and prints the table.
    """
    if list_:
        print(_listed())
        return
    if model is None:
        raise UserError("no model is named", hint="aha scale RUN, or aha scale --list")
    from aha.config import build
    from aha.report import scaling

    if model.endswith(".json"):
        path = Path(model)
        result = scaling.load_scaling(path)
    else:
        from aha.evals.scaling.run import ScaleConfig, scale

        values = {
            "model": model, "suite": suite, "data": data, "strategies": strategy or [],
            "problems": problems, "samples": samples, "temperature": temperature, "top_p": top_p,
            "max_new_tokens": max_new_tokens, "template": template, "reward_model": reward_model,
            "seed": seed, "ranks": ranks,
        }  # fmt: skip
        path = out or _default_path(model)
        result = scale(build(ScaleConfig, values), path, resume=resume)
    svg, page = scaling.write_figures(result, path)
    print(scaling.table_text(result))
    typer.echo(f"{path}, {svg}, {page}", err=True)


def _default_path(model: str) -> Path:
    folder = Path(model)
    return (folder if (folder / "run.json").is_file() else Path()) / "scale.json"


def _listed() -> str:
    from aha.evals.scaling.strategies import STRATEGIES

    width = max(map(len, STRATEGIES))
    return "\n".join(
        f"{name:<{width}}  {one.title}; its size: {one.unit}" for name, one in STRATEGIES.items()
    )
