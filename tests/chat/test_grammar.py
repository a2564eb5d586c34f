"""The form of a response: which ones are well formed, what is wrong with the others."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aha.chat.grammar import (
    drop_reasoning,
    ends_in_open_think,
    parse_response,
    parse_thinking,
)

TAGS = ["<think>", "</think>", "<answer>", "</answer>"]
pieces = st.lists(
    st.sampled_from([*TAGS, "a", " ", "\n", "<", "</", "think>", "<Think>", "\0", "\ud800"])
).map("".join)

WELL_FORMED = [
    ("<think>a</think><answer>4</answer>", "a", "4"),
    (" \n<think>\n a b \n</think>\n\n<answer> 4 </answer>\n\t", "a b", "4"),
    ("<think></think><answer></answer>", "", ""),
    ("<think>a < b, <b>x</b>, <Think>, < think></think><answer><x></answer>",
     "a < b, <b>x</b>, <Think>, < think>", "<x>"),
    ("<think>\0</think><answer>\ud800</answer>", "\0", "\ud800"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "think", "answer"), WELL_FORMED)
def test_well_formed(text: str, think: str, answer: str):
    parsed = parse_response(text)
    assert (parsed.well_formed, parsed.problem) == (True, "")
    assert (parsed.think, parsed.answer) == (think, answer)


MALFORMED = [
    # text, problem, think, answer
    ("", "no think block", None, None),
    ("4", "no think block", None, None),
    ("<answer>4</answer>", "no think block", None, "4"),
    ("<think>a</think>4", "no answer block", "a", None),
    ("<think>a<answer>4</answer>", "no </think>", None, "4"),
    ("a</think><answer>4</answer>", "no <think>", None, "4"),
    ("<think>a</think><answer>4", "no </answer>", "a", None),
    ("<think>a</think>4</answer>", "no <answer>", "a", None),
    ("</think>a<think><answer>4</answer>", "</think> before <think>", None, "4"),
    ("<think>a</think></answer>4<answer>", "</answer> before <answer>", "a", None),
    ("x<think>a</think><answer>4</answer>", "text before <think>", "a", "4"),
    ("<think>a</think>x<answer>4</answer>", "text between </think> and <answer>", "a", "4"),
    ("<think>a</think><answer>4</answer>.", "text after </answer>", "a", "4"),
    ("<think>a</think><answer>4</answer>\u200b", "text after </answer>", "a", "4"),
    ("<think>a</think><answer>4</answer>\0", "text after </answer>", "a", "4"),
    ("<answer>4</answer><think>a</think>", "answer block before the think block", "a", None),
    ("<think><answer>4</answer></think>", "think and answer blocks overlap",
     "<answer>4</answer>", None),
    ("<think>a<answer></think>4</answer>", "think and answer blocks overlap", "a<answer>", None),
    ("<answer><think>a</think>4</answer>", "think and answer blocks overlap", "a", None),
    ("<think>a</think><answer>4</answer><answer>5</answer>", "2 answer blocks", "a", None),
    ("<think>a</think><think>b</think><answer>4</answer>", "2 think blocks", None, "4"),
    ("<think>a<think>b</think><answer>4</answer>", "2 times <think>", None, "4"),
    ("<think>a</think><answer>4</answer></think>", "2 times </think>", None, None),
    ("<think>a</think><answer><answer>4</answer>", "2 times <answer>", "a", None),
    ("<think>in <answer></think><answer>4</answer>", "2 times <answer>", "in <answer>", None),
    ("<think>a</think><answer>4</answer></answer></answer>", "3 times </answer>", "a", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "problem", "think", "answer"), MALFORMED)
def test_malformed(text: str, problem: str, think: str | None, answer: str | None):
    parsed = parse_response(text)
    assert (parsed.well_formed, parsed.problem) == (False, problem)
    assert (parsed.think, parsed.answer) == (think, answer)


def test_prompt_that_opens_the_think_block():
    parsed = parse_response("a</think><answer>4</answer>", prompt_opens_think=True)
    assert (parsed.well_formed, parsed.think, parsed.answer) == (True, "a", "4")
    again = parse_response("<think>a</think><answer>4</answer>", prompt_opens_think=True)
    assert (again.well_formed, again.problem) == (False, "2 times <think>")


THINKING = [
    ("<think>a</think>b", True, "", "a", "b"),
    (" <think>a <b></think>\n", True, "", "a <b>", ""),
    ("x<think>a</think>b", False, "text before <think>", "a", "b"),
    ("b", False, "no think block", None, None),
    ("a</think>b", False, "no <think>", None, None),
    ("<think>a</think>b</think>", False, "2 times </think>", None, None),
]


@pytest.mark.parametrize(("text", "well_formed", "problem", "think", "answer"), THINKING)
def test_parse_thinking(text, well_formed, problem, think, answer):
    parsed = parse_thinking(text)
    assert (parsed.well_formed, parsed.problem) == (well_formed, problem)
    assert (parsed.think, parsed.answer) == (think, answer)


def test_parse_thinking_after_an_opened_block():
    parsed = parse_thinking("a</think>b", prompt_opens_think=True)
    assert (parsed.well_formed, parsed.think, parsed.answer) == (True, "a", "b")


@settings(deadline=None, max_examples=300)
@given(pieces)
def test_any_text_is_parsed_and_only_the_form_passes(text: str):
    """Well formed exactly when the tags are the four in order and nothing is around them."""
    found = sorted((text.find(tag, at), tag) for tag in TAGS for at in range(len(text) + 1)
                   if text.startswith(tag, at))  # fmt: skip
    in_order = [tag for _, tag in found] == TAGS
    outside = text
    if in_order:
        (a, _), (b, _), (c, _), (d, _) = found
        outside = text[:a] + text[b + len("</think>") : c] + text[d + len("</answer>") :]
    parsed = parse_response(text)
    assert parsed.well_formed == (in_order and not outside.strip())
    assert parsed.well_formed == (parsed.problem == "")
    if parsed.answer is None:
        assert parsed.problem


@pytest.mark.parametrize(
    "unit", ["<think>", "</answer>", "<think></think><answer></answer>", "<", " ", "\0", "\ud800"]
)
def test_ten_megabytes_take_moments(unit: str):
    text = "<think>" + unit * (10_000_000 // len(unit))
    started = time.perf_counter()
    parsed = parse_response(text)
    assert not parsed.well_formed
    assert not parse_thinking(text).well_formed
    assert time.perf_counter() - started < 2.0


def test_ends_in_open_think():
    assert ends_in_open_think("question <think>\n")
    assert not ends_in_open_think("<think> </think> question")


def test_drop_reasoning_keeps_what_follows_the_last_end():
    assert drop_reasoning("<think>a</think>b</think>\n\nc ") == "c"
    assert drop_reasoning("<think>a ") == "<think>a "
