"""What a cache of keys and values does for the decoding step.

Shapes: S slots, of which the first R are in use, N prompts, H query heads, K key heads, X = H + 2K,
P tokens of the prefix that all rows share, T tokens, d head width. Everything is float32, whatever
the weights are, as in the trainer's attention.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from aha.model.config import ModelConfig


@dataclass(frozen=True, slots=True)
class Prefilled:
    """Keys and values [N, K, T, d] of each layer and the last hidden state [N, D] of prompts."""

    keys: list[Tensor]
    values: list[Tensor]
    hidden_ND: Tensor

    @property
    def num_tokens(self) -> int:
        return self.keys[0].shape[2]


class Cache(ABC):
    """Room for rows of tokens, each after a prefix that is held once. Pairs lie side by side."""

    def __init__(self, config: ModelConfig, num_slots: int, capacity_tokens: int):
        self.config, self.num_slots, self.capacity_tokens = config, num_slots, capacity_tokens
        self.num_prefix = 0

    def set_prefix(self, prefix: Prefilled | None) -> None:
        """The tokens that all rows share from now on."""
        self.num_prefix = 0 if prefix is None else prefix.num_tokens

    @abstractmethod
    def fill(self, slots: Tensor, prompts: Prefilled, source: Tensor, lengths: Tensor) -> None:
        """Start rows: slot i takes the first lengths[i] tokens of prompt source[i]."""

    @abstractmethod
    def move(self, source: Tensor, target: Tensor, num_tokens: int) -> None:
        """Copy rows to other slots, as far as their first tokens."""

    @abstractmethod
    def begin(self, positions_R: Tensor, num_tokens: int, turn_RX: Tensor) -> None:
        """Start a step.

        Rows hold positions [R] tokens each, after the step at most num_tokens; turn [R, d / 2] is
        exp(i * angle) of the new tokens' positions in the text.
        """

    @abstractmethod
    def attend(self, layer: int, heads_RXd: Tensor, *, rotates: bool) -> Tensor:
        """Append the new tokens' keys and values and attend.

        heads [R, X, d]: queries, keys and values before the rotation. Returns [R, H, d].
        """
