"""R1-Zero (arXiv 2501.12948, section 2): reinforcement learning on a base model, nothing else.

Differs from the paper: one maximum length for the whole run (the paper raises it at step 8,200).
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from aha.chat.templates import TEMPLATES
from aha.errors import UserError, nearest
from aha.evals.config import EvaluateConfig
from aha.pipeline.machine import default_ranks
from aha.pipeline.sources import Source, is_file, model_source
from aha.pipeline.stage import Stage
from aha.recipes import loops
from aha.recipes.recipe import Recipe, RecipeConfig, counted
from aha.tasks.registry import load_task
from aha.tasks.sources.reference import task_files
from aha.trainers.config import GrpoConfig

NAMED_TEMPLATES = [name for name in TEMPLATES if name != "custom"]
Algorithm = Literal["r1", "modern", "dapo", "dr_grpo", "gspo", "cispo"]


class ZeroConfig(RecipeConfig):
    """The whole recipe: a model, the RL stage and the evaluation."""

    model: str = Field(min_length=1, description="base model: embedded, or a Hugging Face folder")
    algorithm: Algorithm = Field(
        "modern", description="named values of keys of the RL stage; keys you set yourself win"
    )
    zero: GrpoConfig = Field(GrpoConfig(), description="the reinforcement learning stage")
    evaluate: EvaluateConfig = Field(EvaluateConfig(), description="before and after")


def stages(config: ZeroConfig) -> list[Stage[Any]]:
    """Train with GRPO, then compare the result with the base model."""
    base = model_source(config.model)
    rl, evaluation = config.zero, config.evaluate
    files = prompt_files(rl.task, rl.template)
    zero = Stage("zero", rl, loops.reinforce, {"model": base, **files})
    files = prompt_files(evaluation.task or rl.task, evaluation.template or rl.template)
    return [
        zero,
        Stage("evaluate", evaluation, loops.evaluate, {"model": zero, "base": base, **files}),
    ]


def resolve(config: ZeroConfig) -> ZeroConfig:
    """Fill in what is derived: the ranks from the machine, the evaluation from the training."""
    rl, evaluation = config.zero, config.evaluate
    inherited = {
        key: getattr(rl, key)
        for key in ("task", "template", "max_new_tokens", "dtype")
        if getattr(evaluation, key) is None
    }
    ranks = config.ranks or default_ranks(rl.prompts_per_step)
    return config.model_copy(update={"ranks": ranks, "evaluate": evaluation.replace(**inherited)})


def sentence(config: ZeroConfig) -> str:
    """The size of a run: "16 prompts x 16 samples = 256 responses a step, ..."."""
    rl = config.zero
    ranks, responses = config.ranks or 1, rl.responses_per_step
    tokens = responses * rl.max_new_tokens
    each = "" if ranks == 1 else f", about {responses // ranks} responses each"
    return (
        f"{rl.prompts_per_step} prompts x {rl.samples_per_prompt} samples = "
        f"{responses:,} responses a step on {counted(ranks, 'rank')}{each}; "
        f"up to {tokens:,} new tokens a step, "
        f"{counted(rl.minibatches, 'update')} a step, {rl.num_steps:,} steps."
    )


def prompt_files(tasks: tuple[str, ...], template: str) -> dict[str, Source]:
    """Task and template files as inputs, so that a changed file is another stage.

    UserError for a task or a template that does not exist, before anything has started.
    """
    for task in tasks:
        try:
            load_task(task)
        except OSError as failure:
            hint = "see: aha tasks list"
            raise UserError(f"task {task!r}: {failure.strerror}", hint=hint) from None
    if template not in NAMED_TEMPLATES and not is_file(template):
        near = nearest(template, NAMED_TEMPLATES)
        known = f"templates: {', '.join(NAMED_TEMPLATES)}, or a text file with {{question}} in it"
        hint = f"did you mean {near}? {known}" if near else known
        raise UserError(f"unknown template {template!r}", hint=hint)
    files = {f"task {path}": Source(str(path), path) for task in tasks for path in task_files(task)}
    if template not in NAMED_TEMPLATES:
        files[f"template {template}"] = Source(template, Path(template))
    return files


RECIPE = Recipe(
    name="zero",
    config=ZeroConfig,
    main_stage="zero",
    default_preset="tiny",
    stages=stages,
    resolve=resolve,
    sentence=sentence,
)
