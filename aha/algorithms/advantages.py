"""Group-relative advantages: how much better a sample is than the others of its prompt.

DeepSeek-R1 (arXiv 2501.12948) equation 3: A_i = (r_i - mean(r_1..r_G)) / std(r_1..r_G).
`scale="none"` is Dr. GRPO (2503.20783); `scale="batch_std"` is ScaleRL (2510.13786).

Differs from the paper: the paper names neither the kind of std nor an epsilon. This is the
population std (divide by G): with it the advantages of every group have a mean square of 1, also
when an unscored sample makes the group smaller; the sample std would give (G-1)/G. Groups of equal
rewards get exactly 0 by comparison: in float32 the mean of sixteen 1.9s is not 1.9, and a division
blows the rounding up.

Shapes: N samples of a step in any order, G groups (one a prompt).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from aha.algorithms.groups import GroupStatistics, group_statistics

AdvantageScale = Literal["group_std", "batch_std", "none"]


@dataclass(frozen=True, slots=True)
class GroupAdvantages:
    """The advantages of a step and what is needed to judge them."""

    advantages_N: Tensor  # float32; exactly 0 where there is nothing to compare
    equal_reward_groups: int  # groups of two or more scored samples whose rewards are all equal
    short_groups: int  # groups with fewer than two scored samples
    num_groups: int
    group_mean_N: Tensor  # mean scored reward of each sample's group; 0 where none is scored


def group_advantages(
    rewards_N: Tensor,
    group_N: Tensor,
    *,
    scale: AdvantageScale = "group_std",
    eps: float = 1e-6,
    scored_N: Tensor | None = None,
) -> GroupAdvantages:
    """Advantages of all samples of a step.

    group_N: integers that say which prompt a sample answers, in any order.
    scored_N: False where a verifier timed out or failed. Such samples count in no mean and no std
        and get 0; a group with fewer than two scored samples gets 0.
    scale: "batch_std" divides by one std for the whole step: that of the rewards around their group
        means, over all groups with two or more scored samples.
    """
    stats = group_statistics(rewards_N, group_N, scored_N)
    if scale == "group_std":
        divisor = _group_std(stats)[stats.index_N] + eps
    elif scale == "batch_std":
        divisor = _batch_std(stats) + eps
    elif scale == "none":
        divisor = torch.ones_like(stats.centred_N)
    else:
        raise ValueError(f"unknown scale {scale!r}: group_std, batch_std or none")
    return GroupAdvantages(
        advantages_N=stats.centred_N / divisor,
        equal_reward_groups=int(stats.equal_G.sum()),
        short_groups=int(stats.short_G.sum()),
        num_groups=len(stats.count_G),
        group_mean_N=stats.mean_G[stats.index_N],
    )


def _group_std(stats: GroupStatistics) -> Tensor:
    squares_G = torch.zeros_like(stats.mean_G).index_add(0, stats.index_N, stats.centred_N.square())
    return (squares_G / stats.count_G.clamp(min=1.0)).sqrt()


def _batch_std(stats: GroupStatistics) -> Tensor:
    num_compared = torch.where(stats.short_G, 0.0, stats.count_G).sum().clamp(min=1.0)
    return (stats.centred_N.square().sum() / num_compared).sqrt()
