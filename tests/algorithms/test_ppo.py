"""GAE against the naive double loop, the value loss against its cases, rewards of tokens."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aha.algorithms.grpo import policy_loss
from aha.algorithms.ppo import (
    Moments,
    explained_variance,
    gae,
    moments,
    token_rewards,
    value_loss,
    whitened,
)


def batch(lengths=(7, 1, 4, 0, 6), width=7, seed=0):
    """Rewards, values and mask; what is not sampled holds NaN."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(width)[None] < torch.tensor(lengths)[:, None]
    rewards, values = torch.randn(2, len(lengths), width, generator=generator)
    return torch.where(mask, rewards, math.nan), torch.where(mask, values, math.nan), mask


def naive_gae(rewards, values, gamma, gae_lambda):
    """Equation 16 as it is printed: for every t the sum over all later TD errors."""
    num = len(rewards)
    next_values = [*values[1:], 0.0]
    deltas = [rewards[t] + gamma * next_values[t] - values[t] for t in range(num)]
    return [
        sum((gamma * gae_lambda) ** (later - t) * deltas[later] for later in range(t, num))
        for t in range(num)
    ]


@pytest.mark.parametrize("gamma", [1.0, 0.9])
@pytest.mark.parametrize("gae_lambda", [0.0, 0.5, 0.95, 1.0])
def test_gae_is_the_double_loop_of_equation_16(gamma, gae_lambda):
    rewards, values, mask = batch()
    result = gae(rewards, values, mask, gamma=gamma, gae_lambda=gae_lambda)
    for row in range(len(mask)):
        own = mask[row]
        expected = naive_gae(
            rewards[row][own].tolist(), values[row][own].tolist(), gamma, gae_lambda
        )
        assert result.advantages_BT[row][own].tolist() == pytest.approx(expected, abs=1e-5)
        returns = [a + v for a, v in zip(expected, values[row][own].tolist(), strict=True)]
        assert result.returns_BT[row][own].tolist() == pytest.approx(returns, abs=1e-5)
    assert (result.advantages_BT[~mask] == 0).all() and (result.returns_BT[~mask] == 0).all()


def test_with_lambda_and_gamma_1_an_advantage_is_the_reward_to_go_less_the_value():
    rewards, values, mask = batch()
    result = gae(rewards, values, mask, gamma=1.0, gae_lambda=1.0)
    kept = torch.where(mask, rewards, 0.0)
    to_go = kept.flip(1).cumsum(1).flip(1)
    torch.testing.assert_close(result.returns_BT[mask], to_go[mask], atol=1e-5, rtol=0)
    expected = (to_go - values)[mask]
    torch.testing.assert_close(result.advantages_BT[mask], expected, atol=1e-5, rtol=0)


def test_with_lambda_0_an_advantage_is_the_td_error():
    rewards, values, mask = (
        torch.tensor([x]) for x in ([0.0, 0.0, 1.0], [0.2, 0.5, 0.9], [1, 1, 1])
    )
    result = gae(rewards, values, mask, gae_lambda=0.0)
    assert result.advantages_BT[0].tolist() == pytest.approx([0.3, 0.4, 0.1])
    assert result.returns_BT[0].tolist() == pytest.approx([0.5, 0.9, 1.0])


def test_padding_and_gaps_do_not_matter():
    """Tokens that were not sampled (another turn's prompt) are stepped over."""
    rewards, values, mask = batch(lengths=(5,), width=5)
    plain = gae(rewards, values, mask, gamma=0.9, gae_lambda=0.8)
    places = torch.tensor([1, 2, 5, 6, 8])
    wide = {name: torch.full((1, 12), math.nan) for name in ("rewards", "values")}
    wide["rewards"][0, places], wide["values"][0, places] = rewards[0], values[0]
    mask = torch.zeros(1, 12, dtype=torch.bool)
    mask[0, places] = True
    spread = gae(wide["rewards"], wide["values"], mask, gamma=0.9, gae_lambda=0.8)
    assert torch.equal(spread.advantages_BT[0, places], plain.advantages_BT[0])
    assert torch.equal(spread.returns_BT[0, places], plain.returns_BT[0])


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_a_constant_value_leaves_one_advantage_a_sequence(reward, value):
    """gamma = lambda = 1 and a reward at the end: every token gets reward - value."""
    mask = torch.tensor([[True] * 4 + [False] * 2])
    rewards = token_rewards(torch.tensor([reward]), mask)
    result = gae(rewards, torch.full((1, 6), value), mask, gae_lambda=1.0)
    expected = [reward - value] * 4 + [0.0] * 2
    assert result.advantages_BT[0].tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("aggregation", ["sequence", "token", "constant"])
@pytest.mark.parametrize("surrogate", ["clip", "cispo"])
@pytest.mark.parametrize("ratio_level", ["token", "sequence"])
def test_one_advantage_for_every_token_is_the_loss_with_one_a_sequence(
    aggregation, surrogate, ratio_level
):
    torch.manual_seed(0)
    logp, mask = -2 * torch.rand(5, 7), batch()[2]
    old = logp + 0.4 * torch.randn(5, 7)
    advantages_B = torch.tensor([1.5, -0.5, -2.0, 1.0, 0.7])
    spread_BT = torch.where(mask, advantages_B[:, None], math.nan)
    results = []
    for advantages in (advantages_B, spread_BT):
        mine = logp.clone().requires_grad_()
        loss = policy_loss(
            *(mine, old, advantages, mask),
            denominator=3.0,
            surrogate=surrogate,
            ratio_level=ratio_level,
            aggregation=aggregation,
        )
        loss.loss.backward()
        results.append((loss.loss.detach(), loss.num_clipped, mine.grad))
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_the_loss_takes_every_tokens_own_advantage():
    """On policy its gradient is -A / denominator of each token."""
    logp = torch.full((2, 3), -1.0, requires_grad=True)
    advantages = torch.tensor([[1.0, -2.0, math.nan], [0.5, 0.0, 3.0]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    policy_loss(
        logp, logp.detach(), advantages, mask, denominator=5.0, aggregation="token"
    ).loss.backward()
    expected = torch.tensor([[-1.0, 2.0, 0.0], [-0.5, 0.0, -3.0]]) / 5
    torch.testing.assert_close(logp.grad, expected)


def test_a_reward_stands_at_the_last_token_and_the_kl_at_every_one():
    mask = torch.tensor([[0, 1, 1, 1, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]])
    scores = torch.tensor([2.0, -1.0, 5.0])
    plain = token_rewards(scores, mask)
    assert plain.tolist() == [[0, 0, 0, 2, 0], [0, -1, 0, 0, 0], [0] * 5]
    logp = torch.tensor([[math.nan, -1.0, -2.0, -3.0, math.nan]] * 3)
    ref = torch.tensor([[math.nan, -1.5, -2.0, -1.0, math.nan]] * 3)
    with_kl = token_rewards(scores, mask, logp_BT=logp, ref_logp_BT=ref, kl_coef=0.1)
    expected = [[0, -0.05, 0, 2.2, 0], [0, -1.05, 0, 0, 0], [0] * 5]
    torch.testing.assert_close(with_kl, torch.tensor(expected))
    with pytest.raises(ValueError, match="KL penalty needs"):
        token_rewards(scores, mask, kl_coef=0.1)


def test_the_value_loss_is_half_the_squared_error():
    values = torch.tensor([[1.0, 2.0, math.nan]], requires_grad=True)
    returns = torch.tensor([[0.0, 5.0, math.nan]])
    mask = torch.tensor([[True, True, False]])
    result = value_loss(values, values.detach(), returns, mask, denominator=2.0)
    assert result.loss.item() == pytest.approx(0.5 * (1 + 9) / 2)
    assert (result.num_tokens, result.num_clipped) == (2, 0)
    result.loss.backward()
    assert values.grad.tolist() == [[0.5, -1.5, 0.0]]


CLIP_CASES = [
    # value, old, return -> loss, gradient: moved 0.5 with a clip of 0.2
    pytest.param(1.5, 1.0, 3.0, 0.5 * 1.8**2, 0.0, id="closer than the clip allows"),
    pytest.param(1.5, 1.0, 0.0, 0.5 * 1.5**2, 1.5, id="moved the wrong way"),
    pytest.param(1.1, 1.0, 3.0, 0.5 * 1.9**2, -1.9, id="within the clip"),
    pytest.param(0.5, 1.0, -2.0, 0.5 * 2.8**2, 0.0, id="downwards"),
]


@pytest.mark.parametrize(("value", "old", "target", "loss", "gradient"), CLIP_CASES)
def test_the_clip_stops_a_value_that_went_far_enough(value, old, target, loss, gradient):
    values = torch.tensor([[value]], requires_grad=True)
    result = value_loss(
        *(values, torch.tensor([[old]]), torch.tensor([[target]]), torch.tensor([[True]])),
        denominator=1.0,
        clip=0.2,
    )
    result.loss.backward()
    assert result.loss.item() == pytest.approx(loss)
    assert values.grad.item() == pytest.approx(gradient)
    assert result.num_clipped == (gradient == 0.0)


def test_splitting_a_step_changes_neither_loss_nor_gradient():
    torch.manual_seed(0)
    values, old, returns = torch.randn(3, 6, 5)
    mask = torch.arange(5)[None] < torch.tensor([5, 2, 0, 3, 1, 4])[:, None]
    total = float(mask.sum())

    def gradient(parts):
        mine = values.clone().requires_grad_()
        losses = [
            value_loss(mine[p], old[p], returns[p], mask[p], denominator=total, clip=0.3).loss
            for p in parts
        ]
        sum(losses).backward()
        return sum(losses).item(), mine.grad

    whole = gradient([slice(0, 6)])
    split = gradient([slice(0, 1), slice(1, 4), slice(4, 6)])
    assert split[0] == pytest.approx(whole[0])
    torch.testing.assert_close(split[1], whole[1])
    assert whole[1][mask].abs().sum() > 0 and (whole[1][~mask] == 0).all()


def test_moments_add_up_and_whiten():
    torch.manual_seed(0)
    values = torch.randn(50) * 3 + 2
    joined = moments(values[:20]) + moments(values[20:]) + Moments()
    assert joined.mean == pytest.approx(values.mean().item(), abs=1e-6)
    assert joined.variance == pytest.approx(values.var(unbiased=False).item(), rel=1e-6)
    white = whitened(values, joined)
    assert white.mean().item() == pytest.approx(0, abs=1e-6)
    assert white.std(unbiased=False).item() == pytest.approx(1, abs=1e-5)
    equal = torch.full((9,), 0.3)
    assert whitened(equal, moments(equal)).abs().max() < 1e-2


def test_explained_variance():
    returns = torch.tensor([0.0, 1.0, 2.0, 3.0])

    def explained(values):
        return explained_variance(moments(returns - values), moments(returns))

    assert explained(returns) == 1.0
    assert explained(returns + 5) == 1.0  # a shift is no variance
    assert explained(torch.full((4,), 0.7)) == pytest.approx(0.0, abs=1e-6)
    assert explained(-returns) == pytest.approx(-3.0, abs=1e-6)
    assert explained_variance(moments(returns), moments(torch.ones(4))) == 0.0
