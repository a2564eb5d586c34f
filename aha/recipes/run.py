"""Run a recipe: config, run directory, ranks, stages. `aha run` and `aha.run` are this function."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aha.config import build
from aha.errors import UserError
from aha.pipeline.execute import check_inputs, execute, forget, named_stage
from aha.pipeline.launch import launched
from aha.pipeline.progress import Progress
from aha.pipeline.ranks import Ranks
from aha.pipeline.run_dir import RunDir, is_run, next_run_path, open_run, read_run, resume_command
from aha.pipeline.stage import Stage
from aha.recipes.presets import load_config
from aha.recipes.recipe import Recipe, RecipeConfig, load_recipe
from aha.recipes.red_team import try_rewards
from aha.recipes.suites import stages_of

RUNS = Path("runs")


@dataclass(frozen=True)
class Plan:
    """A recipe with its config resolved: what `--dry-run` shows and `run` does."""

    recipe: Recipe[Any]
    config: RecipeConfig
    stages: list[Stage[Any]]

    @property
    def sentence(self) -> str:
        """The size of the run, derived numbers included, for people."""
        return self.recipe.sentence(self.config)

    @property
    def ranks(self) -> int:
        """Processes that share the work."""
        return self.config.ranks or 1


def plan(
    recipe: str,
    *,
    preset: str | None = None,
    model: str | None = None,
    task: Sequence[str] = (),
    overrides: Sequence[str] = (),
    previous: dict[str, Any] | None = None,
) -> Plan:
    """Resolve a recipe's config and stages without running anything.

    `previous` is the run.json of a run to go on with: its config replaces an unnamed preset, and
    its number of ranks is kept when none is asked for.
    """
    kind = load_recipe(recipe)
    same = previous is not None and previous["recipe"] == recipe
    saved = previous["config"] if previous is not None and same else None
    is_unnamed = preset is None and model is None and not task and not overrides
    config = load_config(
        kind,
        preset=preset,
        model=model,
        task=task,
        overrides=overrides,
        base=saved if is_unnamed else None,
    )
    if saved is not None and config.ranks is None:
        config = config.replace(ranks=saved["ranks"])
    resolved = kind.resolve(config)
    return Plan(kind, resolved, stages_of(kind, resolved))


def run(
    recipe: str = "zero",
    *,
    preset: str | None = None,
    model: str | None = None,
    task: Sequence[str] = (),
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    resume: bool = False,
    from_stage: str | None = None,
    only: str | None = None,
) -> Path:
    """Run a recipe to its end and return the run directory. Finished work is not done again.

    `overrides` are texts as after --set. `from_stage` forgets that stage of the run `out`, and what
    depends on it, and goes on from there; `only` runs one stage, whose inputs have to be finished.
    UserError for a mistake, HealthError when a health rule stops the run; Ctrl-C leaves a run that
    `resume=True` continues.
    """
    path = Path(out) if out is not None else next_run_path(RUNS, recipe)
    log = Progress()
    if from_stage is not None and (out is None or not is_run(path)):
        raise UserError("--from goes on with a run", hint="name its directory with --out")
    resume = resume or from_stage is not None or only is not None
    previous = read_run(path) if is_run(path) and resume else None
    todo = plan(
        recipe, preset=preset, model=model, task=task, overrides=overrides, previous=previous
    )
    for name in filter(None, (from_stage, only)):
        named_stage(todo.stages, name)
    opened = open_run(
        path, recipe=recipe, config=todo.config.table(), stages=todo.stages, resume=resume
    )
    try:
        if from_stage is not None:
            gone = forget(opened, todo.stages, from_stage)
            log.note(f"forgotten: {', '.join(gone) or 'nothing, none had begun'}")
        if only is not None:
            check_inputs(opened, todo.stages, only)
        if opened.is_done:
            log.note(f"{path} is finished; see it with: aha show {path}")
            return path
        log.note(f"aha run {recipe} -> {path}")
        log.note(todo.sentence)
        try_rewards(opened, todo.stages, log)
        _run_stages(opened, todo, only)
    except KeyboardInterrupt:
        log.note(f"\nstopped; go on with: {resume_command(opened)}")
        raise
    finally:
        opened.close()
    return path


def work(argument: str, ranks: Ranks) -> None:
    """What a rank above 0 does: the same stages, from the config in the run directory."""
    path = Path(argument)
    record = read_run(path)
    recipe = load_recipe(record["recipe"])
    config = build(recipe.config, record["config"])
    execute(RunDir(path, record), stages_of(recipe, config), ranks)


def _run_stages(opened: RunDir, todo: Plan, only: str | None) -> None:
    def show_failure(failure: BaseException) -> None:
        opened.fail(failure)
        hint = failure.hint if isinstance(failure, UserError) else None
        Progress().note(f"error: {failure}" + (f"\nhint: {hint}" if hint else ""))

    with (
        opened.session(),
        launched(
            "aha.recipes.run:work", str(opened.path), todo.ranks, on_failure=show_failure
        ) as ranks,
    ):
        execute(opened, todo.stages, ranks, only=only)
