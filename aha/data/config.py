"""What can be set about the data stages."""

from typing import Literal, Self

from pydantic import Field, model_validator

from aha.config import Config
from aha.data.filters import ReadingFilters
from aha.errors import UserError
from aha.trainers.rollout_config import Dtype, Names


class SamplingConfig(ReadingFilters):
    """Keys that every stage that samples a model has."""

    task: Names = Field(("arithmetic",), min_length=1, description="names of tasks or files")
    template: str = Field("chat", min_length=1, description="prompt template of the sampled model")
    problems: int = Field(
        1_024, ge=1, le=10_000_000, description="training problems of each task that are asked"
    )
    samples: int = Field(4, ge=1, le=4_096, description="responses to each problem")
    max_new_tokens: int = Field(192, ge=1, le=1_048_576, description="tokens of a response")
    temperature: float = Field(1.0, gt=0, le=10, description="of sampling")
    top_p: float = Field(1.0, gt=0, le=1, description="probability mass that is sampled from")
    chunk_problems: int = Field(
        256, ge=1, le=1_000_000, description="problems between checkpoints of the stage"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="of the responses")
    dtype: Dtype = Field("float32", description="of weights and activations")
    max_batch_rows: int = Field(256, ge=1, le=65_536, description="responses decoded at once")


class ColdStartConfig(SamplingConfig):
    """Cold-start data (arXiv 2501.12948v2, B.3.2): thousands of long, readable thoughts."""

    method: Literal["zero_outputs", "few_shot", "direct"] = Field(
        "zero_outputs",
        description="where thoughts come from: readable outputs of R1-Zero; or the writer, asked "
        "with worked examples, or directly for an answer with reflection and verification",
    )
    template: str = Field(
        "r1-zero", min_length=1, description="prompt template of the sampled model"
    )
    per_problem: int = Field(
        1, ge=1, le=4_096, description="accepted responses that are kept of each problem"
    )
    prefer: Literal["first", "longest", "shortest"] = Field(
        "longest", description="which of the accepted responses are kept"
    )
    writer: str = Field(
        "rules",
        min_length=1,
        description="who writes: rules, a model folder, or endpoint:URL#MODEL",
    )
    writer_max_new_tokens: int = Field(
        2_048, ge=1, le=1_048_576, description="tokens of a summary or translation of the writer"
    )
    examples: str = Field(
        "none", min_length=1, description="JSONL of conversations that few_shot shows"
    )
    num_examples: int = Field(
        3, ge=1, le=64, description="examples in a few-shot prompt, drawn for each problem"
    )
    file: str = Field(
        "none",
        min_length=1,
        description="JSONL of conversations to take instead, as `aha review --export` writes it",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.method != "zero_outputs" and self.writer == "rules" and self.file == "none":
            raise UserError(
                f"method = {self.method} asks a writer, and rules are none that can be asked",
                hint="set writer to a model folder or endpoint:URL#MODEL",
            )
        if self.method == "few_shot" and self.examples == "none" and self.file == "none":
            raise UserError(
                "method = few_shot has no examples",
                hint="set examples to a JSONL of conversations with reasoning_content",
            )
        return self


JUDGE_TOKENS = Field(
    1_024, ge=1, le=1_048_576, description="tokens of a judgement, the judge's thoughts included"
)


class RejectionConfig(SamplingConfig):
    """Rejection sampling (arXiv 2501.12948v2, B.3.3): many samples, the right ones are kept."""

    per_problem: int = Field(
        2, ge=1, le=4_096, description="accepted responses that are kept of each problem"
    )
    prefer: Literal["first", "longest", "shortest"] = Field(
        "first", description="which of the accepted responses are kept"
    )
    judge: str = Field(
        "none",
        min_length=1,
        description="who grades what rules cannot: none, a model folder, or endpoint:URL#MODEL",
    )
    judge_max_new_tokens: int = JUDGE_TOKENS


class GeneralConfig(Config):
    """Non-reasoning data: what assistants are asked beside problems."""

    rows: int = Field(1_200, ge=1, le=10_000_000, description="embedded requests that are answered")
    file: str = Field(
        "none", min_length=1, description="JSONL of conversations to take instead; none: embedded"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="of the choice of requests and replies")


class MixConfig(Config):
    """One set for fine-tuning: the paper's 600k reasoning and 200k other samples as a ratio."""

    general_fraction: float = Field(
        0.25, ge=0, lt=1, description="of the rows that are not reasoning"
    )
    max_rows: int | None = Field(
        None, ge=1, le=10_000_000, description="rows in all; none: as many as the ratio allows"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="of the order and of what is left out")


class PreferenceConfig(SamplingConfig):
    """Preferences for reward models (arXiv 2501.12948v2, 3.1): pairs of replies, safety labels."""

    task: Names = Field(
        ("assistant", "requests"), min_length=1, description="tasks whose prompts are answered"
    )
    judge: str = Field(
        "embedded",
        min_length=1,
        description="who compares replies and labels their safety: embedded (for the embedded "
        "world), a model folder, or endpoint:URL#MODEL",
    )
    judge_max_new_tokens: int = JUDGE_TOKENS
    judgements: int = Field(
        4, ge=1, le=64, description="times that a pair is judged, half of them in swapped order"
    )
    min_margin: float = Field(
        1.0, ge=0, le=2, description="mean judgement, -2 to 2, that a kept pair has to exceed"
    )
    balance_length: bool = Field(
        True, description="drop pairs until chosen and rejected replies are about equally long"
    )
    file: str = Field(
        "none", min_length=1, description="folder with pairs.jsonl and labels.jsonl to take instead"
    )
