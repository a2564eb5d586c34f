"""Optional parts of the reward that work against empty length; all are off by default.

The soft overlong penalty of DAPO is `aha.algorithms.overlong`. Numbers in, a number out: lengths in
tokens, no tensors.
"""

import math
from collections.abc import Hashable, Sequence

NGRAM_TOKENS = 8
"""Long enough that phrases of ordinary reasoning ("so the answer is") do not count as repeated."""


def repetition_penalty(tokens: Sequence[Hashable], *, ngram_tokens: int = NGRAM_TOKENS) -> float:
    """Minus the share of n-grams that stood before, in (-1, 0]; 0 for fewer than two n-grams.

    After Yeo et al. (arXiv 2502.03373), who found that a length reward is hacked by repetition.
    Differs from the paper: one number a response instead of a penalty at every repeated token.
    """
    if ngram_tokens < 1:
        raise ValueError(f"ngram_tokens={ngram_tokens} must be 1 or more")
    num_ngrams = len(tokens) - ngram_tokens + 1
    if num_ngrams < 2:
        return 0.0
    different = {tuple(tokens[i : i + ngram_tokens]) for i in range(num_ngrams)}
    return len(different) / num_ngrams - 1.0


def cosine_length(
    length_tokens: int,
    *,
    max_tokens: int,
    is_correct: bool,
    correct: tuple[float, float] = (0.5, 0.0),
    wrong: tuple[float, float] = (-0.5, 0.0),
    truncated: float = -0.5,
) -> float:
    """A term that pays right answers for being short and wrong ones for having tried longer.

    Yeo et al. (arXiv 2502.03373), section 4: between the value at length 0 and the one at
    `max_tokens` along half a cosine; `truncated` at `max_tokens` or more. Differs from the paper,
    where this is the whole reward: the values here are added to an accuracy reward of 0 or 1, so
    that a right answer always earns more than a wrong one.
    """
    if max_tokens < 1 or length_tokens < 0:
        raise ValueError(f"length_tokens={length_tokens}, max_tokens={max_tokens}")
    if length_tokens >= max_tokens:
        return truncated
    at_zero, at_max = correct if is_correct else wrong
    progress = math.cos(math.pi * length_tokens / max_tokens)
    return at_max + 0.5 * (at_zero - at_max) * (1.0 + progress)
