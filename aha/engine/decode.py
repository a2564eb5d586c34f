"""The forward pass of the rollout: prompts at once, then one token a row and step.

It reads the trainer's own weights. Queries, keys and values are copied (fused, and with the rotary
pairs side by side, so that the rotation is one complex product), and bfloat16 weights on a CPU
packed (`kernels.packed`) up to `MAX_PACKED_BYTES`; the copies live as long as one `Stepper`, and
the engine makes a new one for every `generate`.

Shapes: N prompts, R rows, D hidden width, H query heads, K key heads, X = H + 2K, d head width,
T tokens.
"""

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from aha.engine import native, native_step
from aha.engine.cache import Cache, Prefilled
from aha.engine.native_cache import NativeCache
from aha.model import kernels
from aha.model.attention import visible
from aha.model.decoder import Attention, Decoder, Layer, Linear, RMSNorm

MAX_PACKED_BYTES = 4 << 30
"""Larger models are not held twice: their products are slower, with the same bits."""


class Stepper:
    """A decoder made ready to roll out."""

    def __init__(self, model: Decoder):
        self.model = model
        self.config = model.config
        self.dtype = model.linear_dtype or model.head_weight.dtype
        self.device = model.head_weight.device
        pack = _packing(model, self.dtype)
        layers = (cast(Layer, layer) for layer in model.model.layers)
        self.layers = [_StepLayer(layer, self.dtype, pack) for layer in layers]
        self.head = model.head_weight
        self._packed_head = pack(self.head.detach())
        self.norm = model.model.norm
        self._table = torch.empty(0, dtype=torch.complex64)
        self.program = native_step.Program(self) if native_step.serves(self) else None

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits [..., V], float32."""
        if self.program is not None and hidden.dim() == 2:
            return self.program.logits(hidden)
        return kernels.dense(hidden.to(self.head.dtype), self._packed_head).float()

    def prefill(
        self, tokens_NT: Tensor, lengths_N: Tensor, prefix: Prefilled | None = None
    ) -> Prefilled:
        """Run prompts that are padded on the right and may follow a common prefix."""
        start = 0 if prefix is None else prefix.num_tokens
        turn = self.turns(start + tokens_NT.shape[1])[start:, None]
        x = self.model.model.embed_tokens(tokens_NT)
        keys, values = [], []
        for index, layer in enumerate(self.layers):
            past = None if prefix is None else (prefix.keys[index], prefix.values[index])
            x, key, value = layer.prefill(x, turn, past)
            keys.append(key)
            values.append(value)
        rows = torch.arange(len(tokens_NT), device=self.device)
        return Prefilled(keys, values, self.norm(x[rows, lengths_N - 1]))

    def step(self, tokens_R: Tensor, positions_R: Tensor, cache: Cache, num_tokens: int) -> Tensor:
        """Append one token to each row and return the final hidden states [R, D].

        positions_R: tokens already in the row after the prefix; num_tokens: 1 + their maximum.
        """
        turns = self.turns(cache.num_prefix + num_tokens)
        if self.program is not None and isinstance(cache, NativeCache):
            return self.program.step(tokens_R, positions_R, cache, turns)
        cache.begin(positions_R, num_tokens, turns[positions_R + cache.num_prefix])
        x = self.model.model.embed_tokens(tokens_R)
        for index, layer in enumerate(self.layers):
            x = layer.step(x, cache, index)
        return _norm(self.norm, x)

    def turns(self, end: int) -> Tensor:
        """exp(i * angle) [end, d / 2] of the first positions."""
        if len(self._table) < end:
            rounded = 1 << (end - 1).bit_length()
            self._table = torch.complex(*self.model.rope.cos_sin(0, rounded, self.device))
        return self._table[:end]


class _StepLayer:
    """One layer: fused query, key and value weights, everything else the trainer's."""

    def __init__(self, layer: Layer, dtype: torch.dtype, pack: Callable[[Tensor], Tensor]):
        attention = layer.self_attn
        self.layer, self.attention, self.dtype = layer, attention, dtype
        self.head_dim, self.window = attention.head_dim, attention.window
        self.num_heads = attention.q_proj.weight.shape[0] // self.head_dim
        self.num_rotated = self.num_heads + attention.k_proj.weight.shape[0] // self.head_dim
        weight, self.bias = _fuse_qkv(attention, dtype)
        self.weight = pack(weight)
        self.q_norm = _paired_norm(attention.q_norm)
        self.k_norm = _paired_norm(attention.k_norm)
        o_weight, self.o_bias = _typed(attention.o_proj, dtype)
        mlp = layer.mlp
        gate, gate_bias = _typed(mlp.gate_proj, dtype)
        up, up_bias = _typed(mlp.up_proj, dtype)
        self.gate_up_bias = (gate_bias, up_bias)
        down, self.down_bias = _typed(mlp.down_proj, dtype)
        self.o_weight, self.gate, self.up, self.down = map(pack, (o_weight, gate, up, down))

    def project(self, x: Tensor) -> Tensor:
        """Queries, keys and values [..., X, d] before the rotation, float32, of x [..., D]."""
        normed = _norm(self.layer.input_layernorm, x).to(self.dtype)
        heads = kernels.dense(normed, self.weight, self.bias).float()
        heads = heads.unflatten(-1, (-1, self.head_dim))
        if self.q_norm is None or self.k_norm is None:
            return heads
        query, key, value = heads.tensor_split([self.num_heads, self.num_rotated], dim=-2)
        return torch.cat((self.q_norm(query), self.k_norm(key), value), dim=-2)

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Output projection and MLP, added to the residual stream."""
        x = kernels.dense_add(attended.to(self.dtype), self.o_weight, self.o_bias, x)
        normed = _norm(self.layer.post_attention_layernorm, x).to(self.dtype)
        middle = kernels.dense_silu_mul(normed, self.gate, self.up, self.gate_up_bias)
        return kernels.dense_add(middle, self.down, self.down_bias, x)

    def prefill(
        self, x_NTD: Tensor, turn_T1: Tensor, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The layer on whole prompts; also returns their keys and values [N, K, T, d]."""
        turned, value = self.project(x_NTD).tensor_split([self.num_rotated], dim=2)
        if self.attention.rotates:
            pairs = torch.view_as_complex(turned.unflatten(-1, (-1, 2)))
            turned = torch.view_as_real(pairs * turn_T1).flatten(-2)
        query, key = turned.transpose(1, 2).tensor_split([self.num_heads], dim=1)
        seen_key, seen_value = key, value = key, value.transpose(1, 2)
        if past is not None:
            past = (past[0].expand(len(key), -1, -1, -1), past[1].expand(len(key), -1, -1, -1))
            seen_key, seen_value = torch.cat((past[0], key), 2), torch.cat((past[1], value), 2)
        mask = visible(query.shape[2], seen_key.shape[2], window=self.window, device=key.device)
        gqa = query.shape[1] != key.shape[1]
        out = F.scaled_dot_product_attention(
            query, seen_key, seen_value, attn_mask=mask, enable_gqa=gqa
        )
        return self.finish(x_NTD, out.transpose(1, 2).flatten(2)), key, value

    def step(self, x_RD: Tensor, cache: Cache, index: int) -> Tensor:
        """The layer on one token a row."""
        attended = cache.attend(index, self.project(x_RD), rotates=self.attention.rotates)
        return self.finish(x_RD, attended.flatten(1))


def _norm(norm: RMSNorm, x: Tensor) -> Tensor:
    """norm(x), compiled where that can be."""
    if x.dim() == 2 and norm.weight.dtype == torch.float32 and native.usable(x.device, x.shape[1]):
        return native.rms_norm(x.contiguous(), norm.weight.detach(), norm.eps)
    return cast(Tensor, norm(x))


def _typed(linear: Linear, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    bias = linear.bias
    return linear.weight.detach().to(dtype), None if bias is None else bias.detach().to(dtype)


def _packing(model: Decoder, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """What a weight becomes: packed in small models, itself in large ones."""
    if model.num_parameters * dtype.itemsize > MAX_PACKED_BYTES:
        return lambda weight: weight
    return kernels.packed


def _pair(rows: Tensor, head_dim: int) -> Tensor:
    """Reorder [heads * d, ...] so that the rotary pairs (i, i + d/2) lie side by side."""
    halves = rows.unflatten(0, (-1, 2, head_dim // 2))
    return halves.transpose(1, 2).flatten(0, 2)


def _fuse_qkv(attention: Attention, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """One weight [(H + 2K) * d, D] and one bias, with paired rows for queries and keys."""
    width = attention.head_dim
    parts = [_typed(p, dtype) for p in (attention.q_proj, attention.k_proj, attention.v_proj)]
    weights = [parts[0][0], parts[1][0], parts[2][0]]
    weight = torch.cat((_pair(weights[0], width), _pair(weights[1], width), weights[2]))
    biases = [bias for _, bias in parts if bias is not None]
    if not biases:
        return weight, None
    return weight, torch.cat((_pair(biases[0], width), _pair(biases[1], width), biases[2]))


def _paired_norm(norm: RMSNorm | None) -> RMSNorm | None:
    if norm is None:
        return None
    paired = RMSNorm(len(norm.weight), norm.eps).to(norm.weight)
    paired.weight = torch.nn.Parameter(_pair(norm.weight.detach(), len(norm.weight)))
    return paired
