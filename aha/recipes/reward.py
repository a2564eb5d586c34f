"""A reward model alone, from a file of preferences (arXiv 2501.12948v2, 3.1)."""

from typing import Any

from pydantic import Field

from aha.data.references import file_source
from aha.pipeline.machine import default_ranks
from aha.pipeline.sources import model_source
from aha.pipeline.stage import Stage
from aha.recipes import loops
from aha.recipes.recipe import Recipe, RecipeConfig, counted
from aha.trainers.config import RewardModelConfig


class RewardRecipeConfig(RecipeConfig):
    """The whole recipe: a body, a file, one stage."""

    model: str = Field(
        min_length=1, description="body of the reward model: embedded, smollm2 or a folder"
    )
    data: str = Field(
        "none",
        min_length=1,
        description="JSONL: prompt, chosen, rejected (pairwise) or prompt, response, safe",
    )
    reward: RewardModelConfig = Field(RewardModelConfig(), description="the reward model")


def stages(config: RewardRecipeConfig) -> list[Stage[Any]]:
    """One stage. UserError where there is no such file."""
    inputs = {"model": model_source(config.model), "data": file_source("data", config.data)}
    return [Stage("reward", config.reward, loops.reward_model, inputs)]


def resolve(config: RewardRecipeConfig) -> RewardRecipeConfig:
    """Fill in what is derived: the ranks from the machine."""
    ranks = config.ranks or default_ranks(config.reward.batch_rows)
    return config.model_copy(update={"ranks": ranks})


def sentence(config: RewardRecipeConfig) -> str:
    """The size of a run in one sentence."""
    reward, share = config.reward, counted(config.ranks or 1, "rank")
    what = f"{config.data}: a {reward.kind} reward model on {config.model}"
    if reward.body == "frozen":
        return f"{what}, its head alone fitted on {share}."
    per_update = f"{reward.batch_rows:,} rows an update"
    return f"{what}, {counted(reward.epochs, 'epoch')}, {per_update}, on {share}."


RECIPE = Recipe(
    name="reward",
    config=RewardRecipeConfig,
    main_stage="reward",
    default_preset="tiny",
    stages=stages,
    resolve=resolve,
    sentence=sentence,
)
