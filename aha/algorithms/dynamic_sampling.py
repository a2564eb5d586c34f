"""Dynamic sampling: leave out the prompts on which every sample got the same.

DAPO (arXiv 2503.14476) equation 11: keep a prompt only if 0 < number of right answers < G. Its
group advantages are all zero otherwise, so that it only dilutes the step. Whether to sample other
prompts instead (DAPO) or to take a smaller step (ScaleRL, arXiv 2510.13786) is the caller's choice.

Differs from the paper: the rule is "not all values equal", which is the paper's for 0/1 accuracies
and also holds for other values; unscored samples are left out of the comparison.

Shapes: N samples of a step in any order, K of them kept.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from aha.algorithms.groups import group_statistics


@dataclass(frozen=True, slots=True)
class KeptSamples:
    """Which samples can teach something."""

    index_K: Tensor  # positions in the step, ascending, int64; whole groups
    kept_groups: int
    num_groups: int


def drop_equal_groups(
    values_N: Tensor, group_N: Tensor, *, scored_N: Tensor | None = None
) -> KeptSamples:
    """The samples of the groups whose scored `values_N` (accuracy or reward) are not all equal."""
    stats = group_statistics(values_N, group_N, scored_N)
    keep_G = ~(stats.equal_G | stats.short_G)
    index_K = torch.nonzero(keep_G[stats.index_N]).flatten()
    return KeptSamples(index_K, kept_groups=int(keep_G.sum()), num_groups=len(keep_G))
