"""Evaluation metrics against brute force over subsets, and error bars against the formulas."""

import itertools
import math
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aha.evals.metrics import (
    classes,
    clustered_stderr,
    cons_at_k,
    g_pass_at_k,
    mean_and_stderr,
    mg_pass_at_k,
    paired_difference,
    pass_at_k,
    t_tails,
    wilson_interval,
)

ANSWERS = st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=1, max_size=9)


def brute_pass(right: list[bool], k: int) -> float:
    return statistics.fmean(any(subset) for subset in itertools.combinations(right, k))


def brute_g_pass(right: list[bool], k: int, threshold: Fraction) -> float:
    wanted = max(Fraction(1), threshold * k)
    return statistics.fmean(sum(subset) >= wanted for subset in itertools.combinations(right, k))


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


@settings(max_examples=60, deadline=None)
@given(
    right=st.lists(st.booleans(), min_size=1, max_size=10),
    twentieths=st.integers(0, 20),
    data=st.data(),
)
def test_g_pass_at_k_equals_brute_force(
    right: list[bool], twentieths: int, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(right)))
    value = g_pass_at_k(len(right), sum(right), k, twentieths / 20)
    exact = brute_g_pass(right, k, Fraction(twentieths, 20))
    assert value == pytest.approx(exact, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(right=st.lists(st.booleans(), min_size=1, max_size=10), data=st.data())
def test_mg_pass_at_k_is_the_sum_of_its_definition(right: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(right)))
    steps = [Fraction(i, k) for i in range(math.ceil(k / 2) + 1, k + 1)]
    exact = 2 / k * sum(brute_g_pass(right, k, step) for step in steps)
    assert mg_pass_at_k(len(right), sum(right), k) == pytest.approx(exact, abs=1e-12)


def test_g_pass_at_its_ends() -> None:
    assert g_pass_at_k(64, 20, 16, 0.0) == pass_at_k(64, 20, 16)
    assert g_pass_at_k(64, 20, 16, 1.0) == math.comb(20, 16) / math.comb(64, 16)
    assert g_pass_at_k(8, 0, 4, 0.0) == 0.0
    assert mg_pass_at_k(8, 8, 4) == 1.0
    assert mg_pass_at_k(8, 8, 5) == pytest.approx(4 / 5)
    assert mg_pass_at_k(8, 8, 1) == 0.0


def test_a_threshold_that_floats_round_up_asks_for_no_more_samples() -> None:
    assert math.ceil(0.55 * 100) == 56
    assert g_pass_at_k(100, 55, 100, 0.55) == 1.0
    assert g_pass_at_k(100, 54, 100, 0.55) == 0.0


@pytest.mark.parametrize("threshold", [-0.1, 1.1, math.nan])
def test_a_threshold_outside_0_to_1_is_an_error(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        g_pass_at_k(4, 2, 2, threshold)


def test_classes_are_those_of_the_equivalence() -> None:
    answers = ["1/2", None, "0.5", "3", "2/4", "3.0", "x", "1/2"]

    def same(one: str, other: str) -> bool:
        return one == other or ("x" not in one + other and Fraction(one) == Fraction(other))

    assert classes(answers, same) == [0, None, 0, 1, 0, 1, 2, 0]
    assert classes([], same) == []


def test_equal_strings_are_never_compared() -> None:
    asked: list[tuple[str, str]] = []

    def same(one: str, other: str) -> bool:
        asked.append((one, other))
        return False

    assert classes(["a"] * 100 + ["b"] * 100 + ["a"], same) == [0] * 100 + [1] * 100 + [0]
    assert asked == [("a", "b")]


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


@pytest.mark.parametrize("distinct", [170, 240])
def test_many_different_answers_are_fast_too(distinct: int) -> None:
    answers = ["right"] * (256 - distinct) + [f"wrong{i}" for i in range(distinct)]
    start = time.process_time()
    value = cons_at_k(answers, gold="right", k=64)
    assert time.process_time() - start < 1.0
    assert 0.5 < value < 1.0


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


def test_paired_difference_is_that_of_the_differences() -> None:
    a, b = [1.0, 0.75, 0.5, 0.25, 1.0], [0.5, 0.75, 0.25, 0.5, 0.25]
    found = paired_difference(a, b)
    differences = [x - y for x, y in zip(a, b, strict=True)]
    stderr = statistics.stdev(differences) / math.sqrt(5)
    assert (found.value, found.n) == (pytest.approx(0.25), 5)
    assert found.stderr == pytest.approx(stderr, rel=1e-12)
    assert found.p_value == pytest.approx(student_4(found.value / stderr), rel=1e-9)


def student_4(t: float) -> float:
    """Two tails of Student's t with 4 degrees of freedom, in closed form."""
    sine = t / math.sqrt(4 + t * t)
    return 1 - sine * (1 + (1 - sine * sine) / 2)


def test_the_p_value_is_the_same_from_the_other_side() -> None:
    a, b = [0.9, 0.1, 0.4, 0.8], [0.2, 0.3, 0.1, 0.4]
    there, back = paired_difference(a, b), paired_difference(b, a)
    assert there.value == -back.value
    assert (there.stderr, there.p_value) == (back.stderr, back.p_value)


def test_samples_of_a_problem_count_once() -> None:
    a, b = [1.0, 1.0, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0, 1.0]
    by_problem = paired_difference([1.0, 0.0, 0.5], [0.0, 0.0, 1.0])
    clustered = paired_difference(a, b, clusters=[0, 0, 1, 1, 2, 2])
    assert clustered.n == 3
    assert clustered.stderr == pytest.approx(by_problem.stderr, rel=1e-12)
    assert clustered.p_value == pytest.approx(by_problem.p_value, rel=1e-12)
    assert paired_difference(a, b).p_value < clustered.p_value


@pytest.mark.parametrize(
    ("a", "b", "p_value"),
    [
        ([1.0, 0.5, 0.0], [1.0, 0.5, 0.0], 1.0),  # the same everywhere
        ([1.0], [0.0], 1.0),  # one problem says nothing of the spread
        ([1.0] * 5, [0.0] * 5, 2 / 32),  # five of five heads, or tails
        ([0.3, 0.4, 0.8], [0.1, 0.2, 0.6], 1 / 4),  # the same but for rounding
    ],
)
def test_without_a_spread_the_p_value_is_that_of_the_sign_test(
    a: list[float], b: list[float], p_value: float
) -> None:
    assert paired_difference(a, b).p_value == p_value


def test_students_t_against_closed_forms_and_a_table() -> None:
    for t in (0.0, 0.1, 0.7, 1.0, 3.0, 40.0):
        assert t_tails(t, 1) == pytest.approx(1 - 2 / math.pi * math.atan(t), rel=1e-9)
        assert t_tails(t, 2) == pytest.approx(1 - t / math.sqrt(2 + t * t), rel=1e-9)
        assert t_tails(-t, 4) == pytest.approx(student_4(t), rel=1e-6)
        assert t_tails(t, 2_000_000) == pytest.approx(math.erfc(t / math.sqrt(2)), abs=1e-6)
    assert t_tails(2.042272, 30) == pytest.approx(0.05, abs=1e-7)
    assert t_tails(2.763769, 10) == pytest.approx(0.02, abs=1e-7)


def test_a_true_null_is_rejected_as_often_as_it_says() -> None:
    rng = random.Random(3)
    trials, problems = 2000, 12
    rejected = 0
    for _ in range(trials):
        a, b = ([rng.gauss(0, 1) for _ in range(problems)] for _ in range(2))
        rejected += paired_difference(a, b).p_value < 0.05
    assert abs(rejected / trials - 0.05) < 0.0147  # three standard errors
