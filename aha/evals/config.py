"""What can be set about the final evaluation of a recipe."""

from typing import Self

from pydantic import Field, model_validator

from aha.config import Config
from aha.errors import UserError
from aha.trainers.rollout_config import Dtype, Names


class EvaluateConfig(Config):
    """Held-out accuracy before and after: pass@1 over problems x samples, cons@k by majority."""

    task: Names | None = Field(
        None, description="names of tasks or files; left out: as in training"
    )
    template: str | None = Field(
        None, min_length=1, description="prompt template; left out: as in training"
    )
    max_new_tokens: int | None = Field(
        None,
        ge=1,
        le=1_048_576,
        description="tokens of a response before it is cut off; none: as in training",
    )
    problems: int = Field(
        512, ge=1, le=1_000_000, description="held-out problems of each task, for pass@1"
    )
    samples: int = Field(4, ge=1, le=4_096, description="responses to each problem, for pass@1")
    cons_samples: int = Field(
        16, ge=1, le=4_096, description="responses among which the majority votes"
    )
    cons_problems: int = Field(
        128, ge=1, le=1_000_000, description="held-out problems for the majority vote"
    )
    temperature: float = Field(1.0, ge=0, le=10, description="of sampling; 0 is greedy")
    top_p: float = Field(1.0, gt=0, le=1, description="probability mass that is sampled from")
    seed: int = Field(
        0, ge=0, lt=2**32, description="of the responses; the same for every training seed"
    )
    dtype: Dtype | None = Field(
        None, description="of weights and activations; none: as in training"
    )
    max_batch_rows: int = Field(
        256, ge=1, le=65_536, description="responses decoded at once by a rank"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.temperature == 0 and (self.samples > 1 or self.cons_samples > 1):
            raise UserError(
                "temperature = 0 gives the same response every time",
                hint="set samples=1 and cons_samples=1, or a temperature above 0",
            )
        return self


class StageTableConfig(Config):
    """The table of a run's models: reasoning on held-out problems, chat on held-out prompts."""

    task: Names | None = Field(
        None, description="the reasoning task (the first counts); left out: as in training"
    )
    template: str = Field("chat", min_length=1, description="prompt template of chat models")
    tagged_models: Names = Field(
        ("base", "zero"), description="models that are asked with R1-Zero's template"
    )
    chat_tasks: Names = Field(
        ("assistant", "requests"), description="tasks of the embedded world without right answers"
    )
    max_new_tokens: int = Field(
        192, ge=1, le=1_048_576, description="tokens of a response before it is cut off"
    )
    problems: int = Field(512, ge=1, le=1_000_000, description="held-out problems, for accuracy")
    samples: int = Field(2, ge=1, le=4_096, description="responses to each problem")
    cons_samples: int = Field(
        16, ge=1, le=4_096, description="responses among which the majority votes"
    )
    cons_problems: int = Field(
        64, ge=1, le=1_000_000, description="held-out problems for the majority vote"
    )
    chat_problems: int = Field(
        256, ge=1, le=1_000_000, description="held-out prompts of each chat task"
    )
    chat_samples: int = Field(2, ge=1, le=4_096, description="replies to each prompt")
    temperature: float = Field(1.0, ge=0, le=10, description="of sampling; 0 is greedy")
    top_p: float = Field(1.0, gt=0, le=1, description="probability mass that is sampled from")
    seed: int = Field(0, ge=0, lt=2**32, description="of the responses")
    dtype: Dtype | None = Field(None, description="of weights and activations; none: float32")
    max_batch_rows: int = Field(
        256, ge=1, le=65_536, description="responses decoded at once by a rank"
    )
