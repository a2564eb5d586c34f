"""R1 (arXiv 2501.12948v2, Figure 2): four stages of training, two reward models, one table.

    base --RL--> zero --samples--> cold_start
    base --SFT on cold_start--> dev1 --RL, language reward--> dev2 --rejection sampling-->
    base --SFT on reasoning and general data--> dev3 --RL for all scenarios--> r1

The second fine-tuning starts from the base model again, as in the paper. The reward models are
trained on preferences over dev3's own replies.
"""

from collections.abc import Callable
from typing import Any

from pydantic import Field

from aha.config import Config
from aha.data.config import (
    ColdStartConfig,
    GeneralConfig,
    MixConfig,
    PreferenceConfig,
    RejectionConfig,
    SamplingConfig,
)
from aha.data.references import data_inputs
from aha.evals.config import StageTableConfig
from aha.pipeline.machine import default_ranks
from aha.pipeline.sources import Source, model_source
from aha.pipeline.stage import Stage
from aha.recipes import loops
from aha.recipes.recipe import Recipe, RecipeConfig
from aha.recipes.zero import Algorithm, prompt_files
from aha.trainers.config import GrpoConfig, RewardModelConfig, SftConfig

SAFETY = RewardModelConfig(kind="pointwise")


class ReasoningConfig(RecipeConfig):
    """From a base model to the second fine-tuning: the stages that ablations share."""

    model: str = Field(min_length=1, description="base model: embedded, or a Hugging Face folder")
    algorithm: Algorithm = Field(
        "modern", description="named values of keys of the RL stages; keys you set yourself win"
    )
    seed: int | None = Field(
        None, ge=0, lt=2**32, description="of every stage but the evaluation; none: each its own"
    )
    zero: GrpoConfig = Field(GrpoConfig(), description="R1-Zero: RL on the base model")
    cold_start: ColdStartConfig = Field(
        ColdStartConfig(), description="readable samples of R1-Zero"
    )
    dev1: SftConfig = Field(SftConfig(), description="fine-tuning of the base on the cold start")
    dev2: GrpoConfig = Field(
        GrpoConfig(template="chat"), description="reasoning RL with the language reward"
    )
    rejection: RejectionConfig = Field(RejectionConfig(), description="reasoning data from dev2")
    general: GeneralConfig = Field(GeneralConfig(), description="non-reasoning data")
    mix: MixConfig = Field(MixConfig(), description="both in one set")
    dev3: SftConfig = Field(SftConfig(), description="fine-tuning of the base on the mixed set")


class R1Config(ReasoningConfig):
    """The whole recipe: a base model and thirteen stages."""

    preferences: PreferenceConfig = Field(PreferenceConfig(), description="judged replies of dev3")
    helpful: RewardModelConfig = Field(
        RewardModelConfig(), description="reward model of the final summary"
    )
    harmless: RewardModelConfig = Field(SAFETY, description="reward model of the whole response")
    r1: GrpoConfig = Field(GrpoConfig(template="chat"), description="RL for all scenarios")
    evaluate: StageTableConfig = Field(StageTableConfig(), description="the table of all models")


def stages(config: R1Config) -> list[Stage[Any]]:
    """Every stage with its inputs: the wiring of the paper."""
    base = model_source(config.model)
    zero = rl_stage("zero", config.zero, base)
    cold = data_stage("cold_start", config.cold_start, loops.collect_cold_start, model=zero)
    dev1 = Stage("dev1", config.dev1, loops.fine_tune, {"model": base, "data": cold})
    dev2 = rl_stage("dev2", config.dev2, dev1)
    rejection = data_stage("rejection", config.rejection, loops.collect_rejection, model=dev2)
    general = data_stage("general", config.general, loops.collect_general)
    mix = Stage("mix", config.mix, loops.mix, {"reasoning": rejection, "general": general})
    dev3 = Stage("dev3", config.dev3, loops.fine_tune, {"model": base, "data": mix})
    preferences = data_stage(
        "preferences", config.preferences, loops.collect_preferences, model=dev3
    )
    judged = {"model": dev3, "data": preferences}
    helpful = Stage("helpful", config.helpful, loops.reward_model, judged)
    harmless = Stage("harmless", config.harmless, loops.reward_model, judged)
    r1 = rl_stage("r1", config.r1, dev3, helpful=helpful, harmless=harmless)
    models = {"zero": zero, "dev1": dev1, "dev2": dev2, "dev3": dev3, "r1": r1}
    asked = prompt_files(config.evaluate.task or config.r1.task, config.evaluate.template)
    table = Stage(
        "evaluate", config.evaluate, loops.compare_models, {"base": base, **models, **asked}
    )
    collected = [cold, dev1, dev2, rejection, general, mix, dev3, preferences]
    return [zero, *collected, helpful, harmless, r1, table]


def rl_stage(
    name: str, config: GrpoConfig, model: Stage[Any] | Source, **reward_models: Stage[Any]
) -> Stage[Any]:
    """A stage of reinforcement learning."""
    asked = config.task + (config.preference.task if config.preference.last_steps else ())
    inputs = {"model": model, **reward_models, **prompt_files(asked, config.template)}
    return Stage(name, config, loops.reinforce, inputs)


def data_stage(
    name: str, config: Any, collect: Callable[[Any], Any], **models: Stage[Any] | Source
) -> Stage[Any]:
    """A stage that collects data, with the tasks, writers and files that its config names."""
    asked = prompt_files(config.task, config.template) if isinstance(config, SamplingConfig) else {}
    return Stage(name, config, collect, {**models, **asked, **data_inputs(config)})


def resolve(config: R1Config) -> R1Config:
    """Fill in what is derived: the ranks from the machine, the table's task from the training."""
    config = seeded(config)
    ranks = config.ranks or default_ranks(config.r1.prompts_per_step)
    task = config.evaluate.task or config.r1.task
    dtype = config.evaluate.dtype or config.r1.dtype
    evaluation = config.evaluate.replace(task=task, dtype=dtype)
    return config.model_copy(update={"ranks": ranks, "evaluate": evaluation})


def seeded(config: R1Config) -> R1Config:
    """The run's seed in all stages that make something; models are compared on the same draws."""
    if config.seed is None:
        return config
    made = {name: getattr(config, name) for name in type(config).model_fields if name != "evaluate"}
    changed = {
        name: stage.replace(seed=config.seed)
        for name, stage in made.items()
        if isinstance(stage, Config) and "seed" in type(stage).model_fields
    }
    return config.model_copy(update=changed)


def sentence(config: R1Config) -> str:
    """The size of a run."""
    rl = {"zero": config.zero, "dev2": config.dev2, "r1": config.r1}
    sizes = ", ".join(
        f"{name} {stage.num_steps:,} steps of {stage.responses_per_step:,} responses"
        for name, stage in rl.items()
    )
    return f"R1 from {config.model} on {config.ranks or 1} ranks: {sizes}."


RECIPE = Recipe(
    name="r1",
    config=R1Config,
    main_stage="r1",
    default_preset="tiny",
    stages=stages,
    resolve=resolve,
    sentence=sentence,
)
