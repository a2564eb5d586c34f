"""One reward from its parts: the sum (arXiv 2501.12948v2, Eq. 4 and 8), or GDPO (2601.05242)."""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence

from aha.errors import nearest


def combine(parts: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """The weighted sum of reward parts, by name.

    Raises ValueError for a part without a weight, a weight (other than 0) without its part, and a
    value that is not finite: each would change what is optimized without anyone noticing.
    """
    for name in parts:
        if name not in weights:
            raise ValueError(f"reward part {name!r} has no weight{_suggestion(name, weights)}")
    for name, weight in weights.items():
        if weight and name not in parts:
            raise ValueError(f"reward part {name!r} is missing{_suggestion(name, parts)}")
    terms = {name: weights[name] * value for name, value in parts.items()}
    for name, term in terms.items():
        if not math.isfinite(term):
            raise ValueError(f"reward part {name!r} is not finite: {parts[name]}")
    return math.fsum(terms.values())


Parts = Mapping[str, float]


def normalized_sums(
    parts: Sequence[Parts],
    weights: Sequence[Mapping[str, float]],
    groups: Sequence[Hashable],
    *,
    scored: Sequence[bool] | None = None,
    eps: float = 1e-6,
) -> list[float]:
    """GDPO (arXiv 2601.05242): every part normalised in its group, then the weighted sum.

        A_k = (r_k - mean_group(r_k)) / std_group(r_k);  A = sum_k w_k A_k

    So a part of small variance keeps its say, and combinations of parts whose sums are equal stay
    apart. The paper then divides by the std of A over the whole batch (`group_advantages` with
    scale="batch_std" does). Population std, and exactly 0 for a part that is equal in the group, as
    in `aha.algorithms.advantages`. Samples that are not scored count in no mean and get 0.

    Raises ValueError where `combine` does.
    """
    members: dict[Hashable, list[int]] = defaultdict(list)
    is_scored = [True] * len(parts) if scored is None else scored
    for index, (group, counts) in enumerate(zip(groups, is_scored, strict=True)):
        if counts:
            combine(parts[index], weights[index])  # for its checks
            members[group].append(index)
    sums = [0.0] * len(parts)
    for indices in members.values():
        for name in _names(parts[index] for index in indices):
            values = [parts[index].get(name, 0.0) for index in indices]
            for index, value in zip(indices, _normalized(values, eps), strict=True):
                sums[index] += weights[index].get(name, 0.0) * value
    return [round(value, 9) for value in sums]  # so that what is equal but for rounding is equal


def _names(parts: Iterable[Parts]) -> list[str]:
    return list(dict.fromkeys(name for one in parts for name in one))


def _normalized(values: Sequence[float], eps: float) -> list[float]:
    if max(values) == min(values):
        return [0.0] * len(values)
    mean = math.fsum(values) / len(values)
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    return [(value - mean) / (std + eps) for value in values]


def _suggestion(name: str, known: Mapping[str, float]) -> str:
    match = nearest(name, known)
    return f"; did you mean {match!r}?" if match else ""
