"""Dynamic sampling keeps whole groups that can teach something."""

import torch

from aha.algorithms.advantages import group_advantages
from aha.algorithms.dynamic_sampling import drop_equal_groups


def test_keeps_the_groups_with_a_difference_in_order() -> None:
    accuracy = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0, 0.0])
    kept = drop_equal_groups(accuracy, torch.tensor([4, 9, 4, 9, 2, 2]))
    assert kept.index_K.tolist() == [4, 5]
    assert (kept.kept_groups, kept.num_groups) == (1, 3)


def test_drops_exactly_the_groups_without_an_advantage() -> None:
    torch.manual_seed(1)
    rewards, groups = torch.randint(0, 2, (120,)).float(), torch.randint(0, 40, (120,))
    scored = torch.rand(120) > 0.3
    advantages = group_advantages(rewards, groups, scored_N=scored).advantages_N
    informative = {int(g) for g, a in zip(groups, advantages, strict=True) if a != 0}
    kept = drop_equal_groups(rewards, groups, scored_N=scored)
    expected = [i for i, g in enumerate(groups.tolist()) if g in informative]
    assert kept.index_K.tolist() == expected
    assert 0 < kept.kept_groups == len(informative) < kept.num_groups


def test_a_step_in_which_all_is_equal_keeps_nothing() -> None:
    kept = drop_equal_groups(torch.full((4,), 1.9), torch.tensor([0, 0, 1, 1]))
    assert kept.index_K.tolist() == []
    assert (kept.kept_groups, kept.num_groups) == (0, 2)
