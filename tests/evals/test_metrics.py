"""Evaluation metrics against brute force over subsets, and error bars against the formulas."""

import itertools
import math
import statistics
import subprocess
import sys
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aha.evals.metrics import (
    clustered_stderr,
    cons_at_k,
    mean_and_stderr,
    pass_at_k,
    wilson_interval,
)

ANSWERS = st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=1, max_size=9)


def brute_pass(right: list[bool], k: int) -> float:
    return statistics.fmean(any(subset) for subset in itertools.combinations(right, k))


def brute_cons(answers: list[str | None], gold: str, k: int) -> float:
    shares = []
    for subset in itertools.combinations(answers, k):
        votes = Counter(answer for answer in subset if answer is not None)
        top = [a for a, count in votes.items() if count == max(votes.values())]
        shares.append((gold in top) / len(top) if top else 0.0)
    return statistics.fmean(shares)


@settings(max_examples=40, deadline=None)
@given(right=st.lists(st.booleans(), min_size=1, max_size=9), data=st.data())
def test_pass_at_k_equals_brute_force(right: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(right)))
    value = pass_at_k(len(right), sum(right), k)
    assert value == pytest.approx(brute_pass(right, k), abs=1e-12)


@settings(max_examples=80, deadline=None)
@given(answers=ANSWERS, data=st.data())
def test_cons_at_k_equals_brute_force(answers: list[str | None], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(answers)))
    value = cons_at_k(answers, gold="a", k=k)
    assert value == pytest.approx(brute_cons(answers, "a", k), abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(answers=st.lists(st.sampled_from("abcdefgh"), min_size=64, max_size=64))
def test_the_chances_of_all_answers_add_up_to_one(answers: list[str]) -> None:
    total = math.fsum(cons_at_k(answers, gold=gold, k=17) for gold in "abcdefgh")
    assert total == pytest.approx(1.0, abs=1e-12)


def test_k_of_one_is_pass_at_one_and_k_of_all_is_the_vote() -> None:
    answers = ["7", "7", "3", None, "12", "12", "12"]
    assert cons_at_k(answers, gold="7", k=1) == pass_at_k(7, 2, 1) == pytest.approx(2 / 7)
    assert cons_at_k(answers, gold="12", k=7) == 1.0
    assert cons_at_k(answers, gold="7", k=7) == 0.0


def test_a_tie_counts_as_the_right_fraction_of_it() -> None:
    assert cons_at_k(["a", "b", "c", "c", "a", "b"], gold="a", k=6) == pytest.approx(1 / 3)
    assert cons_at_k(["a", "b"], gold="a", k=2) == 0.5


def test_samples_without_an_answer_abstain() -> None:
    assert cons_at_k([None, None, None, "a"], gold="a", k=4) == 1.0
    assert cons_at_k([None, None, None, "a"], gold="a", k=1) == 0.25
    assert cons_at_k([None, None], gold="a", k=2) == 0.0


def test_answers_are_compared_by_equality_alone() -> None:
    assert cons_at_k([[1], [1], [2]], gold=[1], k=3) == 1.0
    assert cons_at_k([1.0, 2, 2.0], gold=1, k=3) == 0.0


def test_many_samples_are_exact_and_fast() -> None:
    answers = ["right"] * 96 + [f"wrong{i % 7}" for i in range(160)]
    start = time.perf_counter()
    value = cons_at_k(answers, gold="right", k=64)
    assert time.perf_counter() - start < 1.0
    assert 0.999 < value < 1.0
    two = ["a"] * 100 + ["b"] * 156
    won = sum(math.comb(100, i) * math.comb(156, 64 - i) for i in range(33, 65))
    exact = (won + math.comb(100, 32) * math.comb(156, 32) / 2) / math.comb(256, 64)
    assert cons_at_k(two, gold="a", k=64) == pytest.approx(exact, rel=1e-12)


def test_pass_at_k_of_the_codex_formula_at_its_ends() -> None:
    assert pass_at_k(200, 0, 100) == 0.0
    assert pass_at_k(200, 101, 100) == 1.0
    assert pass_at_k(200, 200, 1) == 1.0
    assert pass_at_k(4, 2, 2) == pytest.approx(5 / 6)


@pytest.mark.parametrize(("n", "c", "k"), [(4, 5, 1), (4, -1, 1), (4, 2, 5), (4, 2, 0)])
def test_impossible_counts_are_errors(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="not in"):
        pass_at_k(n, c, k)


def test_cons_at_k_wants_a_gold_answer_and_enough_samples() -> None:
    with pytest.raises(ValueError, match="gold"):
        cons_at_k(["a"], gold=None, k=1)
    with pytest.raises(ValueError, match=r"not in 1\.\.1"):
        cons_at_k(["a"], gold="a", k=2)


def test_stderr_of_independent_values() -> None:
    values = [0.0, 1.0, 1.0, 0.25, 0.5]
    estimate = mean_and_stderr(values)
    assert estimate.value == pytest.approx(0.55)
    assert estimate.stderr == pytest.approx(statistics.stdev(values) / math.sqrt(5))
    assert estimate.n == 5


@settings(max_examples=30, deadline=None)
@given(
    table=st.lists(
        st.lists(st.floats(0, 1, width=16), min_size=3, max_size=3), min_size=2, max_size=6
    )
)
def test_stderr_of_equal_clusters_is_that_of_their_means(table: list[list[float]]) -> None:
    values = [value for row in table for value in row]
    clusters = [f"problem {i}" for i, row in enumerate(table) for _ in row]
    means = [statistics.fmean(row) for row in table]
    estimate = mean_and_stderr(values, clusters=clusters)
    expected = statistics.stdev(means) / math.sqrt(len(means))
    assert estimate.stderr == pytest.approx(expected, abs=1e-9)
    assert estimate.value == pytest.approx(statistics.fmean(means))
    assert estimate.n == len(table)


def test_clustered_stderr_is_the_double_sum_of_the_paper() -> None:
    values = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0]
    clusters = ["x", "x", "x", "y", "y", "z", "w"]
    mean, n = statistics.fmean(values), len(values)
    total = 0.0
    for a, b in itertools.product(range(n), repeat=2):
        if clusters[a] == clusters[b]:
            total += (values[a] - mean) * (values[b] - mean)
    expected = math.sqrt(4 / 3 * total) / n
    assert clustered_stderr(values, clusters) == pytest.approx(expected)


def test_copies_of_a_sample_do_not_narrow_the_error() -> None:
    values, clusters = [0.0, 1.0, 1.0], ["p", "q", "r"]
    assert clustered_stderr(values * 8, clusters * 8) == pytest.approx(
        clustered_stderr(values, clusters)
    )


def test_one_value_has_no_spread_and_none_is_an_error() -> None:
    estimate = mean_and_stderr([0.75])
    assert (estimate.value, estimate.stderr, estimate.n) == (0.75, 0.0, 1)
    assert mean_and_stderr([0.0, 1.0], clusters=["p", "p"]).n == 1
    with pytest.raises(ValueError, match="no values"):
        mean_and_stderr([])
    with pytest.raises(ValueError, match="shorter"):
        clustered_stderr([1.0, 2.0], ["p"])


def test_wilson_interval_at_known_values() -> None:
    """Bounds solve |p - q| = z sqrt(q (1 - q) / n); 8 of 10 is the textbook's (0.490, 0.943)."""
    low, high = wilson_interval(10, 8)
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    for bound in (low, high):
        assert abs(0.8 - bound) == pytest.approx(1.959964 * math.sqrt(bound * (1 - bound) / 10))


def test_wilson_interval_with_none_or_all_right() -> None:
    low, high = wilson_interval(20, 0)
    assert low == 0.0
    assert high == pytest.approx(1.959964**2 / (20 + 1.959964**2))
    assert wilson_interval(20, 20) == (pytest.approx(1 - high), 1.0)
    with pytest.raises(ValueError, match="no samples"):
        wilson_interval(0, 0)


def test_import_brings_no_torch() -> None:
    code = "import sys, aha.evals.metrics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
