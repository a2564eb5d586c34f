"""What can be set about on-policy distillation."""

from typing import Literal

from pydantic import Field

from aha.trainers.rollout_config import LearningRate, RolloutConfig


class DistillationConfig(RolloutConfig):
    """On-policy distillation: a student learns from a teacher on its own samples (2306.13649)."""

    temperature: float = Field(
        1.0, gt=0, le=10, description="of rollouts and of both distributions in the loss"
    )
    optimizer: Literal["adamw", "muon"] = Field(
        "adamw", description="adamw, or muon for the matrices and adamw for embeddings and norms"
    )
    embedding_learning_rate: LearningRate | None = Field(
        None,
        description="with muon: of AdamW for embeddings and norms; none: a fifth of learning_rate",
    )
