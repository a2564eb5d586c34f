"""From final hidden states to the log-probs of sampled tokens, without a second copy of the logits.

Shapes: N sampled tokens, R >= N hidden states, D hidden width, V vocabulary, C rows of a chunk.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from aha.algorithms.logprobs import token_entropy, token_logprobs
from aha.model import native
from aha.model.kernels import dense, onednn, uses_onednn, weight_gradient

CHUNK_ELEMENTS = 1 << 19
"""Logits that are made and used while they are in the cache: 2 MiB."""
CHUNK_ROWS = 256
"""At least: fewer rows make the products slow."""


def sampled_logprobs(
    hidden_RD: Tensor, rows_N: Tensor, weight_VD: Tensor, tokens_N: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Log-probs [N] of tokens_N after the hidden states rows_N, and the entropies [N] there.

    Both float32, of softmax(hidden @ weight.T / temperature); the entropies have no gradient.
    """
    one_product = uses_onednn(hidden_RD, weight_VD) and len(rows_N) > 0
    if one_product and native.usable(hidden_RD, weight_VD):
        result: tuple[Tensor, Tensor] = _SampledLogprobs.apply(  # type: ignore[no-untyped-call]
            hidden_RD, rows_N, weight_VD, tokens_N, temperature
        )
        return result
    logits_NV = dense(hidden_RD[rows_N].to(weight_VD.dtype), weight_VD).float()
    entropy_N = token_entropy(logits_NV.detach(), temperature)
    return token_logprobs(logits_NV, tokens_N, temperature), entropy_N


def correct_logprobs(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    logits_NV: Tensor,
    tokens_N: Tensor,
    logprobs_N: Tensor,
    temperature: float,
) -> None:
    """In place: log-probs as if the float32 product hidden @ weight.T had been made in float64.

    The engine and the trainer sum in different orders; without this their log-probs differ by up to
    1.1e-5 in the first step of the demo, most of it the rounding of logits near 30.
    """
    assert native.usable(hidden_ND, weight_VD, logits_NV, logprobs_N)
    native.call(
        "correct_logprobs",
        *(*logits_NV.shape, hidden_ND.shape[1], float(temperature)),
        *(hidden_ND, weight_VD, logits_NV, tokens_N, logprobs_N),
    )


class _SampledLogprobs(torch.autograd.Function):
    """Keeps the logits [N, V], in chunks, and turns them into their gradient in place."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, rows: Tensor, weight: Tensor, tokens: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        chosen, tokens = hidden.index_select(0, rows), tokens.contiguous()
        logprobs, entropies, peaks, shares = (chosen.new_empty(len(rows)) for _ in range(4))
        size, vocab = max(CHUNK_ROWS, CHUNK_ELEMENTS // len(weight)), len(weight)
        parts = [slice(start, start + size) for start in range(0, len(rows), size)]
        kept = []
        for part in parts:
            logits = onednn()(chosen[part], weight, None, "none", [], "")
            native.call(
                "logprobs_forward",
                *(len(logits), vocab, float(temperature), logits, tokens[part]),
                *(logprobs[part], entropies[part], peaks[part], shares[part]),
            )
            correct_logprobs(
                chosen[part], weight, logits, tokens[part], logprobs[part], temperature
            )
            if any(ctx.needs_input_grad):
                kept.append(logits)
        ctx.save_for_backward(chosen, rows, weight, tokens, peaks, shares)
        ctx.kept, ctx.parts, ctx.temperature = kept, parts, float(temperature)
        ctx.num_states = len(hidden)
        ctx.mark_non_differentiable(entropies)
        return logprobs, entropies

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        chosen, rows, weight, tokens, peaks, shares = ctx.saved_tensors
        kept, ctx.kept = ctx.kept, None
        if kept is None:
            raise RuntimeError("the logits of this forward pass are used up")
        grad, grad_weight = grad.contiguous(), None
        grad_hidden = chosen.new_zeros(ctx.num_states, chosen.shape[1])
        for part, logits in zip(ctx.parts, kept, strict=True):
            native.call(
                "logprobs_backward",
                *(*logits.shape, ctx.temperature, logits, tokens[part], peaks[part]),
                *(shares[part], grad[part]),
            )
            grad_part = onednn()(logits, weight.t(), None, "none", [], "")
            grad_hidden.index_copy_(0, rows[part], grad_part)
            more = weight_gradient(logits, chosen[part])
            grad_weight = more if grad_weight is None else grad_weight.add_(more)
        return grad_hidden, None, grad_weight, None, None
