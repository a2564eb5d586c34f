"""`aha run RECIPE`: run a recipe, or show what would be run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from aha.recipes.run import Plan


def command(
    recipe: Annotated[
        str, typer.Argument(help="zero (R1-Zero) or base (pre-train the embedded model).")
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
    out: Annotated[
        Path | None, typer.Option(help="Run directory. [runs/RECIPE-NNN]", show_default=False)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved config and the size, then stop.")
    ] = False,
) -> None:
    """Run a recipe.

    Finished stages are not run again; Ctrl-C and --resume lose nothing but the steps since the last
    checkpoint.
    """
    from aha.recipes import run as recipes

    chosen = {
        "preset": preset,
        "model": model,
        "task": tuple(task or ()),
        "overrides": tuple(overrides or ()),
    }
    if dry_run:
        print(describe(recipes.plan(recipe, **chosen)))  # type: ignore[arg-type]
    else:
        recipes.run(recipe, out=out, resume=resume, **chosen)  # type: ignore[arg-type]


def describe(plan: "Plan") -> str:
    """A resolved config as TOML that `--preset` reads, every key with its meaning, and the size."""
    from aha.recipes.presets import as_toml

    stages = ", ".join(f"{stage.name} ({stage.id})" for stage in plan.stages)
    return f"{as_toml(plan.config)}\n# stages: {stages}\n# {plan.sentence}"
