"""The reverse KL divergence of a student to its teacher, exact over the vocabulary.

On-policy distillation (arXiv 2306.13649) compares both models at every position of the student's
own samples. With p the student's and q the teacher's distribution after the same text:

    KL(p || q) = sum_v p_v (log p_v - log q_v)
    d KL / d logit_v = p_v (log p_v - log q_v - KL) / temperature

An estimate from the sampled token alone, log p - log q, has the same mean and saves little:
the teacher has to read the text in any case, and what the sum over all words adds is one output
product, a few rows at a time, so no matrix of all logits is ever held. Its gradient has no noise at
a position.

Shapes: N positions, D and E hidden widths, V words, C rows of one chunk.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from aha.model.kernels import dense

CHUNK_ELEMENTS = 1 << 19
"""Of logits, of each model: 2 MiB stay in the cache of a core."""
MIN_CHUNK_ROWS = 128
"""With fewer the matrix products are slow."""


class ReverseKL(NamedTuple):
    """Of N positions, float32."""

    total: Tensor
    """Their sum, the only part with a gradient."""
    kl_N: Tensor
    entropy_N: Tensor
    """Of the student's distributions."""


def reverse_kl(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    teacher_NE: Tensor,
    teacher_weight_VE: Tensor,
    *,
    temperature: float = 1.0,
) -> ReverseKL:
    """KL(student || teacher) of softmax(hidden @ weight.T / temperature); the teacher is fixed.

    Output layers are often padded: the words that both models have are compared.
    """
    if hidden_ND.shape[:-1] != teacher_NE.shape[:-1]:
        shapes = f"{tuple(hidden_ND.shape)} and {tuple(teacher_NE.shape)}"
        raise ValueError(
            f"want hidden states (N, D) and (N, E) of the same positions, not {shapes}"
        )
    words = min(len(weight_VD), len(teacher_weight_VE))
    total, kl_N, entropy_N = _ReverseKL.apply(  # type: ignore[no-untyped-call]
        hidden_ND,
        weight_VD[:words],
        teacher_NE.detach(),
        teacher_weight_VE[:words].detach(),
        temperature,
    )
    return ReverseKL(total, kl_N, entropy_N)


class _ReverseKL(torch.autograd.Function):
    """The gradients are made on the way forward, while a chunk's probabilities are at hand."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, teacher: Tensor, teacher_weight: Tensor, t: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        wants_grad = any(ctx.needs_input_grad)
        grad_hidden = torch.empty_like(hidden) if wants_grad else None
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if wants_grad else None
        kl, entropy = (hidden.new_empty(len(hidden), dtype=torch.float32) for _ in range(2))
        num_rows = max(MIN_CHUNK_ROWS, CHUNK_ELEMENTS // max(1, len(weight)))
        for start in range(0, len(hidden), num_rows):
            rows = slice(start, start + num_rows)
            own = hidden[rows].to(weight.dtype)
            logp = _log_softmax(own, weight, t)
            logq = _log_softmax(teacher[rows].to(teacher_weight.dtype), teacher_weight, t)
            p, gap = logp.exp(), logp - logq
            kl[rows] = (p * gap).sum(-1)
            entropy[rows] = -(p * logp).sum(-1)
            if grad_hidden is not None and grad_weight is not None:
                grad = (p * (gap - kl[rows, None]) / t).to(weight.dtype)
                grad_hidden[rows] = dense(grad, weight.t())
                grad_weight += dense(grad.t(), own.t())
        ctx.save_for_backward(grad_hidden, grad_weight)
        ctx.dtype = weight.dtype
        ctx.mark_non_differentiable(kl, entropy)
        return kl.sum(dtype=torch.float64).float(), kl, entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_weight = ctx.saved_tensors
        of_weight = (grad_weight * grad).to(ctx.dtype)
        return grad_hidden * grad.to(grad_hidden.dtype), of_weight, None, None, None


def _log_softmax(hidden: Tensor, weight: Tensor, temperature: float) -> Tensor:
    logits = dense(hidden, weight).float()
    return (logits if temperature == 1.0 else logits / temperature).log_softmax(-1)
