"""Suites during training: the table `suites` of a recipe, put into every stage that it is about."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from aha.errors import UserError
from aha.pipeline.sources import Source, is_file
from aha.pipeline.stage import Stage
from aha.recipes.recipe import Recipe, RecipeConfig
from aha.trainers.config import SftConfig
from aha.trainers.rollout_config import RolloutConfig
from aha.trainers.suites_config import SuitesConfig

MEASURED = (RolloutConfig, SftConfig)
"""Training stages whose model answers questions."""


def stages_of(recipe: Recipe[Any], config: RecipeConfig) -> list[Stage[Any]]:
    """The stages of a resolved config; those that train measure the suites that it names."""
    stages = recipe.stages(config)
    return with_suites(stages, config.suites) if config.suites.names else stages


def with_suites(stages: Sequence[Stage[Any]], suites: SuitesConfig) -> list[Stage[Any]]:
    """The same graph with the suites in the configs of its training stages.

    UserError for a suite that is not there, and where no stage is measured.
    """
    from aha.trainers.suites import loaded, measured_during

    loaded(suites.names, suites.data)
    if not any(isinstance(stage.config, MEASURED) for stage in stages):
        hint = "it is for recipes with reinforcement learning or fine-tuning"
        raise UserError("no stage of this recipe can measure suites.names", hint=hint)
    places = [name for name in (*suites.names, suites.data) if name and is_file(name)]
    files = {f"suite {place}": Source(place, Path(place)) for place in places}
    renewed: dict[int, Stage[Any]] = {}
    for stage in stages:
        inputs = {
            name: renewed.get(id(given), given) if isinstance(given, Stage) else given
            for name, given in stage.inputs.items()
        }
        config = stage.config
        if isinstance(config, MEASURED):
            config, inputs = measured_during(config, suites), {**inputs, **files}
        renewed[id(stage)] = replace(stage, config=config, inputs=inputs)
    return list(renewed.values())
