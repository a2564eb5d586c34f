"""What goes into the rollout engine and what comes out."""

from dataclasses import dataclass
from typing import Literal

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """How tokens are drawn. The defaults draw from the model's own distribution, as RL needs."""

    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    top_k: int | None = None
    min_p: float = 0.0
    max_new_tokens: int = 256
    stop: tuple[str, ...] = ()
    """Text that ends a completion; it is cut off."""
    stop_at_eos: bool = True
    forbidden_token_ids: tuple[int, ...] = ()
    """Tokens that are never drawn (for ablations such as forbidding reflection words)."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled response."""

    token_ids: tuple[int, ...]
    """Exactly the sampled tokens, EOS included when it was drawn."""
    logprobs: tuple[float, ...]
    """Log-probability of each sampled token under the whole distribution at the temperature
    (before top-p, top-k and min-p)."""
    text: str
    """Decoded without special tokens; a stop string is cut off."""
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStats:
    """How far a `generate` is, or how it went."""

    num_rows: int
    """Completions asked for."""
    num_done: int
    prompt_tokens: int
    """Of all prompts, each counted once."""
    shared_tokens: int
    """Length of the prefix that all prompts have in common and that was computed once."""
    new_tokens: int
    num_steps: int
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        """Sampled tokens a second, prefill included."""
        return self.new_tokens / max(self.seconds, 1e-9)
