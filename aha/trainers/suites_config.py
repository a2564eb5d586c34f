"""Which suites are measured while a model trains: a table of the recipe, for all its training."""

from pydantic import Field

from aha.config import Config
from aha.trainers.rollout_config import Names, Steps


class SuitesConfig(Config):
    """Suites that are measured during training, every so many steps; what is left out is theirs."""

    names: Names = Field((), max_length=100, description="of suites, tasks or files; empty: none")
    data: str | None = Field(
        None, min_length=1, description="folder with the JSONL files of the suites; else the hub"
    )
    every: Steps = Field(100, description="steps between measurements; also before and at the end")
    problems: int = Field(128, ge=1, le=1_000_000, description="the first so many of each suite")
    samples: int = Field(1, ge=1, le=4_096, description="responses to each problem")
    template: str | None = Field(
        None, min_length=1, description="prompt template; left out: as in training, else theirs"
    )
    temperature: float | None = Field(None, ge=0, le=10, description="of sampling; none: theirs")
    top_p: float | None = Field(
        None, gt=0, le=1, description="probability mass that is sampled from; none: theirs"
    )
    max_new_tokens: int | None = Field(
        None, ge=1, le=1_048_576, description="of a response; none: as in training, else theirs"
    )
