"""Ablations of R1: arms that differ in one thing, trained from the same seeds and compared.

    ppo         GRPO against PPO with a critic, lambda 0.95 and 1.0 (arXiv 2501.12948v2, Figure 4)
    language    RL with and without the language reward (B.6, Figure 7)
    cold_start  RL on the base model against RL on a model that was fine-tuned first (2.3)
    from_base   the second fine-tuning on the base model against one on the RL checkpoint (Figure 2)

The stages have the names and the wiring of the recipe r1; an arm is one of them, or one with a key
changed. Every arm of RL draws the same prompts with the same seeds: as long as their policies are
equal, so are their samples.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import Field

from aha.config import build
from aha.evals.arms import ArmsConfig
from aha.pipeline.machine import default_ranks
from aha.pipeline.sources import Source, model_source
from aha.pipeline.stage import Stage, StageContext, StageResult
from aha.recipes import loops, r1
from aha.recipes.recipe import Recipe
from aha.recipes.zero import prompt_files
from aha.trainers.config import GrpoConfig
from aha.trainers.ppo_config import CriticConfig, PpoConfig

Study = Literal["ppo", "language", "cold_start", "from_base"]
LAMBDAS = {"ppo_095": 0.95, "ppo_1": 1.0}
"""The arms of PPO: the default of most libraries, and what the paper found to work."""
Models = Mapping[str, Stage[Any] | Source]


class AblationConfig(r1.ReasoningConfig):
    """One study; the stages that it does not need are left out.

    `zero` gives the arms of ppo and language, `dev2` of cold_start, `dev3` of from_base.
    """

    study: Study = Field("ppo", description="what is compared")
    critic: CriticConfig = Field(CriticConfig(), description="the critic of PPO's arms")
    evaluate: ArmsConfig = Field(ArmsConfig(), description="the comparison")


def stages(config: AblationConfig) -> list[Stage[Any]]:
    """The stages that the arms of the study need, the arms, and their comparison."""
    models = STUDIES[config.study].models(config)
    todo = with_inputs([given for given in models.values() if isinstance(given, Stage)])
    evaluation = config.evaluate
    files = prompt_files(evaluation.task or config.zero.task, evaluation.template)
    return [*todo, Stage("evaluate", evaluation, loops.compare_arms, {**models, **files})]


def with_inputs(wanted: Sequence[Stage[Any]]) -> list[Stage[Any]]:
    """Stages, each after the stages that it reads from."""
    ordered: list[Stage[Any]] = []
    for stage in wanted:
        before = [given for given in stage.inputs.values() if isinstance(given, Stage)]
        ordered += [s for s in (*with_inputs(before), stage) if s not in ordered]
    return ordered


def ppo_models(config: AblationConfig) -> Models:
    """GRPO, and PPO with two lambdas on the same prompts, samples and steps."""
    base = model_source(config.model)
    arms = {name: ppo_config(config, gae_lambda) for name, gae_lambda in LAMBDAS.items()}
    return {
        "base": base,
        "grpo": measured_rl("grpo", config.zero, base),
        **{name: measured_rl(name, arm, base) for name, arm in arms.items()},
    }


def ppo_config(config: AblationConfig, gae_lambda: float) -> PpoConfig:
    """The RL stage as PPO; what is about groups does not apply."""
    critic = config.critic.replace(gae_lambda=gae_lambda).table()
    given = {"advantage_scale": "none", "dynamic_sampling": False, "critic": critic}
    return build(PpoConfig, {**config.zero.table(), **given})


def language_models(config: AblationConfig) -> Models:
    """RL on the base model, with the language reward of dev2 and with none."""
    base, weight = model_source(config.model), config.dev2.language_weight or 1.0
    return {
        "base": base,
        **{
            name: measured_rl(name, config.zero.replace(language_weight=value), base)
            for name, value in (("without_language", 0.0), ("with_language", weight))
        },
    }


def cold_start_models(config: AblationConfig) -> Models:
    """The same RL on the base model, with R1-Zero's template, and on dev1."""
    base, stage = model_source(config.model), r1_stages(config)
    on_base = config.dev2.replace(template=config.zero.template)
    return {
        "base": base,
        "rl_from_base": measured_rl("rl_from_base", on_base, base),
        "dev1": stage["dev1"],
        "rl_from_dev1": measured_rl("rl_from_dev1", config.dev2, stage["dev1"]),
    }


def from_base_models(config: AblationConfig) -> Models:
    """The second fine-tuning on the same data, on the base model and on dev2."""
    stage = r1_stages(config)
    given = {"model": stage["dev2"], "data": stage["mix"]}
    return {
        "base": model_source(config.model),
        "dev2": stage["dev2"],
        "dev3_from_base": replace(stage["dev3"], name="dev3_from_base"),
        "dev3_from_dev2": Stage("dev3_from_dev2", config.dev3, loops.fine_tune, given),
    }


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """What a study compares."""

    models: Callable[[AblationConfig], Models]
    question: str
    tagged: tuple[str, ...] = ()
    """Models that are asked with R1-Zero's template beside chat models; none: no chat models."""


STUDIES: Mapping[Study, StudyPlan] = {
    "ppo": StudyPlan(ppo_models, "GRPO against PPO with a critic"),
    "language": StudyPlan(language_models, "RL with and without the language reward"),
    "cold_start": StudyPlan(
        cold_start_models,
        "RL on the base model against RL after a cold start",
        ("base", "rl_from_base"),
    ),
    "from_base": StudyPlan(
        from_base_models,
        "the second fine-tuning on the base model against one on the RL checkpoint",
        ("base",),
    ),
}


def r1_stages(config: AblationConfig) -> dict[str, Stage[Any]]:
    """The stages of the recipe r1 with this config's values, by name."""
    shared = r1.ReasoningConfig.model_fields
    whole = r1.R1Config(**{name: getattr(config, name) for name in shared})
    return {stage.name: stage for stage in r1.stages(whole)}


def measured_rl(name: str, config: GrpoConfig, model: Stage[Any] | Source) -> Stage[Any]:
    """A stage of RL that also records its memory."""
    return replace(r1.rl_stage(name, config, model), run=train_measured)


def train_measured(ctx: StageContext[Any]) -> StageResult:
    """GRPO (GrpoConfig) or PPO (PpoConfig), with its memory in the summary."""
    from aha.trainers import grpo, ppo
    from aha.trainers.memory import measured

    return measured(ctx, ppo.train if isinstance(ctx.config, PpoConfig) else grpo.train)


def resolve(config: AblationConfig) -> AblationConfig:
    """Fill in what is derived: ranks from the machine, the comparison's values from the training.

    Every model is asked with the template it was trained with.
    """
    zero, evaluation, tagged = config.zero, config.evaluate, STUDIES[config.study].tagged
    derived = evaluation.replace(
        task=evaluation.task or zero.task,
        dtype=evaluation.dtype or zero.dtype,
        template=config.dev2.template if tagged else zero.template,
        tagged_models=tagged,
    )
    ranks = config.ranks or default_ranks(zero.prompts_per_step)
    return config.model_copy(update={"ranks": ranks, "evaluate": derived})


def sentence(config: AblationConfig) -> str:
    """The size of a run."""
    plan = STUDIES[config.study]
    rl = config.dev2 if config.study == "cold_start" else config.zero
    return (
        f"{plan.question}, on {config.ranks or 1} ranks; "
        f"RL of {rl.num_steps:,} steps of {rl.responses_per_step:,} responses."
    )


RECIPE = Recipe(
    name="ablation",
    config=AblationConfig,
    main_stage="zero",
    default_preset="tiny",
    stages=stages,
    resolve=resolve,
    sentence=sentence,
)
