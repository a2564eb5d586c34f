"""Supervised fine-tuning alone, on a file of conversations."""

from typing import Any

from pydantic import Field

from aha.data.references import file_source
from aha.pipeline.machine import default_ranks
from aha.pipeline.sources import model_source
from aha.pipeline.stage import Stage
from aha.recipes import loops
from aha.recipes.recipe import Recipe, RecipeConfig, counted
from aha.trainers.config import SftConfig


class SftRecipeConfig(RecipeConfig):
    """The whole recipe: a model, a file, one stage."""

    model: str = Field(min_length=1, description="embedded, smollm2 or a Hugging Face folder")
    data: str = Field(
        "none", min_length=1, description="JSONL of conversations: messages, or prompt and response"
    )
    sft: SftConfig = Field(SftConfig(), description="the fine-tuning stage")


def stages(config: SftRecipeConfig) -> list[Stage[Any]]:
    """One stage. UserError where there is no such file."""
    inputs = {"model": model_source(config.model), "data": file_source("data", config.data)}
    return [Stage("sft", config.sft, loops.fine_tune, inputs)]


def resolve(config: SftRecipeConfig) -> SftRecipeConfig:
    """Fill in what is derived: the ranks from the machine."""
    ranks = config.ranks or default_ranks(config.sft.batch_samples)
    return config.model_copy(update={"ranks": ranks})


def sentence(config: SftRecipeConfig) -> str:
    """The size of a run in one sentence."""
    sft, share = config.sft, counted(config.ranks or 1, "rank")
    by_epoch = counted(sft.epochs, "epoch")
    length = counted(sft.num_steps, "update") if sft.num_steps else by_epoch
    return f"{config.data}: {length}, {sft.batch_samples:,} samples an update, on {share}."


RECIPE = Recipe(
    name="sft",
    config=SftRecipeConfig,
    main_stage="sft",
    default_preset="tiny",
    stages=stages,
    resolve=resolve,
    sentence=sentence,
)
