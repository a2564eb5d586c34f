"""Best-fit decreasing: every item once, no row too long, few rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aha.data.packing import best_fit_decreasing

SIZES = st.integers(1, 60).flatmap(
    lambda capacity: st.tuples(st.lists(st.integers(1, capacity), max_size=60), st.just(capacity))
)


def naive(lengths: list[int], capacity: int) -> list[list[int]]:
    """The rule, word for word: longest first, into the fullest row that has room."""
    rows: list[list[int]] = []
    for item in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        spaces = [capacity - sum(lengths[i] for i in row) for row in rows]
        fitting = [(space, n) for n, space in enumerate(spaces) if space >= lengths[item]]
        if fitting:
            rows[min(fitting)[1]].append(item)
        else:
            rows.append([item])
    return rows


def loads(rows: list[list[int]], lengths: list[int]) -> list[int]:
    return sorted(sum(lengths[item] for item in row) for row in rows)


@given(SIZES)
def test_every_item_once_and_no_row_over_capacity(sizes):
    lengths, capacity = sizes
    rows = best_fit_decreasing(lengths, capacity)
    assert sorted(item for row in rows for item in row) == list(range(len(lengths)))
    assert all(0 < load <= capacity for load in loads(rows, lengths))


@given(SIZES)
def test_it_fills_rows_as_the_naive_rule_does(sizes):
    lengths, capacity = sizes
    rows = best_fit_decreasing(lengths, capacity)
    assert loads(rows, lengths) == loads(naive(lengths, capacity), lengths)


@given(SIZES)
def test_few_rows(sizes):
    """Any two rows hold more than one row's capacity, so the rows are more than half full."""
    lengths, capacity = sizes
    full = loads(best_fit_decreasing(lengths, capacity), lengths)
    assert len(full) < 2 or full[0] + full[1] > capacity
    fewest = -(-sum(lengths) // capacity)
    assert len(full) <= max(1, 2 * fewest)


@given(SIZES, st.randoms())
def test_the_rows_do_not_depend_on_the_order(sizes, rng):
    lengths, capacity = sizes
    shuffled = list(lengths)
    rng.shuffle(shuffled)
    first, second = (best_fit_decreasing(each, capacity) for each in (lengths, shuffled))
    assert loads(first, lengths) == loads(second, shuffled)


def test_a_case_by_hand():
    # 6, 5, 5 (into the row of the first 5), 4 (beside the 6), then 3, 3, 2
    lengths = [3, 5, 4, 6, 5, 3, 2]
    assert best_fit_decreasing(lengths, 10) == [[3, 2], [1, 4], [0, 5, 6]]


def test_realistic_lengths_fill_rows_to_the_brim():
    lengths = [20 + 97 * i % 180 for i in range(2_000)]
    rows = best_fit_decreasing(lengths, 2_048)
    assert sum(lengths) / (len(rows) * 2_048) > 0.98


@pytest.mark.parametrize("lengths", [[11], [0], [-1, 3]])
def test_what_does_not_fit_is_refused(lengths):
    with pytest.raises(ValueError, match="from 1 to 10"):
        best_fit_decreasing(lengths, 10)
