"""The stage functions, each imported when it runs: planning a run needs neither torch nor model."""

from typing import Any

from aha.pipeline.stage import StageContext, StageResult

Context = StageContext[Any]


def reinforce(ctx: Context) -> StageResult:
    """Reinforcement learning (GrpoConfig)."""
    from aha.trainers.grpo import train

    return train(ctx)


def fine_tune(ctx: Context) -> StageResult:
    """Supervised fine-tuning (SftConfig)."""
    from aha.trainers.sft import train

    return train(ctx)


def distill(ctx: Context) -> StageResult:
    """On-policy distillation (DistillationConfig)."""
    from aha.trainers.distillation import train

    return train(ctx)


def pretrain(ctx: Context) -> StageResult:
    """Pre-training of a small model (PretrainConfig)."""
    from aha.trainers.pretrain import train

    return train(ctx)


def reward_model(ctx: Context) -> StageResult:
    """A reward model (RewardModelConfig)."""
    if ctx.config.body == "frozen":
        from aha.trainers.frozen_body import train
    else:
        from aha.trainers.reward_model import train

    return train(ctx)


def collect_cold_start(ctx: Context) -> StageResult:
    """Readable samples of R1-Zero (ColdStartConfig)."""
    from aha.data.cold_start import collect

    return collect(ctx)


def collect_rejection(ctx: Context) -> StageResult:
    """Right and readable samples (RejectionConfig)."""
    from aha.data.rejection import collect

    return collect(ctx)


def collect_general(ctx: Context) -> StageResult:
    """Non-reasoning conversations (GeneralConfig)."""
    from aha.data.general import collect

    return collect(ctx)


def mix(ctx: Context) -> StageResult:
    """Reasoning and other data in one set (MixConfig)."""
    from aha.data.mixing import mix

    return mix(ctx)


def collect_preferences(ctx: Context) -> StageResult:
    """Judged pairs and safety labels (PreferenceConfig)."""
    from aha.data.preferences import collect

    return collect(ctx)


def evaluate(ctx: Context) -> StageResult:
    """A model before and after training (EvaluateConfig)."""
    from aha.evals.stage import evaluate

    return evaluate(ctx)


def compare_models(ctx: Context) -> StageResult:
    """The table of all models of a run (StageTableConfig)."""
    from aha.evals.stage_table import evaluate

    return evaluate(ctx)


def compare_arms(ctx: Context) -> StageResult:
    """The table of models that were trained side by side, and what that took (ArmsConfig)."""
    from aha.evals.arms import compare

    return compare(ctx)
