"""Causal attention of rows that may share one prefix, in torch's operators or in C (attention.c).

Shapes: B rows, H query heads, K key heads (H = K * G), T own tokens, P prefix tokens, d head width,
X = (H + 2K) d floats of a token's queries, keys and values, in this order, before the rotation.
"""

import ctypes
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from aha.model import native
from aha.model.rope import rotate

Rope = tuple[Tensor, Tensor]
"""cos and sin [P + T, d / 2] of all positions."""


@dataclass(frozen=True, slots=True)
class Heads:
    """What the heads of a layer look like."""

    num_queries: int
    num_keys: int
    width: int
    window: int | None = None
    """Positions a token sees, itself included; None: all."""


def attend(
    own_BTX: Tensor, heads: Heads, rope: Rope | None, past_1PX: Tensor | None = None
) -> Tensor:
    """Each token attends to itself, to what precedes it in its row, and to the prefix.

    With a window of w, only to itself and the w - 1 positions before it. Returns [B, T, H d].
    """
    if native.usable(own_BTX, width=heads.width):
        if past_1PX is None:
            past_1PX = own_BTX.new_empty(1, 0, own_BTX.shape[-1])
        result: Tensor = _Attention.apply(own_BTX, past_1PX, heads, rope)  # type: ignore[no-untyped-call]
        return result
    start = 0 if past_1PX is None else past_1PX.shape[1]
    q, k, v = split(own_BTX, heads, rope, start)
    past = None if past_1PX is None else split(past_1PX, heads, rope, 0)[1:]
    return causal_attention(q, k, v, prefix=past, window=heads.window).transpose(1, 2).flatten(2)


def split(
    own_BTX: Tensor, heads: Heads, rope: Rope | None, start: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries [B, H, T, d], keys and values [B, K, T, d], rotated, of positions from `start` on."""
    sizes = [heads.num_queries, heads.num_keys, heads.num_keys]
    q, k, v = own_BTX.unflatten(-1, (-1, heads.width)).split(sizes, dim=2)
    if rope is not None:
        cos, sin = (table[start : start + own_BTX.shape[1], None] for table in rope)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
    return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)


def causal_attention(
    q_BHTd: Tensor,
    k_BKTd: Tensor,
    v_BKTd: Tensor,
    *,
    prefix: tuple[Tensor, ...] | None = None,
    window: int | None = None,
) -> Tensor:
    """Attention [B, H, T, d] to the row and to the keys and values of a prefix [1, K, P, d]."""
    gqa = q_BHTd.shape[1] != k_BKTd.shape[1]
    if prefix is None and window is None:
        return F.scaled_dot_product_attention(
            q_BHTd, k_BKTd, v_BKTd, is_causal=True, enable_gqa=gqa
        )
    if prefix is not None:
        k_BKTd = torch.cat((prefix[0].expand(k_BKTd.shape[0], -1, -1, -1), k_BKTd), dim=2)
        v_BKTd = torch.cat((prefix[1].expand(v_BKTd.shape[0], -1, -1, -1), v_BKTd), dim=2)
    mask = visible(q_BHTd.shape[2], k_BKTd.shape[2], window=window, device=q_BHTd.device)
    return F.scaled_dot_product_attention(q_BHTd, k_BKTd, v_BKTd, attn_mask=mask, enable_gqa=gqa)


def visible(num_queries: int, num_keys: int, *, window: int | None, device: torch.device) -> Tensor:
    """Which keys each query sees, bool [queries, keys]; the last query sits on the last key."""
    query = torch.arange(num_keys - num_queries, num_keys, device=device)[:, None]
    key = torch.arange(num_keys, device=device)[None]
    seen = key <= query
    return seen if window is None else seen & (key > query - window)


class _Arguments(ctypes.Structure):
    """`struct heads` of attention.c."""

    _fields_ = (
        *(
            (name, ctypes.c_int64)
            for name in ("rows", "tokens", "prefix", "groups", "group", "width", "window")
        ),
        *((name, ctypes.c_void_p) for name in ("own", "shared", "cosine", "sine")),
    )


def _arguments(own: Tensor, past: Tensor, heads: Heads, rope: Rope | None) -> _Arguments:
    return _Arguments(
        *(own.shape[0], own.shape[1], past.shape[1]),
        *(heads.num_keys, heads.num_queries // heads.num_keys, heads.width, heads.window or 0),
        *(tensor.data_ptr() for tensor in (own, past, *(rope or ()))),
    )


class _Attention(torch.autograd.Function):
    """attention.c. The weights are not kept, only their maximum and sum for each query."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, past: Tensor, heads: Heads, rope: Rope | None) -> Tensor:
        own, past = own.contiguous(), past.contiguous()
        rope = None if rope is None else (rope[0].contiguous(), rope[1].contiguous())
        (rows, tokens, _), count = own.shape, heads.num_queries
        out = own.new_empty(rows, tokens, count * heads.width)
        peaks, shares = (own.new_empty(rows, count, tokens) for _ in range(2))
        arguments = _arguments(own, past, heads, rope)
        scratch = _scratch(arguments)
        native.call("attention_forward", arguments, out, peaks, shares, scratch)
        ctx.save_for_backward(own, past, peaks, shares)
        ctx.heads, ctx.rope = heads, rope
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        own, past, peaks, shares = ctx.saved_tensors
        arguments = _arguments(own, past, ctx.heads, ctx.rope)
        grad_own, grad_past = torch.empty_like(own), torch.zeros_like(past)
        scratch = _scratch(arguments)
        native.call(
            "attention_backward",
            *(arguments, grad.contiguous(), peaks, shares, grad_own, grad_past, scratch),
        )
        return grad_own, grad_past, None, None


def _scratch(arguments: _Arguments) -> Tensor:
    library = native.library()
    assert library is not None
    library.attention_scratch.restype = ctypes.c_int64
    return torch.empty(library.attention_scratch(ctypes.byref(arguments)))
