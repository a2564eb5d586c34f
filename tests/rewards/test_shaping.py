"""Shaping of the reward, and GDPO's way to combine its parts."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aha.rewards.combine import combine, normalized_sums
from aha.rewards.shaping import cosine_length, repetition_penalty


class TestRepetition:
    @pytest.mark.parametrize(
        ("tokens", "size", "penalty"),
        [
            ("", 3, 0.0),
            ("ab", 3, 0.0),
            ("abc", 3, 0.0),
            ("abcdef", 3, 0.0),
            ("aaaa", 3, -0.5),  # aaa twice
            ("abcabc", 3, -0.25),  # abc bca cab abc
            ("aaaa", 1, -0.75),
        ],
    )
    def test_values(self, tokens, size, penalty):
        assert repetition_penalty(tokens, ngram_tokens=size) == penalty

    @given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 6))
    def test_it_is_the_share_of_passages_that_stood_before(self, tokens, size):
        seen, again, number = [], 0, 0
        for start in range(len(tokens) - size + 1):
            ngram = tokens[start : start + size]
            number, again = number + 1, again + (ngram in seen)
            seen.append(ngram)
        expected = -again / number if number else 0.0
        penalty = repetition_penalty(tokens, ngram_tokens=size)
        assert penalty == pytest.approx(expected)
        assert -1 < penalty <= 0

    def test_repeating_more_costs_more(self):
        text = list(range(20))
        penalties = [repetition_penalty(text * times) for times in range(1, 6)]
        assert penalties == sorted(penalties, reverse=True)
        assert penalties[0] == 0.0 and penalties[-1] < -0.7

    def test_no_ngrams(self):
        with pytest.raises(ValueError, match="ngram_tokens=0"):
            repetition_penalty("abc", ngram_tokens=0)


class TestCosine:
    def test_values(self):
        def right(length):
            return cosine_length(length, max_tokens=100, is_correct=True)

        def wrong(length):
            return cosine_length(length, max_tokens=100, is_correct=False)

        assert (right(0), right(50), right(100)) == pytest.approx((0.5, 0.25, -0.5))
        assert (wrong(0), wrong(50), wrong(100)) == pytest.approx((-0.5, -0.25, -0.5))
        assert right(99) == pytest.approx(0.0, abs=1e-3)
        assert wrong(99) == pytest.approx(0.0, abs=1e-3)

    def test_the_values_of_the_paper_can_be_set(self):
        value = cosine_length(25, max_tokens=100, is_correct=True, correct=(2.0, 1.0))
        assert value == pytest.approx(1 + 0.5 * (1 + math.cos(math.pi / 4)))

    @given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 300))
    def test_right_earns_more_than_wrong_and_the_order_of_lengths_is_kept(self, a, b, most):
        short, long = sorted((a, b))
        right, wrong = (
            [cosine_length(n, max_tokens=most, is_correct=flag) for n in (short, long)]
            for flag in (True, False)
        )
        assert 1 + min(right) > max(wrong)
        assert right[0] >= right[1]
        if long < most:
            assert wrong[0] <= wrong[1]

    def test_mistakes(self):
        with pytest.raises(ValueError, match="max_tokens=0"):
            cosine_length(0, max_tokens=0, is_correct=True)


class TestNormalizedSums:
    def test_it_is_the_papers_equations(self):
        """Against numpy, group by group and part by part."""
        rng = random.Random(0)
        parts, groups = [], []
        for index in range(60):
            parts.append({"a": rng.choice((0.0, 1.0)), "b": rng.random(), "c": 1.0})
            groups.append(index % 5)
        weights = {"a": 1.0, "b": 0.3, "c": 2.0}
        found = normalized_sums(parts, [weights] * 60, groups)
        for group in range(5):
            rows = [i for i in range(60) if groups[i] == group]
            expected = np.zeros(len(rows))
            for name in ("a", "b"):
                values = np.array([parts[i][name] for i in rows])
                expected += weights[name] * (values - values.mean()) / (values.std() + 1e-6)
            assert [found[i] for i in rows] == pytest.approx(list(expected), abs=1e-8)

    @settings(deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 4)), max_size=30),
        st.floats(0.01, 100),
    )
    def test_invariants(self, rows, scale):
        """Zero in sum in a group; the unit of a part does not matter; nor does the order."""
        groups = [group for group, _, _ in rows]
        weights = [{"a": 1.0, "b": 0.5}] * len(rows)
        found = normalized_sums([{"a": a, "b": b} for _, a, b in rows], weights, groups, eps=0)
        scaled = normalized_sums(
            [{"a": scale * a + 3, "b": b} for _, a, b in rows], weights, groups, eps=0
        )
        assert scaled == pytest.approx(found, abs=1e-6)
        for group in set(groups):
            total = sum(v for v, g in zip(found, groups, strict=True) if g == group)
            assert total == pytest.approx(0, abs=1e-6)
        back = normalized_sums(
            [{"b": b, "a": a} for _, a, b in reversed(rows)], weights, groups[::-1], eps=0
        )
        assert back[::-1] == pytest.approx(found, abs=1e-8)

    def test_what_is_equal_gives_exactly_nothing(self):
        parts = [{"a": 1.9, "b": 0.1}] * 16
        assert normalized_sums(parts, [{"a": 1.0, "b": 1.0}] * 16, [0] * 16) == [0.0] * 16

    def test_samples_without_a_verdict_are_left_out(self):
        parts = [{"a": 1.0}, {"a": math.nan}, {"a": 0.0}]
        found = normalized_sums(parts, [{"a": 1.0}] * 3, [7] * 3, scored=[True, False, True])
        assert found == pytest.approx([1.0, 0.0, -1.0], rel=1e-5)

    def test_a_mistake_is_found_as_in_the_sum(self):
        for parts, weights in (({"a": 1.0}, {}), ({}, {"a": 1.0}), ({"a": math.inf}, {"a": 1.0})):
            messages = []
            for call in (
                lambda p, w: combine(p, w),
                lambda p, w: normalized_sums([p], [w], [0]),
            ):
                with pytest.raises(ValueError) as caught:
                    call(parts, weights)
                messages.append(str(caught.value))
            assert messages[0] == messages[1]
