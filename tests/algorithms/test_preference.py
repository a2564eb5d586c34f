"""Losses of reward models against their definitions."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aha.algorithms.preference import (
    bradley_terry_loss,
    calibration_error,
    pointwise_loss,
    preference_probability,
)

SCORES = st.lists(st.floats(-20, 20), min_size=1, max_size=8)


@given(SCORES, st.integers(0, 2**16))
def test_bradley_terry_is_the_likelihood_of_the_choices(chosen, seed):
    rejected = torch.randn(len(chosen), generator=torch.Generator().manual_seed(seed)) * 5
    chosen = torch.tensor(chosen)
    naive = sum(
        math.log1p(math.exp(-(c - r))) if c - r > -500 else r - c
        for c, r in zip(chosen.double().tolist(), rejected.double().tolist(), strict=True)
    )
    result = bradley_terry_loss(chosen, rejected, denominator=3.0)
    assert result.loss.item() == pytest.approx(naive / 3, rel=1e-5, abs=1e-6)
    assert result.num_right == sum((chosen > rejected).tolist())


def test_only_the_difference_of_scores_counts():
    chosen, rejected = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 3.0])
    first = bradley_terry_loss(chosen, rejected, denominator=2).loss
    shifted = bradley_terry_loss(chosen + 7, rejected + 7, denominator=2).loss
    assert first.item() == pytest.approx(shifted.item(), rel=1e-6)


def test_equal_scores_are_no_right_choice_and_cost_log_two():
    result = bradley_terry_loss(torch.zeros(4), torch.zeros(4), denominator=4)
    assert result.loss.item() == pytest.approx(math.log(2))
    assert result.num_right == 0


def test_pointwise_is_binary_cross_entropy():
    scores, safe = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([True, False, False])
    naive = sum(
        -math.log(1 / (1 + math.exp(-s)) if good else 1 - 1 / (1 + math.exp(-s)))
        for s, good in zip(scores.tolist(), safe.tolist(), strict=True)
    )
    result = pointwise_loss(scores, safe, denominator=3)
    assert result.loss.item() == pytest.approx(naive / 3, rel=1e-6)
    assert result.num_right == 2


def test_extreme_scores_stay_finite():
    big = torch.tensor([1e4, -1e4], requires_grad=True)
    loss = bradley_terry_loss(-big, big, denominator=2).loss
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(big.grad).all()


def test_calibration_of_a_perfect_and_of_a_boastful_model():
    probability = torch.tensor([0.75] * 4)
    assert calibration_error(probability, torch.tensor([1, 1, 1, 0])) == pytest.approx(0.0)
    assert calibration_error(torch.ones(4), torch.tensor([1, 1, 0, 0])) == pytest.approx(0.5)
    assert calibration_error(torch.zeros(0), torch.zeros(0)) == 0.0


def test_probability_and_its_opposite_sum_to_one():
    a, b = torch.randn(16), torch.randn(16)
    total = preference_probability(a, b) + preference_probability(b, a)
    assert torch.allclose(total, torch.ones(16))
