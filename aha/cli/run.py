"""`aha run RECIPE`: run a recipe, or show what would be run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from aha.recipes.run import Plan


def command(
    recipe: Annotated[
        str, typer.Argument(help="zero (R1-Zero), r1, distill, ablation, sft, reward or base.")
    ],
    preset: Annotated[
        str | None,
        typer.Option(help="Size of the run: tiny, smollm2, small, paper, or a TOML file. [tiny]"),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Base model: embedded, or a Hugging Face folder.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(metavar="NAME|FILE.py", help="Task; repeat for several.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Set one key; STAGE.KEY=VALUE too. Repeat."
        ),
    ] = None,
    compare_rl: Annotated[
        bool | None, typer.Option(help="distill: RL on the same student beside it, or not. [yes]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run directory. [runs/RECIPE-NNN]", show_default=False)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    from_stage: Annotated[
        str | None,
        typer.Option("--from", metavar="STAGE", help="Forget a stage of --out and what needs it."),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="STAGE", help="Run one stage, whose inputs are finished."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print config, stages, sizes and times, then stop.")
    ] = False,
) -> None:
    """Run a recipe.

    Finished stages are not run again; Ctrl-C and --resume lose nothing but the steps since the last
    checkpoint.
    """
    from aha.recipes import run as recipes

    compared = [] if compare_rl is None else [f"compare_rl={str(compare_rl).lower()}"]
    chosen = {
        "preset": preset,
        "model": model,
        "task": tuple(task or ()),
        "overrides": (*(overrides or ()), *compared),
    }
    if dry_run:
        print(describe(recipes.plan(recipe, **chosen), preset))  # type: ignore[arg-type]
    else:
        steering = {"out": out, "resume": resume, "from_stage": from_stage, "only": only}
        recipes.run(recipe, **steering, **chosen)  # type: ignore[arg-type]


def describe(plan: "Plan", preset: str | None = None) -> str:
    """A resolved config as TOML that `--preset` reads; as comments the stages and the size."""
    from aha.recipes.graph import graph_lines, quoted_lines
    from aha.recipes.presets import as_toml

    lines = graph_lines(plan.stages, plan.ranks)
    lines += quoted_lines(plan.recipe.name, preset, plan.config)
    comments = "\n".join(f"# {line}" for line in [*lines, plan.sentence])
    return f"{as_toml(plan.config)}\n{comments}"
