"""What to do with responses that are too long.

DAPO (arXiv 2503.14476) section 3.4, equation 13: a length penalty that grows over the last
`cache_tokens` tokens, and the alternative, to leave truncated samples out of the loss ("overlong
filtering").

Shapes: N samples; B sequences, T tokens.
"""

from torch import Tensor


def soft_overlong_penalty(length_tokens_N: Tensor, *, max_tokens: int, cache_tokens: int) -> Tensor:
    """A term to add to the reward: 0 up to `max - cache` tokens, then linearly to -1 at max.

    The paper's values are `max_tokens=20480` and `cache_tokens=4096`.
    """
    if not 0 < cache_tokens <= max_tokens:
        raise ValueError(f"cache_tokens={cache_tokens} must be in 1..max_tokens={max_tokens}")
    room_tokens_N = (max_tokens - cache_tokens) - length_tokens_N.float()
    return (room_tokens_N / cache_tokens).clamp(min=-1.0, max=0.0)


def without_truncated(mask_BT: Tensor, truncated_B: Tensor) -> Tensor:
    """The loss mask with the sequences that hit the length limit masked out."""
    return mask_BT.bool() & ~truncated_B.bool()[:, None]
