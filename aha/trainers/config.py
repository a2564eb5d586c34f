"""What can be set about the training loops; each key with its unit and effect."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, Strict, model_validator

from aha.config import Config
from aha.errors import UserError
from aha.trainers.rollout_config import (
    Dtype,
    Fraction,
    LearningRate,
    Names,
    RolloutConfig,
    Steps,
    Weight,
    as_names,
)


class PreferenceRewardsConfig(Config):
    """Rewards of reward models in the last steps of RL (arXiv 2501.12948v2, Eq. 10)."""

    last_steps: int = Field(
        0, ge=0, le=10_000_000, description="steps at the end with general prompts; 0: none"
    )
    task: Names = Field(
        ("assistant", "requests"), min_length=1, description="tasks without right answers"
    )
    prompts_fraction: Fraction = Field(0.5, description="of a step's prompts that are general")
    helpful_weight: Weight = Field(1.0, description="of sigmoid(score) of the final summary")
    harmless_weight: Weight = Field(1.0, description="of sigmoid(score) of the whole response")
    max_tokens: int = Field(
        8_192, ge=8, le=1_048_576, description="that a reward model reads; the last ones"
    )

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each reward part, by its name."""
        return {"helpful": self.helpful_weight, "harmless": self.harmless_weight}


Overlong = Literal["keep", "mask", "soft", "cosine", "repetition"]
OverlongList = Annotated[
    tuple[Overlong, ...], BeforeValidator(as_names), Strict(False), Field(min_length=1)
]
SHAPING: tuple[Overlong, ...] = ("soft", "cosine", "repetition")


def part_of(shaping: Overlong) -> str:
    """The name of a part of the reward in samples and metrics."""
    return "overlong" if shaping == "soft" else shaping


class GrpoConfig(RolloutConfig):
    """Reinforcement learning with group-relative advantages (arXiv 2402.03300, 2501.12948)."""

    samples_per_prompt: int = Field(
        16,
        ge=2,
        le=4_096,
        description="responses to each question: the group an advantage is relative to",
    )
    clip_low: float = Field(
        0.2, ge=0, le=1e6, description="the importance ratio is clipped below 1 - clip_low"
    )
    clip_high: float = Field(
        0.28, ge=0, le=1e6, description="the importance ratio is clipped above 1 + clip_high"
    )
    kl_coef: float | None = Field(
        0.0,
        ge=0,
        le=1e3,
        description="weight in the loss of the KL divergence to the reference; 0: only measured; "
        "none: there is no reference",
    )
    kl_estimator: Literal["k1", "k2", "k3", "k3+"] = Field(
        "k3",
        description="of the KL divergence; k3: the paper's; k3+: its value with the gradient of k2",
    )
    reference_refresh_every: Steps | None = Field(
        None, description="steps after which the reference becomes the current policy; none: never"
    )
    loss_aggregation: Literal["sequence", "token", "constant"] = Field(
        "token",
        description="mean over responses of token means, over all tokens, or sum / max_new_tokens",
    )
    advantage_scale: Literal["group_std", "batch_std", "none", "gdpo"] = Field(
        "none",
        description="what reward - group mean is divided by; gdpo: every reward part by its own "
        "group std, then their weighted sum by batch_std",
    )
    ratio_level: Literal["token", "sequence"] = Field(
        "token", description="importance ratio of each token, or one a response (GSPO)"
    )
    surrogate: Literal["clip", "cispo"] = Field(
        "clip",
        description="clip the objective (PPO) or the weight of every token's gradient (CISPO)",
    )
    dynamic_sampling: bool = Field(
        True, description="replace groups whose rewards are all equal by new ones (DAPO)"
    )
    overlong: Overlong | OverlongList = Field(
        "keep",
        description="against empty length, one or a list. keep: nothing; mask: responses cut off "
        "are out of the loss; soft: a penalty close to the limit; cosine: right answers earn more "
        "when short, wrong ones less; repetition: a penalty on repeated passages",
    )
    accuracy_weight: Weight = Field(1.0, description="reward of a right answer")
    format_weight: Weight = Field(1.0, description="reward of a well-formed response")
    language_weight: Weight = Field(
        0.0, description="reward of a chain of thought wholly in the question's language"
    )
    preference: PreferenceRewardsConfig = Field(
        PreferenceRewardsConfig(), description="reward models for prompts without right answers"
    )

    @property
    def kl_weight(self) -> float:
        """kl_coef as a number."""
        return self.kl_coef or 0.0

    @property
    def reward_weights(self) -> dict[str, float]:
        """Weight of each reward part, by its name in samples and metrics."""
        weights = {
            "accuracy": self.accuracy_weight,
            "format": self.format_weight,
            "language": self.language_weight,
        }
        return weights | dict.fromkeys(map(part_of, self.shaping), 1.0)

    @property
    def shaping(self) -> tuple[Overlong, ...]:
        """The parts of the reward that `overlong` adds."""
        return tuple(name for name in SHAPING if name in self.length_measures)

    @property
    def length_measures(self) -> tuple[Overlong, ...]:
        """`overlong` as a tuple."""
        return (self.overlong,) if isinstance(self.overlong, str) else self.overlong

    @model_validator(mode="after")
    def _check(self) -> Self:
        if "keep" in self.length_measures and len(self.length_measures) > 1:
            raise UserError(
                f"overlong = {', '.join(self.length_measures)}: keep goes with nothing else",
                hint="leave keep out of the list",
            )
        if self.accuracy_weight == self.format_weight == self.language_weight == 0:
            raise UserError("all reward weights are 0", hint="set accuracy_weight=1")
        if self.reference_refresh_every is not None and self.kl_coef is None:
            raise UserError(
                "reference_refresh_every is set but kl_coef = none, so there is no reference",
                hint="set kl_coef=0.001, or reference_refresh_every=none",
            )
        return self


class PretrainConfig(Config):
    """Pre-training of a small model from nothing on the embedded corpus."""

    width: int = Field(128, ge=16, le=8_192, description="size of the residual stream")
    layers: int = Field(4, ge=1, le=128, description="transformer blocks")
    heads: int = Field(4, ge=1, le=128, description="attention heads; divides width")
    kv_heads: int | None = Field(
        None, ge=1, le=128, description="key and value heads; divides heads; none: as heads"
    )
    mlp_width: int | None = Field(
        None, ge=16, le=65_536, description="hidden size of the MLP; none: 3 x width"
    )
    vocab_size: int = Field(
        1_024, ge=512, le=1_000_000, description="tokens, 256 of them single bytes and 4 the tags"
    )
    context_tokens: int = Field(
        512, ge=16, le=131_072, description="longest sequence the model will see"
    )
    num_tokens: int = Field(
        3_700_000, ge=1_000, le=10**12, description="tokens of the corpus trained on"
    )
    batch_rows: int = Field(32, ge=1, le=65_536, description="rows in an update, over all ranks")
    row_tokens: int = Field(256, ge=16, le=131_072, description="tokens of a row, packed documents")
    learning_rate: LearningRate = Field(0.02, description="of Muon, for matrices")
    embedding_learning_rate: LearningRate = Field(
        4e-3, description="of AdamW, for embeddings and norms"
    )
    warmup_steps: int = Field(
        60, ge=0, le=1_000_000, description="updates in which the learning rate rises from 0"
    )
    final_lr_fraction: Fraction = Field(
        0.03, description="of the learning rate that is left at the end"
    )
    grad_clip: float | None = Field(
        1.0, gt=0, le=1e6, description="largest gradient norm; none: unlimited"
    )
    save_every: Steps = Field(200, description="updates between checkpoints")
    keep_checkpoints: int = Field(
        2, ge=1, le=100_000, description="newest checkpoints that are kept"
    )
    eval_every: Steps | None = Field(
        None, description="updates between validation losses; none: never"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="of every random stream of the stage")
    dtype: Dtype = Field("float32", description="of the matrix products; weights stay float32")

    @property
    def num_steps(self) -> int:
        """Whole updates in num_tokens."""
        return max(1, self.num_tokens // (self.batch_rows * self.row_tokens))

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.width % self.heads:
            raise UserError(
                f"heads = {self.heads} does not divide width = {self.width}",
                hint="choose a number of heads that divides the width",
            )
        if self.kv_heads is not None and self.heads % self.kv_heads:
            raise UserError(
                f"kv_heads = {self.kv_heads} does not divide heads = {self.heads}",
                hint="choose kv_heads that divides heads, or kv_heads=none",
            )
        if self.row_tokens > self.context_tokens:
            raise UserError(
                f"row_tokens = {self.row_tokens} exceeds context_tokens = {self.context_tokens}",
                hint="raise context_tokens or lower row_tokens",
            )
        return self


class RewardModelConfig(Config):
    """A reward model: the body of a language model with a scalar head (2501.12948v2, 3.1)."""

    kind: Literal["pairwise", "pointwise"] = Field(
        "pairwise", description="pairs of replies (helpfulness) or labelled responses (safety)"
    )
    template: str = Field("chat", min_length=1, description="prompt template before the text")
    body: Literal["trained", "frozen"] = Field(
        "trained", description="frozen: read each text once and fit the head alone"
    )
    head_penalty: float = Field(
        0.05, gt=0, le=1e6, description="with a frozen body: factor of the head's squared length"
    )
    epochs: int = Field(1, ge=1, le=1_000, description="passes over the rows")
    batch_rows: int = Field(256, ge=1, le=65_536, description="pairs or responses in an update")
    tokens_per_microbatch: int = Field(
        8_192, ge=64, le=2**24, description="padded tokens in one forward-backward; memory only"
    )
    max_tokens: int = Field(
        8_192, ge=8, le=1_048_576, description="of prompt and text; longer ones lose the beginning"
    )
    learning_rate: LearningRate = Field(6e-6, description="of AdamW after the warm-up")
    warmup_steps: int = Field(
        0, ge=0, le=10_000_000, description="updates in which the learning rate rises from 0"
    )
    weight_decay: float = Field(0.0, ge=0, le=10, description="AdamW's decoupled decay of matrices")
    grad_clip: float | None = Field(
        1.0, gt=0, le=1e6, description="largest gradient norm of an update; none: unlimited"
    )
    held_back_fraction: float = Field(
        0.1, gt=0, lt=1, description="of the prompts, to measure accuracy and calibration with"
    )
    fold: int = Field(
        0, ge=0, le=1_000, description="which part is held back; all in turn are cross-validation"
    )
    eval_every: Steps = Field(100, description="updates between measurements")
    save_every: Steps = Field(100, description="updates between checkpoints")
    seed: int = Field(0, ge=0, lt=2**32, description="of the order and of what is held back")
    dtype: Dtype = Field("float32", description="of the matrix products; weights are float32")


class SftConfig(Config):
    """Supervised fine-tuning on conversations (arXiv 2501.12948, appendix B.3).

    An epoch is every sample once; a step is one update on `batch_samples` of them, drawn at random
    and packed into rows. The mean is over the step's trained tokens, so packing changes no result.
    """

    epochs: int = Field(2, ge=1, le=10_000, description="times that every sample is trained on")
    num_steps: Steps | None = Field(
        None, description="updates; none: those of the epochs, else epochs is not used"
    )
    batch_samples: int = Field(
        64, ge=1, le=1_000_000, description="samples in an update at most, over all ranks"
    )
    row_tokens: int = Field(
        2_048,
        ge=16,
        le=1_048_576,
        description="tokens of a packed row, and the longest sample that is trained on",
    )
    tokens_per_microbatch: int = Field(
        16_384,
        ge=64,
        le=2**24,
        description="tokens in one forward-backward, one row at least; memory, not results",
    )
    overlong: Literal["drop", "cut"] = Field(
        "drop", description="samples longer than a row or the model's context: left out or cut off"
    )
    optimizer: Literal["adamw", "muon"] = Field(
        "adamw", description="adamw, or muon for the matrices and adamw for embeddings and norms"
    )
    learning_rate: LearningRate = Field(1e-5, description="peak, of AdamW, or of Muon's matrices")
    embedding_learning_rate: LearningRate | None = Field(
        None,
        description="with muon: of AdamW for embeddings and norms; none: a fifth of learning_rate",
    )
    warmup_fraction: Fraction = Field(
        0.03, description="of the steps, in which the learning rate rises from 0"
    )
    lr_schedule: Literal["constant", "linear", "cosine"] = Field(
        "cosine", description="after the warm-up: constant, linear to 0, cosine to a tenth"
    )
    weight_decay: float = Field(
        0.0, ge=0, le=10, description="AdamW's decoupled decay of matrices; none with muon"
    )
    adam_beta2: float = Field(0.95, ge=0, lt=1, description="AdamW's decay of the squared gradient")
    grad_clip: float | None = Field(
        1.0, gt=0, le=1e6, description="largest gradient norm of an update; none: unlimited"
    )
    validation_fraction: Fraction = Field(
        0.02, description="of the prompts, held back for the validation loss; 0: none"
    )
    eval_every: Steps | None = Field(
        None, description="steps between validation losses; none: at the end of every epoch"
    )
    save_every: Steps = Field(100, description="steps between checkpoints")
    keep_checkpoints: int = Field(
        2, ge=1, le=100_000, description="newest checkpoints that are kept"
    )
    seed: int = Field(
        0, ge=0, lt=2**32, description="of the order of samples and of which are held back"
    )
    dtype: Dtype = Field("float32", description="of the matrix products; weights stay float32")
