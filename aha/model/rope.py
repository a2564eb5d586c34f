"""Rotary position embedding (arXiv:2104.09864) and its long-context scalings.

Linear scaling (arXiv:2306.15595), YaRN (arXiv:2309.00071, eq. 13 to 16 and the temperature of
section 3.4), and the frequency-dependent scaling of Llama 3.1. Pairs are (i, i + d/2), as in the
HF checkpoints. Shapes: T positions, d head width.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

RopeKind = Literal["default", "linear", "dynamic", "yarn", "llama3"]
ROPE_KINDS: tuple[str, ...] = get_args(RopeKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class RopeConfig:
    """Base frequency and scaling; the names are those of an HF config.json."""

    theta: float = 10000.0
    kind: RopeKind = "default"
    """`dynamic` equals `default` up to the model's context, which is as far as we go."""
    factor: float = 1.0
    original_max_position_embeddings: int | None = None
    """Context before scaling, in tokens (yarn, llama3); None: the model's context."""
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    attention_factor: float | None = None
    """Yarn's temperature on cos and sin; None: derived from the factor."""
    mscale: float | None = None
    mscale_all_dim: float | None = None
    truncate: bool = True


def inverse_frequencies(rope: RopeConfig, head_dim: int, max_positions: int) -> Tensor:
    """Radians a position for each of the head_dim / 2 pairs, float32 [d/2]."""
    exponent = torch.arange(0, head_dim, 2, dtype=torch.int64).float() / head_dim
    inverse = 1.0 / (rope.theta**exponent)
    original = rope.original_max_position_embeddings or max_positions
    if rope.kind == "linear":
        return inverse / rope.factor
    if rope.kind == "llama3":
        return _llama3(inverse, rope, original)
    if rope.kind == "yarn":
        return _yarn(inverse, rope, head_dim, original)
    return inverse


def attention_factor(rope: RopeConfig) -> float:
    """What cos and sin are multiplied by: 1 except for yarn (arXiv:2309.00071, section 3.4)."""
    if rope.kind != "yarn":
        return 1.0
    if rope.attention_factor is not None:
        return rope.attention_factor
    if rope.mscale and rope.mscale_all_dim:
        return _mscale(rope.factor, rope.mscale) / _mscale(rope.factor, rope.mscale_all_dim)
    return _mscale(rope.factor, 1.0)


def _mscale(factor: float, mscale: float) -> float:
    return 1.0 if factor <= 1 else 0.1 * mscale * math.log(factor) + 1.0


def _llama3(inverse: Tensor, rope: RopeConfig, original: int) -> Tensor:
    """Long wavelengths are divided by the factor, short ones kept, those between blended."""
    wavelength = 2 * math.pi / inverse
    low, high = rope.low_freq_factor, rope.high_freq_factor
    blend = ((original / wavelength - low) / (high - low)).clamp(0, 1)
    return (1 - blend) * inverse / rope.factor + blend * inverse


def _yarn(inverse: Tensor, rope: RopeConfig, head_dim: int, original: int) -> Tensor:
    """Interpolate slow pairs, keep fast pairs, ramp between (arXiv:2309.00071, eq. 13, 15)."""

    def pair_with(rotations: float) -> float:
        turns = math.log(original / (rotations * 2 * math.pi))
        return head_dim * turns / (2 * math.log(rope.theta))

    low, high = pair_with(rope.beta_fast), pair_with(rope.beta_slow)
    if rope.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, head_dim - 1)
    if low == high:
        high += 0.001
    pair = torch.arange(head_dim // 2, dtype=torch.float32)
    interpolate = ((pair - low) / (high - low)).clamp(0, 1)
    return inverse / rope.factor * interpolate + inverse * (1 - interpolate)


class RopeTable:
    """cos and sin of every position so far asked for, float32, one copy a device."""

    def __init__(self, rope: RopeConfig, head_dim: int, max_positions: int):
        self._arguments = (rope, head_dim, max_positions)
        self._tables: dict[torch.device, tuple[Tensor, Tensor]] = {}

    def cos_sin(self, start: int, end: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """cos and sin [end - start, d/2] of positions start to end - 1."""
        table = self._tables.get(device)
        if table is None or table[0].shape[0] < end:
            table = self._build(max(end, 256), device)
            self._tables[device] = table
        return table[0][start:end], table[1][start:end]

    def _build(self, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
        rounded = 1 << (length - 1).bit_length()
        with torch.inference_mode(False), torch.device("cpu"):
            inverse = inverse_frequencies(*self._arguments)
            angle = torch.arange(rounded, dtype=torch.float32)[:, None] * inverse[None]
            factor = attention_factor(self._arguments[0])
            return (angle.cos() * factor).to(device), (angle.sin() * factor).to(device)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (i, i + d/2) of x [..., d]; cos and sin broadcast to [..., d/2]."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
