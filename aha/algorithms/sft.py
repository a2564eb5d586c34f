"""The loss of supervised fine-tuning, without a matrix of all logits.

16,384 tokens of 151,936 words are 10 GB of logits and as much of their gradient. Here a chunk of
rows is multiplied, turned into its share of loss and gradients, and forgotten.

Shapes: N trained positions, D hidden width, V words, C rows of one chunk.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from aha.model.kernels import dense

CHUNK_ELEMENTS = 1 << 20
"""Of logits: 4 MiB stay in the cache of a core."""
MIN_CHUNK_ROWS = 128
"""With fewer the matrix products are slow."""


def sum_cross_entropy(hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> Tensor:
    """-sum_n log softmax(weight @ hidden_n)[target_n], float32; divide by a count of your own."""
    if hidden_ND.shape[:-1] != targets_N.shape:
        shapes = f"{tuple(hidden_ND.shape)} and {tuple(targets_N.shape)}"
        raise ValueError(f"want hidden states (N, D) and targets (N), not {shapes}")
    apply: Callable[..., Tensor] = _SumCrossEntropy.apply  # torch leaves it untyped
    return apply(hidden_ND, weight_VD, targets_N)


class _SumCrossEntropy(torch.autograd.Function):
    """The gradients are made on the way forward, while a chunk's probabilities are at hand."""

    @staticmethod
    def forward(ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> Tensor:
        wants_grad = any(ctx.needs_input_grad)
        grad_ND = torch.empty_like(hidden_ND) if wants_grad else None
        grad_VD = torch.zeros_like(weight_VD, dtype=torch.float32) if wants_grad else None
        num_rows = max(MIN_CHUNK_ROWS, CHUNK_ELEMENTS // weight_VD.shape[0])
        loss = torch.zeros((), dtype=torch.float64, device=hidden_ND.device)
        for start in range(0, len(hidden_ND), num_rows):
            rows = slice(start, start + num_rows)
            hidden_CD = hidden_ND[rows].to(weight_VD.dtype)
            logp_CV = dense(hidden_CD, weight_VD).float().log_softmax(-1)
            loss -= logp_CV.gather(-1, targets_N[rows, None]).sum(dtype=torch.float64)
            if grad_ND is not None and grad_VD is not None:
                grad_CV = logp_CV.exp_()  # d loss / d logits = softmax - onehot(target)
                one = torch.ones_like(targets_N[rows, None], dtype=torch.float32)
                grad_CV = grad_CV.scatter_add_(-1, targets_N[rows, None], -one).to(weight_VD.dtype)
                grad_ND[rows] = dense(grad_CV, weight_VD.t())
                grad_VD += dense(grad_CV.t(), hidden_CD.t())
        ctx.save_for_backward(grad_ND, None if grad_VD is None else grad_VD.to(weight_VD.dtype))
        return loss.float()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        grad_ND, grad_VD = ctx.saved_tensors
        return grad_ND * grad.to(grad_ND.dtype), grad_VD * grad.to(grad_VD.dtype), None
