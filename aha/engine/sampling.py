"""Drawing tokens: counter-based uniform numbers and the inverse of the cumulative distribution.

The uniform number of a token is a hash of (seed, step, prompt key, sample, position), so that
neither the batch, nor its order, nor the number of processes changes what is drawn.
Shapes: R rows, V vocabulary, C blocks of the vocabulary, W = 64 tokens a block.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from aha.engine import native
from aha.engine.types import SamplingParams

BLOCK = 64
NUCLEUS_TOKENS = 1_024
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def _mix(value: np.ndarray) -> np.ndarray:
    """The finalizer of splitmix64 (Steele, Lea and Flood 2014): a bijection of 64-bit words."""
    value = (value ^ (value >> np.uint64(30))) * _MIX_1
    value = (value ^ (value >> np.uint64(27))) * _MIX_2
    return value ^ (value >> np.uint64(31))


def row_keys(
    *,
    seed: int,
    step: int,
    prompt_keys: Sequence[int],
    samples: Sequence[int],
    positions: np.ndarray | None = None,
) -> np.ndarray:
    """One 64-bit key for each (prompt key, sample) pair of the two equally long sequences.

    positions: tokens already drawn of each; its position 0 then has the number of that position.
    """
    words = (
        np.full(len(samples), seed & (2**64 - 1), np.uint64),
        np.full(len(samples), step & (2**64 - 1), np.uint64),
        np.array([key & (2**64 - 1) for key in prompt_keys], np.uint64),
        np.array([sample & (2**64 - 1) for sample in samples], np.uint64),
    )
    key = np.zeros(len(samples), np.uint64)
    for word in words:
        key = _mix((key + _GOLDEN) ^ _mix(word + _GOLDEN))
    return key if positions is None else key + positions.astype(np.uint64) * _GOLDEN


def uniforms(keys: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """float64 numbers in [0, 1) with 53 bits, one for each key and token position."""
    word = _mix(keys + (positions.astype(np.uint64) + np.uint64(1)) * _GOLDEN)
    return (word >> np.uint64(11)).astype(np.float64) * 2.0**-53


def draw(logits_RV: Tensor, uniform_R: Tensor, params: SamplingParams) -> tuple[Tensor, Tensor]:
    """Token ids [R] and their float32 log-probs [R] under the unfiltered distribution.

    Greedy decoding (temperature 0) reports log-probs at temperature 1.
    """
    temperature = params.temperature or 1.0
    if plain(params) and native.usable(logits_RV.device, native.LANES):
        return native.sample(logits_RV.contiguous(), uniform_R, temperature)
    weights = _unnormalized(logits_RV, temperature)
    allowed = keep_likely(weights, logits_RV, params) if _filters(params) else weights
    greedy = params.temperature == 0.0
    tokens = allowed.argmax(dim=-1) if greedy else invert(allowed, uniform_R)
    tokens = tokens.clamp_(max=logits_RV.shape[1] - 1)  # nan in, any token out
    above = logits_RV.gather(1, tokens[:, None])[:, 0] - logits_RV.amax(dim=-1)
    return tokens, above / temperature - torch.log(weights.sum(dim=-1))


def _unnormalized(logits_RV: Tensor, temperature: float) -> Tensor:
    """exp((logits - max) / temperature), padded with zeros to whole blocks."""
    num_rows, num_tokens = logits_RV.shape
    padded = num_tokens + -num_tokens % BLOCK
    weights = logits_RV.new_empty(num_rows, padded)
    weights[:, num_tokens:] = 0.0
    used = weights[:, :num_tokens]
    torch.sub(logits_RV, logits_RV.amax(dim=-1, keepdim=True), out=used)
    if temperature != 1.0:
        used.div_(temperature)
    used.exp_()
    return weights


def plain(params: SamplingParams) -> bool:
    """Whether tokens come from the whole distribution."""
    return params.temperature > 0.0 and not _filters(params)


def _filters(params: SamplingParams) -> bool:
    cuts = params.top_p < 1.0 or params.top_k is not None or params.min_p > 0.0
    return cuts or bool(params.forbidden_token_ids)


def keep_likely(weights_RV: Tensor, logits_RV: Tensor, params: SamplingParams) -> Tensor:
    """A copy of the unnormalized probabilities with what the filters exclude set to 0.

    Forbidden tokens first, then top-k, top-p of what is left, and min-p against the likeliest.
    """
    weights = weights_RV
    if params.forbidden_token_ids:  # anew: what is left may be tiny beside what is forbidden
        masked = logits_RV.clone()
        masked[:, list(params.forbidden_token_ids)] = -torch.inf
        weights = _unnormalized(masked, params.temperature or 1.0)
    if params.top_k is not None and params.top_k < weights.shape[1]:
        values, indices = weights.topk(params.top_k, dim=-1)
        weights = torch.zeros_like(weights).scatter_(1, indices, values)
    if params.top_p < 1.0:
        weights = _nucleus(weights, params.top_p)
    if params.min_p > 0.0:
        weights = weights * (weights >= params.min_p * weights.amax(dim=-1, keepdim=True))
    return weights


def _nucleus(weights: Tensor, top_p: float) -> Tensor:
    """The fewest likeliest tokens whose probability reaches top_p (arXiv:1904.09751, eq. 2).

    Of equal ones the first. Sorting 49,152 tokens of 32 rows takes 0.3 s, finding the likeliest of
    them 10 ms; nearly always those are enough.
    """
    limit_R1 = top_p * weights.sum(dim=-1, keepdim=True, dtype=torch.float64)
    likeliest_RK = weights.topk(min(NUCLEUS_TOKENS, weights.shape[1]), dim=-1).values
    kept = _first_reaching(weights, likeliest_RK, limit_R1)
    short_R = likeliest_RK.sum(dim=-1, dtype=torch.float64) < limit_R1[:, 0]
    if likeliest_RK.shape[1] < weights.shape[1] and short_R.any():
        rest = weights[short_R]
        ordered = rest.sort(dim=-1, descending=True).values
        kept[short_R] = _first_reaching(rest, ordered, limit_R1[short_R])
    return kept


def _first_reaching(weights: Tensor, ordered_RK: Tensor, limit_R1: Tensor) -> Tensor:
    """`weights` without those behind the first of `ordered_RK` whose sum reaches the limit."""
    before_RK = ordered_RK.double().cumsum(dim=-1) - ordered_RK
    num_kept_R1 = (before_RK < limit_R1).sum(dim=-1, keepdim=True).clamp_(min=1)
    least_R1 = ordered_RK.gather(1, num_kept_R1 - 1)
    above = weights > least_R1
    equal = weights == least_R1
    places_R1 = num_kept_R1 - above.sum(dim=-1, keepdim=True)
    if bool((equal.sum(dim=-1, keepdim=True) > places_R1).any()):
        equal &= equal.cumsum(dim=-1) <= places_R1
    return weights * (above | equal)


def invert(weights_RV: Tensor, uniform_R: Tensor) -> Tensor:
    """The token whose slice of the cumulative distribution holds the uniform number, [R].

    Two levels, a block of the vocabulary and then a token in it, because a cumulative sum over
    the whole row costs 1 ns an entry. Sums over blocks are float64. Never a token of weight 0.
    """
    num_rows, num_tokens = weights_RV.shape
    if num_tokens % BLOCK:
        weights_RV = F.pad(weights_RV, (0, -num_tokens % BLOCK))
    blocks_RCW = weights_RV.view(num_rows, -1, BLOCK)
    edges_RC = blocks_RCW.sum(dim=-1, dtype=torch.float32).double().cumsum(dim=-1)
    target_R1 = (uniform_R.double() * edges_RC[:, -1])[:, None]
    block_R1 = _first_above(edges_RC, target_R1)
    inner_RW = blocks_RCW[torch.arange(num_rows, device=block_R1.device), block_R1[:, 0]].double()
    inner_RW = inner_RW.cumsum(dim=-1)
    upper_R1 = edges_RC.gather(1, block_R1)
    lower_R1 = edges_RC.gather(1, (block_R1 - 1).clamp_(min=0)).masked_fill_(block_R1 == 0, 0.0)
    fraction_R1 = (target_R1 - lower_R1) / (upper_R1 - lower_R1)
    inside_R1 = fraction_R1.clamp_(0.0, 1.0 - 2.0**-40) * inner_RW[:, -1:]
    return (block_R1 * BLOCK + _first_above(inner_RW, inside_R1))[:, 0]


def _first_above(edges: Tensor, target_R1: Tensor) -> Tensor:
    """Index [R, 1] of the first edge that is greater than the target."""
    index = torch.searchsorted(edges, target_R1, right=True)
    return index.clamp_(max=edges.shape[1] - 1)
