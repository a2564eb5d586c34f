"""Group advantages against a loop over groups, and the cases where there is nothing to compare."""

import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aha.algorithms.advantages import GroupAdvantages, group_advantages

EPS = 1e-6
SAMPLES = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.booleans()),
    min_size=1,
    max_size=24,
)


def advantages(rewards: list[float], groups: list[int], **kwargs) -> GroupAdvantages:
    return group_advantages(torch.tensor(rewards), torch.tensor(groups), **kwargs)


def naive(
    rewards: list[float], groups: list[int], scored: list[bool], scale: str
) -> tuple[list[float], list[float]]:
    """Advantages and group means with one dictionary and the statistics module."""
    by_group: dict[int, list[float]] = {g: [] for g in groups}
    for reward, group, ok in zip(rewards, groups, scored, strict=True):
        if ok:
            by_group[group].append(reward)
    means = {g: statistics.fmean(values) if values else 0.0 for g, values in by_group.items()}
    compared = [(r, means[g]) for g, v in by_group.items() if len(v) > 1 for r in v]
    batch_std = statistics.fmean([(r - m) ** 2 for r, m in compared]) ** 0.5 if compared else 0.0
    result = []
    for reward, group, ok in zip(rewards, groups, scored, strict=True):
        values = by_group[group]
        if not ok or len(set(values)) < 2:
            result.append(0.0)
            continue
        std = {"none": 1.0, "batch_std": batch_std + EPS}.get(scale)
        result.append((reward - means[group]) / (std or statistics.pstdev(values) + EPS))
    return result, [means[g] for g in groups]


@pytest.mark.parametrize("scale", ["group_std", "batch_std", "none"])
@settings(max_examples=30, deadline=None)
@given(samples=SAMPLES)
def test_equals_the_loop(scale: str, samples: list[tuple[int, float, bool]]) -> None:
    groups, rewards, scored = (list(column) for column in zip(*samples, strict=True))
    result = advantages(rewards, groups, scale=scale, scored_N=torch.tensor(scored))
    expected, means = naive(rewards, groups, scored, scale)
    assert result.advantages_N.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert result.group_mean_N.tolist() == pytest.approx(means, rel=1e-6)
    assert result.num_groups == len(set(groups))


@settings(max_examples=30, deadline=None)
@given(samples=SAMPLES, order=st.randoms(use_true_random=False))
def test_order_and_names_of_groups_do_not_matter(samples, order) -> None:
    groups, rewards, _ = (list(column) for column in zip(*samples, strict=True))
    shuffled = list(range(len(groups)))
    order.shuffle(shuffled)
    before = advantages(rewards, groups).advantages_N
    after = advantages([rewards[i] for i in shuffled], [90 - 7 * groups[i] for i in shuffled])
    torch.testing.assert_close(after.advantages_N, before[shuffled])


@settings(max_examples=30, deadline=None)
@given(num_right=st.integers(1, 15))
def test_a_group_has_mean_zero_and_mean_square_one(num_right: int) -> None:
    result = advantages([1.0] * num_right + [0.0] * (16 - num_right), [3] * 16).advantages_N
    assert float(result.mean()) == pytest.approx(0.0, abs=1e-5)
    assert float(result.square().mean()) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("reward", [1.9, 0.1, 1.0, 0.0, -0.7, 1e-6, 123456.7])
@pytest.mark.parametrize("scale", ["group_std", "batch_std", "none"])
def test_equal_rewards_give_exactly_zero(reward: float, scale: str) -> None:
    rewards, groups = [reward] * 16 + [0.0, 1.0], [0] * 16 + [1] * 2
    result = advantages(rewards, groups, scale=scale, eps=1e-9)
    assert result.advantages_N[:16].tolist() == [0.0] * 16
    assert result.advantages_N[16:].abs().min() >= 0.5
    assert (result.equal_reward_groups, result.short_groups, result.num_groups) == (1, 0, 2)


def test_dividing_would_not_have_given_zero() -> None:
    """The trap this guards against: the float32 mean of sixteen 1.9s is not 1.9."""
    rewards = torch.full((16,), 1.9)
    assert (
        rewards - torch.zeros(1).index_add(0, torch.zeros(16, dtype=torch.long), rewards) / 16
    ).any()


def test_paper_example_by_hand() -> None:
    result = advantages([1.0, 0.0, 0.0, 0.0], [7] * 4, eps=0.0)
    assert result.advantages_N.tolist() == pytest.approx([3**0.5] + [-(3**-0.5)] * 3)
    mean_only = advantages([1.0, 0.0, 0.0, 0.0], [7] * 4, scale="none")
    assert mean_only.advantages_N.tolist() == [0.75, -0.25, -0.25, -0.25]


def test_unscored_samples_count_nowhere_and_may_hold_anything() -> None:
    scored = torch.tensor([True, True, False, True, False])
    rewards = [1.0, 0.0, float("nan"), 0.5, float("inf")]
    result = advantages(rewards, [0] * 5, scored_N=scored)
    alone = advantages([1.0, 0.0, 0.5], [0] * 3)
    assert result.advantages_N[scored].tolist() == alone.advantages_N.tolist()
    assert result.advantages_N[~scored].tolist() == [0.0, 0.0]
    assert result.group_mean_N.tolist() == [0.5] * 5


def test_groups_with_fewer_than_two_scored_samples_get_zero() -> None:
    scored = torch.tensor([True, False, False, False, True])
    result = advantages([1.0, 0.0, 1.0, 0.0, 0.3], [0, 0, 1, 1, 2], scored_N=scored)
    assert result.advantages_N.tolist() == [0.0] * 5
    assert (result.equal_reward_groups, result.short_groups, result.num_groups) == (0, 3, 3)
    assert result.group_mean_N.tolist() == pytest.approx([1.0, 1.0, 0.0, 0.0, 0.3])


def test_groups_of_equal_rewards_dilute_the_batch_std() -> None:
    lone = advantages([1.0, 0.0], [0, 0], scale="batch_std").advantages_N
    diluted = advantages([1.0, 0.0, 1.0, 1.0], [0, 0, 1, 1], scale="batch_std").advantages_N
    assert diluted[:2].tolist() == pytest.approx((lone * 2**0.5).tolist(), rel=1e-5)


def test_arguments_are_left_as_they_are_and_carry_no_gradient() -> None:
    rewards = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    result = group_advantages(rewards, torch.tensor([0, 0]))
    assert rewards.tolist() == [1.0, 0.0]
    assert result.advantages_N.dtype == torch.float32
    assert not result.advantages_N.requires_grad


@pytest.mark.parametrize(
    ("rewards", "groups", "kwargs", "message"),
    [
        ([1.0, float("nan")], [0, 0], {}, "finite"),
        ([1.0], [0, 0], {}, "equally long"),
        ([[1.0]], [[0]], {}, "vectors"),
        ([1.0, 0.0], [0.0, 1.0], {}, "integers"),
        ([1.0, 0.0], [0, 0], {"scale": "std"}, "std"),
    ],
)
def test_wrong_arguments_are_errors(rewards, groups, kwargs, message) -> None:
    with pytest.raises(ValueError, match=message):
        advantages(rewards, groups, **kwargs)
