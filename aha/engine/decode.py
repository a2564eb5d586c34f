"""The forward pass of the rollout: prompts at once, then one token a row and step.

It reads the trainer's own weights. Only queries, keys and values are copied (fused, and with the
rotary pairs side by side, so that the rotation is one complex product); the copy lives as long as
one `Stepper`, and the engine makes a new one for every `generate`.

Shapes: N prompts, R rows, D hidden width, H query heads, K key heads, G = H / K, d head width,
P tokens of the prefix that all rows share, T tokens of the longest row after it.
"""

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from aha.engine.cache import KVCache
from aha.model import kernels
from aha.model.attention import visible
from aha.model.decoder import Attention, Decoder, Layer, Linear, RMSNorm


@dataclass(frozen=True, slots=True)
class Prefilled:
    """Keys and values [N, K, T, d] of each layer and the last hidden state [N, D] of prompts."""

    keys: list[Tensor]
    values: list[Tensor]
    hidden_ND: Tensor

    @property
    def num_tokens(self) -> int:
        return self.keys[0].shape[2] if self.keys else 0


class Stepper:
    """A decoder made ready to roll out."""

    def __init__(self, model: Decoder):
        self.model = model
        self.config = model.config
        self.dtype = model.linear_dtype or model.head_weight.dtype
        self.device = model.head_weight.device
        self.layers = [_StepLayer(cast(Layer, layer), self.dtype) for layer in model.model.layers]
        self.head = model.head_weight
        self.norm = model.model.norm
        self._table = torch.empty(0, dtype=torch.complex64)
        self.scale = 1 / math.sqrt(model.config.head_dim)

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits [..., V], float32."""
        return kernels.dense(hidden.to(self.head.dtype), self.head).float()

    def prefill(
        self, tokens_NT: Tensor, lengths_N: Tensor, prefix: Prefilled | None = None
    ) -> Prefilled:
        """Run prompts that are padded on the right and may follow a common prefix."""
        start = prefix.num_tokens if prefix is not None else 0
        turn = self._turns(start + tokens_NT.shape[1])[start:, None]
        x = self.model.model.embed_tokens(tokens_NT)
        keys, values = [], []
        for index, layer in enumerate(self.layers):
            past = None if prefix is None else (prefix.keys[index], prefix.values[index])
            x, key, value = layer.prefill(x, turn, past)
            keys.append(key)
            values.append(value)
        rows = torch.arange(len(tokens_NT), device=self.device)
        return Prefilled(keys, values, self.norm(x[rows, lengths_N - 1]))

    def step(
        self,
        tokens_R: Tensor,
        positions_R: Tensor,
        cache: KVCache,
        prefix: Prefilled | None,
        num_tokens: int,
    ) -> Tensor:
        """Append one token to each row and return the final hidden states [R, D].

        positions_R: tokens already in the row after the prefix; num_tokens: 1 + their maximum.
        """
        start = prefix.num_tokens if prefix is not None else 0
        where, num_blocks = cache.columns(positions_R), cache.num_blocks(num_tokens)
        state = _StepState(
            turn_R1d=self._turns(start + num_tokens)[positions_R + start][:, None],
            where=where,
            bias_RT=cache.bias[: len(tokens_R), : num_blocks * cache.width],
            num_blocks=num_blocks,
            positions_R=positions_R,
            scale=self.scale,
            num_prefix=start,
        )
        x = self.model.model.embed_tokens(tokens_R)
        for index, layer in enumerate(self.layers):
            past = None if prefix is None else (prefix.keys[index], prefix.values[index])
            x = layer.step(x, state, cache, index, past)
        return self.norm(x)

    def _turns(self, end: int) -> Tensor:
        """exp(i * angle) [end, d / 2] of the first positions."""
        if len(self._table) < end:
            rounded = 1 << (end - 1).bit_length()
            self._table = torch.complex(*self.model.rope.cos_sin(0, rounded, self.device))
        return self._table[:end]


@dataclass(frozen=True, slots=True, kw_only=True)
class _StepState:
    """What all layers share in one step."""

    turn_R1d: Tensor
    where: Tensor
    num_blocks: int
    bias_RT: Tensor
    positions_R: Tensor
    scale: float
    num_prefix: int


class _StepLayer:
    """One layer: fused query, key and value weights, everything else the trainer's."""

    def __init__(self, layer: Layer, dtype: torch.dtype):
        attention = layer.self_attn
        self.layer, self.attention, self.dtype = layer, attention, dtype
        self.head_dim, self.window = attention.head_dim, attention.window
        self.num_heads = attention.q_proj.weight.shape[0] // self.head_dim
        self.num_kv_heads = attention.k_proj.weight.shape[0] // self.head_dim
        self.weight, self.bias = _fuse_qkv(attention, dtype)
        self.q_norm = _paired_norm(attention.q_norm)
        self.k_norm = _paired_norm(attention.k_norm)
        self.o_weight, self.o_bias = _typed(attention.o_proj, dtype)
        mlp = layer.mlp
        self.gate, gate_bias = _typed(mlp.gate_proj, dtype)
        self.up, up_bias = _typed(mlp.up_proj, dtype)
        self.gate_up_bias = (gate_bias, up_bias)
        self.down, self.down_bias = _typed(mlp.down_proj, dtype)

    def project(self, x: Tensor, turn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated float32 queries, keys and values [..., heads, d] of a residual [..., D]."""
        normed = self.layer.input_layernorm(x).to(self.dtype)
        heads = kernels.dense(normed, self.weight, self.bias).float()
        heads = heads.unflatten(-1, (-1, self.head_dim))
        num_rotated = self.num_heads + self.num_kv_heads
        rotated, value = heads[..., :num_rotated, :], heads[..., num_rotated:, :]
        if self.q_norm is not None and self.k_norm is not None:
            query, key = rotated.tensor_split([self.num_heads], dim=-2)
            rotated = torch.cat((self.q_norm(query), self.k_norm(key)), dim=-2)
        if self.attention.rotates:
            pairs = torch.view_as_complex(rotated.unflatten(-1, (-1, 2)))
            rotated = torch.view_as_real(pairs * turn).flatten(-2)
        query, key = rotated.tensor_split([self.num_heads], dim=-2)
        return query, key, value

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Output projection and MLP, added to the residual stream."""
        x = kernels.dense_add(attended.to(self.dtype), self.o_weight, self.o_bias, x)
        normed = self.layer.post_attention_layernorm(x).to(self.dtype)
        middle = kernels.dense_silu_mul(normed, self.gate, self.up, self.gate_up_bias)
        return kernels.dense_add(middle, self.down, self.down_bias, x)

    def prefill(
        self, x_NTD: Tensor, turn: Tensor, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The layer on whole prompts; also returns their keys and values [N, K, T, d]."""
        query, key, value = (part.transpose(1, 2) for part in self.project(x_NTD, turn))
        seen_key, seen_value = key, value
        if past is not None:
            past = (past[0].expand(len(key), -1, -1, -1), past[1].expand(len(key), -1, -1, -1))
            seen_key, seen_value = torch.cat((past[0], key), 2), torch.cat((past[1], value), 2)
        mask = visible(query.shape[2], seen_key.shape[2], window=self.window, device=key.device)
        gqa = self.num_heads != self.num_kv_heads
        out = F.scaled_dot_product_attention(
            query, seen_key, seen_value, attn_mask=mask, enable_gqa=gqa
        )
        return self.finish(x_NTD, out.transpose(1, 2).flatten(2)), key, value

    def step(
        self,
        x_RD: Tensor,
        state: _StepState,
        cache: KVCache,
        index: int,
        past: tuple[Tensor, Tensor] | None,
    ) -> Tensor:
        """The layer on one token a row."""
        query, key, value = self.project(x_RD, state.turn_R1d)
        cache.write(index, state.where, key, value)
        own = cache.read(index, len(x_RD), state.num_blocks)
        attended = attend(query, own, past, state=state, window=self.window)
        return self.finish(x_RD, attended.flatten(1))


def attend(
    query_RHd: Tensor,
    own: tuple[list[Tensor], list[Tensor]],
    past: tuple[Tensor, Tensor] | None,
    *,
    state: _StepState,
    window: int | None,
) -> Tensor:
    """Attention of one query a row and head to the shared prefix and to the row's own tokens.

    The prefix is read once for all rows, as one product a head; one softmax spans both parts.
    """
    start = state.num_prefix
    if past is not None:
        past = _per_query_head(past, query_RHd.shape[1])
    weights_RHT = _scores(query_RHd, own[0], None if past is None else past[0], state)
    if window is not None:
        weights_RHT += _window_bias(state, window)[:, None]
    torch.softmax(weights_RHT, dim=-1, out=weights_RHT)
    out_RHd = torch.zeros_like(query_RHd, memory_format=torch.contiguous_format)
    if past is not None:
        prefix_weights = weights_RHT.transpose(0, 1)[..., :start]
        torch.bmm(prefix_weights, past[1], out=out_RHd.transpose(0, 1))
    num_keys, block, width = own[1][0].shape
    out_XGd = out_RHd.view(num_keys, -1, width)
    weights_XGT = weights_RHT.view(num_keys, -1, weights_RHT.shape[-1])
    for value_XWd in own[1]:
        out_XGd.baddbmm_(weights_XGT[..., start : start + block], value_XWd)
        start += block
    return out_RHd


def _scores(
    query_RHd: Tensor, keys: list[Tensor], prefix_HPd: Tensor | None, state: _StepState
) -> Tensor:
    """Scaled and masked scores [R, H, P + T]."""
    num_rows, num_heads, width = query_RHd.shape
    start, bias_R1T = state.num_prefix, state.bias_RT[:, None]
    out_RHT = query_RHd.new_empty(num_rows, num_heads, start + bias_R1T.shape[-1])
    if prefix_HPd is not None:
        by_head = out_RHT.transpose(0, 1)[..., :start]
        query_HRd, prefix_HdP = query_RHd.transpose(0, 1), prefix_HPd.transpose(1, 2)
        torch.baddbmm(by_head, query_HRd, prefix_HdP, beta=0, alpha=state.scale, out=by_head)
    query_XGd = query_RHd.reshape(keys[0].shape[0], -1, width)
    block = keys[0].shape[1]
    for index, key_XWd in enumerate(keys):
        score = torch.bmm(query_XGd, key_XWd.transpose(1, 2)).view(num_rows, num_heads, block)
        first = index * block
        target = out_RHT[..., start + first : start + first + block]
        bias = bias_R1T[..., first : first + block]
        torch.add(bias, score, alpha=state.scale, out=target)
    return out_RHT


def _per_query_head(past: tuple[Tensor, Tensor], num_heads: int) -> tuple[Tensor, Tensor]:
    """[1, K, P, d] to [H, P, d]."""
    repeats = num_heads // past[0].shape[1]
    if repeats == 1:
        return past[0][0], past[1][0]
    return past[0][0].repeat_interleave(repeats, 0), past[1][0].repeat_interleave(repeats, 0)


def _window_bias(state: _StepState, window: int) -> Tensor:
    """-inf [R, P + T] where a key has left the window of its row's newest token."""
    num_keys = state.num_prefix + state.bias_RT.shape[1]
    position = torch.arange(num_keys, device=state.bias_RT.device)
    oldest = state.positions_R + state.num_prefix - window + 1
    gone = position[None] < oldest[:, None]
    return torch.zeros_like(gone, dtype=torch.float32).masked_fill_(gone, -torch.inf)


def _typed(linear: Linear, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    bias = linear.bias
    return linear.weight.detach().to(dtype), None if bias is None else bias.detach().to(dtype)


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
