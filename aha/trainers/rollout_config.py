"""What every loop that trains a model on its own samples can be told, and the types of keys."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, Strict, model_validator

from aha.config import Config
from aha.errors import UserError

Dtype = Literal["float32", "bfloat16"]
Steps = Annotated[int, Field(ge=1, le=10_000_000)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=100)]
LearningRate = Annotated[float, Field(gt=0, le=10)]


def as_names(value: object) -> object:
    return (
        (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value
    )


Name = Annotated[str, Field(min_length=1, max_length=4096)]
Names = Annotated[tuple[Name, ...], BeforeValidator(as_names), Strict(False)]


class RolloutConfig(Config):
    """Training on a model's own samples, step by step.

    A step is one rollout of prompts_per_step x samples_per_prompt responses, followed by
    `minibatches` optimizer updates. All periods (`_every`) are counted in these steps.
    """

    task: Names = Field(
        ("arithmetic",),
        min_length=1,
        max_length=100,
        description="names of tasks or task files, drawn from equally",
    )
    template: str = Field(
        "r1-zero", min_length=1, description="prompt template: r1-zero, chat, none or a file"
    )
    num_steps: Steps = Field(100, description="rollouts, each followed by its updates")
    prompts_per_step: int = Field(16, ge=1, le=65_536, description="different questions in a step")
    samples_per_prompt: int = Field(16, ge=1, le=4_096, description="responses to each question")
    tokens_per_microbatch: int = Field(
        16_384,
        ge=64,
        le=2**24,
        description="prompt and response tokens in one forward-backward; memory, not results",
    )
    minibatches: int = Field(
        1,
        ge=1,
        le=1_024,
        description="optimizer updates a step; above 1 the later ones are off-policy",
    )
    max_new_tokens: int = Field(
        1_024, ge=1, le=1_048_576, description="tokens of a response before it is cut off"
    )
    temperature: float = Field(
        1.0, gt=0, le=10, description="of rollouts and of the log-probabilities in the loss"
    )
    learning_rate: LearningRate = Field(1e-6, description="of AdamW after the warm-up")
    warmup_steps: int = Field(
        0, ge=0, le=10_000_000, description="steps in which the learning rate rises from 0"
    )
    lr_schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant", description="after the warm-up: constant, linear to 0, cosine to a tenth"
    )
    weight_decay: float = Field(0.0, ge=0, le=10, description="AdamW's decoupled decay of matrices")
    adam_beta2: float = Field(0.95, ge=0, lt=1, description="AdamW's decay of the squared gradient")
    grad_clip: float | None = Field(
        1.0, gt=0, le=1e6, description="largest gradient norm of an update; none: unlimited"
    )
    stop_when_flat: int | None = Field(
        None,
        ge=2,
        le=1_000_000,
        description="end when accuracy over so many steps is no better than over as many before",
    )
    save_every: Steps = Field(50, description="steps between checkpoints")
    keep_checkpoints: int = Field(
        2, ge=1, le=100_000, description="newest checkpoints that are kept"
    )
    eval_every: Steps | None = Field(
        None, description="steps between evaluations on validation problems; none: never"
    )
    eval_problems: int = Field(
        128, ge=1, le=1_000_000, description="validation problems of each task a time"
    )
    sample_every: Steps = Field(
        10, description="steps between saved steps of samples, of which one is printed"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="of every random stream of the stage")
    dtype: Dtype = Field(
        "float32", description="of weights and activations; log-probs are always float32"
    )
    max_batch_rows: int = Field(
        256, ge=1, le=65_536, description="responses decoded at once by a rank"
    )

    @property
    def responses_per_step(self) -> int:
        """prompts_per_step x samples_per_prompt."""
        return self.prompts_per_step * self.samples_per_prompt

    @model_validator(mode="after")
    def _check_rollout(self) -> Self:
        if self.minibatches > self.responses_per_step:
            raise UserError(
                f"minibatches = {self.minibatches} is more than the {self.responses_per_step} "
                "responses of a step",
                hint="lower minibatches, or raise prompts_per_step or samples_per_prompt",
            )
        return self
