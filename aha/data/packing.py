"""Packing samples of different lengths into rows of one size."""

import bisect
from collections.abc import Sequence


def best_fit_decreasing(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Rows of item numbers whose lengths sum to at most `capacity`.

    Longest first, each into the fullest row that has room for it: best-fit decreasing, which needs
    at most 11/9 of the fewest rows possible, plus one (Johnson et al. 1974). Items of equal length
    keep their order; the number of rows does not depend on the order of the items.
    """
    if any(not 0 < length <= capacity for length in lengths):
        raise ValueError(f"lengths must be from 1 to {capacity}")
    rows: list[list[int]] = []
    spaces: list[int] = []  # sorted, different
    rows_with: dict[int, list[int]] = {}
    for item in sorted(range(len(lengths)), key=lambda item: -lengths[item]):
        place = bisect.bisect_left(spaces, lengths[item])
        if place == len(spaces):
            row, space = len(rows), capacity
            rows.append([])
        else:
            space = spaces[place]
            row = rows_with[space].pop()
            if not rows_with[space]:
                del rows_with[space], spaces[place]
        rows[row].append(item)
        left = space - lengths[item]
        if left not in rows_with:
            bisect.insort(spaces, left)
        rows_with.setdefault(left, []).append(row)
    return rows
