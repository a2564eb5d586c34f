"""Pre-training of the small base model that the other recipes start from."""

from typing import Any

from pydantic import Field

from aha.pipeline.machine import default_ranks
from aha.pipeline.stage import Stage
from aha.recipes import loops
from aha.recipes.recipe import Recipe, RecipeConfig, counted
from aha.trainers.config import PretrainConfig


class BaseConfig(RecipeConfig):
    """The whole recipe: one stage."""

    base: PretrainConfig = Field(PretrainConfig(), description="the pre-training stage")


def stages(config: BaseConfig) -> list[Stage[Any]]:
    """Pre-train from random weights."""
    return [Stage("base", config.base, loops.pretrain)]


def resolve(config: BaseConfig) -> BaseConfig:
    """Fill in what is derived: the ranks from the machine, sizes of the model from its width."""
    base = config.base
    derived = base.replace(
        kv_heads=base.kv_heads or base.heads,
        mlp_width=base.mlp_width or 3 * base.width,
    )
    ranks = config.ranks or default_ranks(base.batch_rows)
    return config.model_copy(update={"base": derived, "ranks": ranks})


def sentence(config: BaseConfig) -> str:
    """The size of a run in one sentence."""
    base, share = config.base, counted(config.ranks or 1, "rank")
    return (
        f"{base.batch_rows} rows x {base.row_tokens} tokens = "
        f"{base.batch_rows * base.row_tokens:,} tokens an update on {share}; "
        f"{base.num_steps:,} updates, {base.num_tokens:,} tokens."
    )


RECIPE = Recipe(
    name="base",
    config=BaseConfig,
    main_stage="base",
    default_preset="tiny",
    stages=stages,
    resolve=resolve,
    sentence=sentence,
)
