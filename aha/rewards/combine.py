"""One reward from its parts (arXiv 2501.12948v2, Eq. 4 and 8: sums)."""

import math
from collections.abc import Mapping

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


def _suggestion(name: str, known: Mapping[str, float]) -> str:
    match = nearest(name, known)
    return f"; did you mean {match!r}?" if match else ""
