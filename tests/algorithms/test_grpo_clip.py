"""Single tokens at the edges of the clip: loss, gradient and count, up to ratios that overflow."""

import math

import pytest
import torch

from aha.algorithms.grpo import policy_loss


def one_token(ratio: float, advantage: float, **keywords) -> tuple[float, float, int]:
    """Loss, gradient and clip count of one token."""
    logp = torch.tensor([[-1.0]], requires_grad=True)
    loss = policy_loss(
        logp,
        logp.detach() - math.log(ratio),
        torch.tensor([advantage]),
        torch.tensor([[True]]),
        denominator=1.0,
        **keywords,
    )
    loss.loss.backward()
    assert logp.grad is not None
    return float(loss.loss.detach()), float(logp.grad), int(loss.num_clipped)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient", "clipped"),
    [
        (1.1, 1.0, -1.1, -1.1, 0),
        (1.27, 1.0, -1.27, -1.27, 0),
        (1.3, 1.0, -1.28, 0.0, 1),
        (0.5, 1.0, -0.5, -0.5, 0),
        (0.9, -1.0, 0.9, 0.9, 0),
        (0.7, -1.0, 0.8, 0.0, 1),
        (3.0, -1.0, 3.0, 3.0, 0),
        (3.0, 0.0, 0.0, 0.0, 0),
    ],
)
def test_clip_edges(ratio, advantage, loss, gradient, clipped) -> None:
    result = one_token(ratio, advantage, clip_low=0.2, clip_high=0.28)
    assert result == (pytest.approx(loss), pytest.approx(gradient), clipped)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient", "clipped"),
    [
        (10.9, 1.0, -10.9, -10.9, 0),
        (12.0, 1.0, -11.0, 0.0, 1),
        (0.001, -1.0, 0.001, 0.001, 0),
        (500.0, -1.0, 500.0, 500.0, 0),
    ],
)
def test_epsilon_ten_of_the_paper_caps_good_tokens_at_eleven_and_bad_ones_never(
    ratio, advantage, loss, gradient, clipped
) -> None:
    result = one_token(ratio, advantage, clip_low=10.0, clip_high=10.0)
    assert result == (pytest.approx(loss, 1e-4), pytest.approx(gradient, 1e-4), clipped)


def test_dual_clip_bounds_the_loss_of_bad_tokens_alone() -> None:
    assert one_token(5.0, -1.0, clip_dual=3.0) == (pytest.approx(3.0), 0.0, 1)
    assert one_token(2.0, -1.0, clip_dual=3.0) == (pytest.approx(2.0), pytest.approx(2.0), 0)
    assert one_token(5.0, 1.0, clip_dual=3.0) == one_token(5.0, 1.0)


def test_cispo_keeps_a_gradient_where_the_clip_takes_it() -> None:
    bounds = {"clip_low": 1.0, "clip_high": 0.2}
    assert one_token(5.0, 1.0, **bounds)[1:] == (0.0, 1)
    assert one_token(5.0, 1.0, surrogate="cispo", **bounds)[1:] == (pytest.approx(-1.2), 1)
    assert one_token(0.1, -2.0, surrogate="cispo", **bounds)[1:] == (pytest.approx(0.2), 0)


@pytest.mark.parametrize("gap", [-1e4, 1e4])
@pytest.mark.parametrize("advantage", [-1.0, 1.0])
@pytest.mark.parametrize("ratio_level", ["token", "sequence"])
@pytest.mark.parametrize("surrogate", ["clip", "cispo"])
def test_extreme_ratios_stay_finite(gap, advantage, ratio_level, surrogate) -> None:
    logp = torch.full((1, 3), -1.0, requires_grad=True)
    loss = policy_loss(
        logp,
        logp.detach() - gap,
        torch.tensor([advantage]),
        torch.ones(1, 3),
        denominator=1.0,
        ref_logp_BT=logp.detach() + gap,
        kl_coef=1.0,
        clip_high=1e9,
        ratio_level=ratio_level,
        surrogate=surrogate,
    )
    loss.loss.backward()
    assert logp.grad is not None
    assert torch.isfinite(loss.loss)
    assert torch.isfinite(logp.grad).all()
    assert float(loss.ratio_max_abs_log) == 1e4
