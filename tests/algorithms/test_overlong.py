"""DAPO's length penalty and the mask without truncated samples."""

import pytest
import torch

from aha.algorithms.overlong import soft_overlong_penalty, without_truncated


def naive(length: int, max_tokens: int, cache_tokens: int) -> float:
    """Equation 13 with its three cases."""
    if length <= max_tokens - cache_tokens:
        return 0.0
    if length <= max_tokens:
        return ((max_tokens - cache_tokens) - length) / cache_tokens
    return -1.0


def test_every_length_equals_the_three_cases() -> None:
    lengths = torch.arange(0, 130)
    penalty = soft_overlong_penalty(lengths, max_tokens=100, cache_tokens=30)
    expected = [naive(n, 100, 30) for n in lengths.tolist()]
    assert penalty.tolist() == pytest.approx(expected)


def test_the_values_of_the_paper() -> None:
    lengths = torch.tensor([16384, 18432, 20480, 30000])
    penalty = soft_overlong_penalty(lengths, max_tokens=20480, cache_tokens=4096)
    assert penalty.tolist() == [0.0, -0.5, -1.0, -1.0]


@pytest.mark.parametrize("cache_tokens", [0, -1, 11])
def test_a_cache_that_does_not_fit_is_an_error(cache_tokens: int) -> None:
    with pytest.raises(ValueError, match="cache_tokens"):
        soft_overlong_penalty(torch.tensor([1]), max_tokens=10, cache_tokens=cache_tokens)


def test_truncated_sequences_leave_the_mask() -> None:
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    kept = without_truncated(mask, torch.tensor([False, True]))
    assert kept.tolist() == [[True, True, False], [False, False, False]]
    assert mask.tolist() == [[1, 1, 0], [1, 1, 1]]
