"""Operators on rows with a gradient of their own: norm, SwiGLU, log-probs of sampled tokens.

Each has a plain form of torch's operators, which is what it computes, and a form in C (rows.c) that
reads and writes memory once. Shapes: N rows, D width, M hidden width of the MLP, V vocabulary.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from aha.model import native


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / rms(x) * weight over the last dimension, in float32 (arXiv:1910.07467, eq. 4)."""
    return branch_norm(x, weight, eps)[1]


def branch_norm(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """x, float32, and its RMS norm: a residual stream and the input of what is added to it.

    Going back, the two gradients of x become one in the same pass.
    """
    x = x.float()
    if native.usable(x, weight, width=x.shape[-1]):
        result: tuple[Tensor, Tensor] = _BranchNorm.apply(x, weight, eps)  # type: ignore[no-untyped-call]
        return result
    return x, F.rms_norm(x, weight.shape, weight.float(), eps)


def swiglu(gate_up: Tensor) -> Tensor:
    """silu(gate) * up of [..., gate | up], [..., 2M] -> [..., M] (arXiv:2002.05202, eq. 6)."""
    width = gate_up.shape[-1] // 2
    if native.usable(gate_up, width=width):
        result: Tensor = _SwiGLU.apply(gate_up)  # type: ignore[no-untyped-call]
        return result
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate) * up


class _BranchNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        dense = x.contiguous()
        width = dense.shape[-1]
        rows = dense.numel() // width
        out, scale = torch.empty_like(dense), dense.new_empty(rows)
        native.call("norm_forward", rows, width, dense, weight, eps, out, scale)
        ctx.save_for_backward(dense, weight, scale)
        ctx.set_materialize_grads(False)
        return x, out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, passed: Tensor | None, grad: Tensor | None) -> tuple[Any, ...]:
        if grad is None:
            return passed, None, None
        x, weight, scale = ctx.saved_tensors
        grad_x, grad_weight = torch.empty_like(x), torch.zeros_like(weight)
        passed = None if passed is None else passed.contiguous()
        native.call(
            "norm_backward",
            *(len(scale), x.shape[-1], x, weight, scale, grad.contiguous(), passed),
            *(grad_x, grad_weight),
        )
        return grad_x, grad_weight, None


class _SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        gate_up = gate_up.contiguous()
        width = gate_up.shape[-1] // 2
        out = gate_up.new_empty(*gate_up.shape[:-1], width)
        native.call("swiglu_forward", out.numel() // width, width, gate_up, out)
        ctx.save_for_backward(gate_up)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (gate_up,) = ctx.saved_tensors
        grad_x, width = torch.empty_like(gate_up), grad.shape[-1]
        rows = grad.numel() // width
        native.call("swiglu_backward", rows, width, gate_up, grad.contiguous(), grad_x)
        return grad_x
