"""What can be set about PPO: the keys of GRPO and one table about the critic."""

from typing import Self

from pydantic import Field, model_validator

from aha.config import Config
from aha.errors import UserError
from aha.trainers.config import GrpoConfig
from aha.trainers.rollout_config import Fraction, LearningRate


class CriticConfig(Config):
    """The value model of PPO and what is made of its values (arXiv 1506.02438, 1707.06347)."""

    learning_rate: LearningRate = Field(1e-5, description="of the critic's AdamW")
    gae_lambda: Fraction = Field(
        1.0,
        description="of advantages: 1 trusts rewards alone, less leans on the next tokens' values",
    )
    gamma: Fraction = Field(1.0, description="discount of a reward with every token before it")
    value_clip: float | None = Field(
        0.5,
        gt=0,
        le=1e6,
        description="largest useful move of a value in a step, in units of reward; none: unlimited",
    )
    warmup_steps: int = Field(
        0, ge=0, le=10_000_000, description="steps at the start that train the critic alone"
    )
    whiten: bool = Field(
        True, description="shift and scale the advantages of a step's tokens to mean 0 and std 1"
    )
    kl_in_reward: bool = Field(
        True, description="kl_coef is a penalty on the reward of every token, not part of the loss"
    )


class PpoConfig(GrpoConfig):
    """PPO with a critic instead of groups; every key of GRPO but the two below means the same.

    A step, its minibatches, learning rates and clipping are those of GRPO. The critic follows the
    policy's schedule and gradient clipping.
    """

    dynamic_sampling: bool = Field(False, description="has to be false: PPO compares no groups")
    critic: CriticConfig = Field(CriticConfig(), description="the critic and its advantages")

    @model_validator(mode="after")
    def _check_ppo(self) -> Self:
        if self.dynamic_sampling:
            raise UserError(
                "PPO compares no groups, so none are dropped", hint="set dynamic_sampling=false"
            )
        if self.advantage_scale != "none":
            raise UserError(
                f"advantage_scale = {self.advantage_scale} is about groups, which PPO has not",
                hint="set advantage_scale=none; critic.whiten scales the advantages of PPO",
            )
        return self
