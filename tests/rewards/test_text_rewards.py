"""Format, answers, reflective words, language, and the sum of parts."""

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aha.rewards.accuracy import verify_answer, verify_exact
from aha.rewards.combine import combine
from aha.rewards.format import format_reward
from aha.rewards.language import language_consistency
from aha.rewards.numbers import verify_number
from aha.rewards.reflection import (
    REFLECTION_WORDS,
    count_reflection_words,
    find_reflection_words,
)
from aha.rewards.verdict import Verdict

hostile_text = st.text() | st.lists(
    st.sampled_from(
        ["<think>", "</think>", "<answer>", "</answer>", "`", "```", "$", "$$", "\\(", "\\)", "\\[",
         "\\]", "\n", " ", "wait", "\u7b49\u7b49", "\u4f60", "\0", "\ud800", "1", "_"]
    )
).map("".join)  # fmt: skip


class TestFormat:
    @pytest.mark.parametrize(
        ("response", "kind", "reward"),
        [
            ("<think>a</think><answer>4</answer>", "think_answer", 1.0),
            ("<think>a</think><answer>4</answer> so", "think_answer", 0.0),
            ("<think>a</think>4", "think_answer", 0.0),
            ("<think>a</think>4", "think", 1.0),
            ("<think>a</think><answer>4</answer>", "think", 1.0),
            ("<think>a", "think", 0.0),
            ("", "think", 0.0),
            ("", "think_answer", 0.0),
        ],
    )
    def test_reward(self, response, kind, reward):
        assert format_reward(response, kind=kind) == reward

    def test_prompt_that_opens_the_think_block(self):
        assert format_reward("a</think><answer>4</answer>", prompt_opens_think=True) == 1.0
        assert format_reward("a</think>4", kind="think", prompt_opens_think=True) == 1.0
        assert format_reward("a</think>4", kind="think") == 0.0

    def test_unknown_kind(self):
        with pytest.raises(ValueError, match="unknown format 'tags'; known: think_answer, think"):
            format_reward("", kind="tags")  # type: ignore[arg-type]


class TestAccuracy:
    @pytest.mark.parametrize(
        ("response", "kind", "reason"),
        [
            ("<think>4</think><answer> 4 </answer>", "correct", "equal to the gold answer"),
            ("well <answer>4</answer> so", "correct", "equal to the gold answer"),
            ("<think>4</think><answer>5</answer>", "wrong", "5 is not 4"),
            ("<think>a</think><answer></answer>", "unparseable", "the answer is empty"),
            ("4", "unparseable", "no think block"),
            ("<think>4</think>4", "unparseable", "no answer block"),
            ("<answer>4</answer><answer>5</answer>", "unparseable", "no think block"),
            ("<think></think><answer>4</answer><answer>4</answer>", "unparseable",
             "2 answer blocks"),
            ("<think><answer>4</answer></think>", "unparseable", "think and answer blocks overlap"),
        ],
    )  # fmt: skip
    def test_answer_block(self, response, kind, reason):
        verdict = verify_answer(response, lambda answer: verify_number(answer, "4"))
        assert (verdict.kind, verdict.reason) == (kind, reason)

    def test_answer_inside_a_block_that_the_prompt_opened(self):
        def check(answer: str) -> Verdict:
            return verify_number(answer, "4")

        assert verify_answer(
            "a</think><answer>4</answer>", check, prompt_opens_think=True
        ).is_correct
        inside = verify_answer("<answer>4</answer></think>", check, prompt_opens_think=True)
        assert inside.kind == "unparseable"

    @pytest.mark.parametrize(
        ("prediction", "gold", "kind", "reason"),
        [
            ("Paris", "paris", "correct", "equal to the gold answer"),
            ("  New\n  YORK ", "New York", "correct", "equal to the gold answer"),
            ("Stra\u00dfe", "STRASSE", "correct", "equal to the gold answer"),
            ("Newyork", "New York", "wrong", "not the gold answer"),
            (" ", "a", "unparseable", "the answer is empty"),
            ("a" * 10_001, "a", "unparseable", "10001 characters are too long for this answer"),
            ("a" * 10_001, "A" * 10_001, "correct", "equal to the gold answer"),
            ("", " ", "error", "the gold answer is empty"),
        ],
    )
    def test_exact(self, prediction, gold, kind, reason):
        verdict = verify_exact(prediction, gold)
        assert (verdict.kind, verdict.reason) == (kind, reason)


class TestReflection:
    @pytest.mark.parametrize(
        ("text", "count"),
        [
            ("", 0),
            ("Wait, wait. Wait. That's an aha moment", 3),
            ("WRONG! however, but: error-prone", 4),
            ("checking errors, mistakes, waited, button, verify_it, check2, rebut", 0),
            ("double-check it's wrong's", 2),
            ("d\u00e9but but", 1),
            ("\u7b49\u7b49\uff0c\u4e0d\u5bf9\u3002", 2),
            ("\u51fa\u9519\u8bef", 1),
            ("\u9519\u8bef\u9519", 1),
            ("\u7b49\u7b49\u7b49\u7b49", 2),
            ("wait\u7b49\u7b49but\u4f46\u662f", 4),
            ("\u81ea\u7136\u800c\u7136\uff0c\u4e0d\u5bf9\u79f0\uff0c\u9a8c\u8bc1\u7801", 0),
        ],
    )
    def test_count(self, text, count):
        assert count_reflection_words(text) == count

    def test_the_words_of_the_paper_with_one_chinese_word_each(self):
        words = "wait mistake however but retry error verify wrong evaluate check"
        assert " ".join(english for english, _ in REFLECTION_WORDS) == words
        assert len({chinese for _, chinese in REFLECTION_WORDS}) == len(REFLECTION_WORDS) == 10
        for pair in REFLECTION_WORDS:
            assert [count_reflection_words(f"a {word} b") for word in pair] == [1, 1]
            assert count_reflection_words(pair[0].upper()) == 1

    def test_places(self):
        text = "So wait, \u9a8c\u8bc1\u7801 and \u4e0d\u5bf9. Check?"
        places = find_reflection_words(text)
        assert [text[start:end] for start, end in places] == ["wait", "\u4e0d\u5bf9", "Check"]
        assert places[0] == (3, 7)


class TestCombine:
    def test_weighted_sum(self):
        parts = {"accuracy": 1.0, "format": 0.5, "language": 0.25}
        assert combine(parts, {"accuracy": 1.0, "format": 1.0, "language": 2.0}) == 2.0
        assert combine({}, {"language": 0.0}) == 0.0

    def test_the_order_of_the_parts_does_not_matter(self):
        parts = {"a": 0.1, "b": 0.2, "c": 0.3}
        weights = dict.fromkeys(parts, 1.0)
        assert combine(parts, weights) == combine(dict(reversed(parts.items())), weights) == 0.6

    @pytest.mark.parametrize(
        ("parts", "weights", "message"),
        [
            ({"acuracy": 1.0}, {"accuracy": 1.0},
             "reward part 'acuracy' has no weight; did you mean 'accuracy'?"),
            ({}, {"format": 1.0}, "reward part 'format' is missing"),
            ({"format": math.nan}, {"format": 1.0}, "reward part 'format' is not finite: nan"),
            ({"format": math.inf}, {"format": 0.0}, "reward part 'format' is not finite: inf"),
        ],
    )  # fmt: skip
    def test_mistakes(self, parts, weights, message):
        with pytest.raises(ValueError) as caught:
            combine(parts, weights)
        assert str(caught.value) == message


@settings(deadline=None, max_examples=300)
@given(hostile_text)
def test_any_text_is_judged(text: str):
    assert format_reward(text) in (0.0, 1.0)
    assert 0 <= count_reflection_words(text) <= len(text) / 2
    english, chinese = (language_consistency(text, code) for code in ("en", "zh"))
    if english is None or chinese is None:
        assert english is chinese
    else:
        assert 0.0 <= english + chinese <= 1.0 + 1e-12
    assert verify_answer(text, lambda answer: verify_exact(answer, "a")).is_scored
    assert verify_exact(text, "a").is_scored


@pytest.mark.parametrize(
    "unit", ["a ", "wait", "\u4e0d", "\\(", "`\n", "$a ", "$$$\\[", "<a", "\0", "\ud800"]
)
def test_time_is_linear(unit: str):
    """What would take minutes if every opened span were searched to the end of the text."""
    text = unit * (600_000 // len(unit)) + "\n\\)"
    started = time.perf_counter()
    count_reflection_words(text)
    language_consistency(text, "en")
    assert time.perf_counter() - started < 5.0
    assert verify_exact(text, "a").kind == "unparseable"
