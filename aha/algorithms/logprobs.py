"""Log-probs of tokens and the entropy of their distributions, float32, a few rows at a time.

A float32 copy of the logits is what fills the memory of a GRPO step: 8 x 4096 tokens x 151936 words
are 20 GB. Both functions walk over chunks of rows, and the gradient recomputes the softmax instead
of keeping it: besides the logits themselves and their gradient no more than one chunk is held.

Shapes: B sequences, T tokens, V words; R = B * T rows, C rows of one chunk.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# 2^24 float32 are 64 MiB: large enough that the loop costs nothing, small beside the logits.
CHUNK_ELEMENTS = 1 << 24


def token_logprobs(
    logits_BTV: Tensor,
    tokens_BT: Tensor,
    temperature: float = 1.0,
    *,
    chunk_elements: int = CHUNK_ELEMENTS,
) -> Tensor:
    """log softmax(logits / temperature) of `tokens_BT`, float32, with a gradient for the logits.

    `logits_BTV[b, t]` is the distribution that `tokens_BT[b, t]` was drawn from: the caller has
    shifted them. Any leading shape will do. The gradient comes in the dtype of the logits.
    """
    _check(logits_BTV, temperature)
    if logits_BTV.shape[:-1] != tokens_BT.shape:
        shapes = f"{tuple(logits_BTV.shape)} and {tuple(tokens_BT.shape)}"
        raise ValueError(f"want logits (B, T, V) and tokens (B, T), not {shapes}")
    logits_RV = logits_BTV.reshape(-1, logits_BTV.shape[-1])
    apply: Callable[..., Tensor] = _TokenLogprobs.apply  # torch leaves it untyped
    logp_R = apply(logits_RV, tokens_BT.reshape(-1), temperature, chunk_elements)
    return logp_R.view(tokens_BT.shape)


@torch.no_grad()
def token_entropy(
    logits_BTV: Tensor, temperature: float = 1.0, *, chunk_elements: int = CHUNK_ELEMENTS
) -> Tensor:
    """Entropy in nats of softmax(logits / temperature), float32 (B, T), without a gradient."""
    _check(logits_BTV, temperature)
    logits_RV = logits_BTV.reshape(-1, logits_BTV.shape[-1])
    entropy_R = logits_RV.new_empty(len(logits_RV), dtype=torch.float32)
    for rows, scaled_CV in _scaled_chunks(logits_RV, temperature, chunk_elements):
        entropy_R[rows] = _entropy(scaled_CV)
    return entropy_R.view(logits_BTV.shape[:-1])


class _TokenLogprobs(torch.autograd.Function):
    """Keeps the logits as they came, nothing else of R x V."""

    @staticmethod
    def forward(
        ctx: Any, logits_RV: Tensor, tokens_R: Tensor, temperature: float, elements: int
    ) -> Tensor:
        ctx.save_for_backward(logits_RV, tokens_R)
        ctx.temperature, ctx.elements = temperature, elements
        logp_R1 = logits_RV.new_empty((len(logits_RV), 1), dtype=torch.float32)
        for rows, scaled_CV in _scaled_chunks(logits_RV, temperature, elements):
            logp_R1[rows] = scaled_CV.log_softmax(-1).gather(-1, tokens_R[rows, None])
        return logp_R1.squeeze(-1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_R: Tensor) -> tuple[Tensor, None, None, None]:
        """d logp / d logits = (onehot(token) - softmax) / temperature."""
        logits_RV, tokens_R = ctx.saved_tensors
        grad_RV = torch.empty_like(logits_RV)
        grad_R1 = grad_R[:, None] / ctx.temperature
        for rows, scaled_CV in _scaled_chunks(logits_RV, ctx.temperature, ctx.elements):
            grad_CV = scaled_CV.softmax(-1).mul_(-grad_R1[rows])
            grad_RV[rows] = grad_CV.scatter_add_(-1, tokens_R[rows, None], grad_R1[rows])
        return grad_RV, None, None, None


def _entropy(scaled_CV: Tensor) -> Tensor:
    """A word of probability 0 (a forbidden token's logit of -inf) adds nothing."""
    logp_CV = scaled_CV.log_softmax(-1)
    return -torch.where(logp_CV == -torch.inf, 0.0, logp_CV.exp() * logp_CV).sum(-1)


def _scaled_chunks(
    logits_RV: Tensor, temperature: float, chunk_elements: int
) -> Iterator[tuple[slice, Tensor]]:
    """float32 logits / temperature, as many rows at a time as `chunk_elements` hold."""
    num_rows = max(1, chunk_elements // max(1, logits_RV.shape[-1]))
    for start in range(0, len(logits_RV), num_rows):
        rows = slice(start, start + num_rows)
        scaled_CV = logits_RV[rows].float()
        yield rows, scaled_CV if temperature == 1.0 else scaled_CV / temperature


def _check(logits: Tensor, temperature: float) -> None:
    if logits.ndim < 2:
        raise ValueError("logits need a dimension for tokens and one for words")
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, not {temperature}: greedy has no log-probs")
