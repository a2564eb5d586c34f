"""Statistics of the samples of a prompt, shared by advantages and dynamic sampling.

Shapes: N samples of a step in any order, G groups (one a prompt).
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class GroupStatistics:
    """Per group of a step; only scored samples count, and a group without any has a mean of 0."""

    index_N: Tensor  # which of the G groups a sample is in, int64
    scored_N: Tensor  # bool
    count_G: Tensor  # scored samples, float32
    mean_G: Tensor  # float32
    centred_N: Tensor  # value - mean of its group, float32; exactly 0 where it means nothing
    equal_G: Tensor  # two or more scored samples, and all of them equal (max == min)
    short_G: Tensor  # fewer than two scored samples: nothing to compare


def group_statistics(
    values_N: Tensor, group_N: Tensor, scored_N: Tensor | None = None
) -> GroupStatistics:
    """Statistics of `values_N` in the groups named by the integers `group_N`.

    Raises ValueError for shapes that differ and for a scored value that is not finite.
    """
    values_N = values_N.detach().float()
    scored_N = torch.ones_like(values_N, dtype=torch.bool) if scored_N is None else scored_N.bool()
    _check(values_N, group_N, scored_N)
    ids_G, index_N = torch.unique(group_N, return_inverse=True)
    zeros_G = values_N.new_zeros(len(ids_G))
    count_G = zeros_G.index_add(0, index_N, scored_N.float())
    kept_N = torch.where(scored_N, values_N, 0.0)
    mean_G = zeros_G.index_add(0, index_N, kept_N) / count_G.clamp(min=1.0)
    highest_G = _extreme(zeros_G, index_N, torch.where(scored_N, values_N, -torch.inf), "amax")
    lowest_G = _extreme(zeros_G, index_N, torch.where(scored_N, values_N, torch.inf), "amin")
    short_G = count_G < 2
    equal_G = (highest_G == lowest_G) & ~short_G
    useful_N = scored_N & ~(equal_G | short_G)[index_N]
    centred_N = torch.where(useful_N, kept_N - mean_G[index_N], 0.0)
    return GroupStatistics(index_N, scored_N, count_G, mean_G, centred_N, equal_G, short_G)


def _extreme(start_G: Tensor, index_N: Tensor, values_N: Tensor, reduce: str) -> Tensor:
    return start_G.scatter_reduce(0, index_N, values_N, reduce, include_self=False)


def _check(values_N: Tensor, group_N: Tensor, scored_N: Tensor) -> None:
    if values_N.ndim != 1 or not values_N.shape == group_N.shape == scored_N.shape:
        shapes = [tuple(t.shape) for t in (values_N, group_N, scored_N)]
        raise ValueError(f"values, groups and scored must be equally long vectors, not {shapes}")
    if group_N.is_floating_point():
        raise ValueError("groups are named by integers")
    if not torch.isfinite(values_N[scored_N]).all():
        raise ValueError("a scored sample has a reward that is not finite")
