"""R1-Zero (arXiv 2501.12948, section 2): reinforcement learning on a base model, nothing else.

Differs from the paper: one maximum length for the whole run (the paper raises it at step 8,200).
"""

from pathlib import Path
from typing import Any

from pydantic import Field

from aha.config import Config
from aha.evals.config import EvaluateConfig
from aha.pipeline.machine import default_ranks
from aha.pipeline.sources import Source, model_source
from aha.pipeline.stage import Stage, StageContext, StageResult
from aha.recipes.recipe import Recipe
from aha.trainers.config import GrpoConfig


class ZeroConfig(Config):
    """The whole recipe: a model, the RL stage and the evaluation."""

    model: str = Field(min_length=1, description="base model: embedded, or a Hugging Face folder")
    zero: GrpoConfig = Field(GrpoConfig(), description="the reinforcement learning stage")
    evaluate: EvaluateConfig = Field(EvaluateConfig(), description="before and after")


def stages(config: ZeroConfig) -> list[Stage[Any]]:
    """Train with GRPO, then compare the result with the base model."""
    base = model_source(config.model)
    tasks = task_files(config.zero.task)
    zero = Stage("zero", config.zero, _train, {"model": base, **tasks})
    held_out = task_files(config.evaluate.task or ())
    evaluate = Stage(
        "evaluate", config.evaluate, _evaluate, {"model": zero, "base": base, **held_out}
    )
    return [zero, evaluate]


def resolve(config: ZeroConfig, ranks: int | None) -> ZeroConfig:
    """Fill in what is derived: the ranks from the machine, the evaluation from the training."""
    rl = config.zero
    ranks = rl.ranks or ranks or default_ranks(rl.prompts_per_step)
    evaluation = config.evaluate
    inherited = {
        key: getattr(rl, key)
        for key in ("task", "template", "max_new_tokens", "dtype")
        if getattr(evaluation, key) is None
    }
    return config.model_copy(
        update={"zero": rl.replace(ranks=ranks), "evaluate": evaluation.replace(**inherited)}
    )


def sentence(config: ZeroConfig) -> str:
    """The size of a run: "16 prompts x 16 samples = 256 responses a step, ..."."""
    rl = config.zero
    ranks, responses = rl.ranks or 1, rl.responses_per_step
    tokens = responses * rl.max_new_tokens
    updates = "1 update" if rl.minibatches == 1 else f"{rl.minibatches} updates"
    share = "1 rank" if ranks == 1 else f"{ranks} ranks, about {responses // ranks} responses each"
    return (
        f"{rl.prompts_per_step} prompts x {rl.samples_per_prompt} samples = "
        f"{responses:,} responses a step on {share}; "
        f"up to {tokens:,} new tokens a step, {updates} a step, {rl.num_steps:,} steps."
    )


def task_files(tasks: tuple[str, ...]) -> dict[str, Source]:
    """Task files among `tasks` as inputs, so that a changed file is another stage."""
    files = [task for task in tasks if Path(task).is_file()]
    return {f"task {file}": Source(file, Path(file)) for file in files}


def _train(ctx: StageContext[GrpoConfig]) -> StageResult:
    from aha.trainers.grpo import train

    return train(ctx)


def _evaluate(ctx: StageContext[EvaluateConfig]) -> StageResult:
    from aha.evals.stage import evaluate

    return evaluate(ctx)


RECIPE = Recipe(
    name="zero",
    config=ZeroConfig,
    main_stage="zero",
    default_preset="tiny",
    stages=stages,
    resolve=resolve,
    sentence=sentence,
)
