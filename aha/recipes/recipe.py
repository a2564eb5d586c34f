"""What a recipe is, and the list of those that exist."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import Field

from aha.config import Config
from aha.errors import UserError, nearest
from aha.pipeline.stage import Stage
from aha.trainers.suites_config import SuitesConfig


class RecipeConfig(Config):
    """What every recipe can be told about the run as a whole; a stage has a field of its own."""

    ranks: int | None = Field(
        None,
        ge=1,
        le=4_096,
        description="processes that share the work; none: one a physical core, at most 16",
    )
    suites: SuitesConfig = Field(SuitesConfig(), description="measured while models train")


ConfigT = TypeVar("ConfigT", bound=RecipeConfig)


@dataclass(frozen=True, kw_only=True)
class Recipe(Generic[ConfigT]):
    """A named list of stages and what can be set about it."""

    name: str
    config: type[ConfigT]
    """One field a stage, named like it, and the fields of the whole recipe."""
    main_stage: str
    """Where a bare `--set key=value` goes."""
    default_preset: str
    stages: Callable[[ConfigT], list[Stage[Any]]]
    resolve: Callable[[ConfigT], ConfigT]
    """Derive every `None` that means "derive"."""
    sentence: Callable[[ConfigT], str]
    """The size of a resolved config in one sentence."""


RECIPES: Mapping[str, str] = {
    "zero": "R1-Zero: reinforcement learning on a base model, then evaluation",
    "r1": "R1: cold start, two fine-tunings, two RL stages, reward models, a table of all models",
    "distill": "a teacher's samples make a small model reason; compared with RL on it alone",
    "ablation": "one choice of R1 against another: PPO, no language reward, no cold start, ...",
    "sft": "supervised fine-tuning of a model on a file of conversations",
    "reward": "a reward model from a file of preferences",
    "base": "pre-train the small embedded base model from nothing",
}


def counted(number: int, noun: str) -> str:
    """ "1 rank", "2 ranks", "1,024 ranks"."""
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"


def load_recipe(name: str) -> Recipe[Any]:
    """The recipe called `name`. UserError with the nearest name when there is none."""
    if name not in RECIPES:
        near = nearest(name, RECIPES)
        known = ", ".join(RECIPES)
        hint = f"did you mean {near}? recipes: {known}" if near else f"recipes: {known}"
        raise UserError(f"unknown recipe {name!r}", hint=hint)
    recipe: Recipe[Any] = importlib.import_module(f"aha.recipes.{name}").RECIPE
    return recipe
