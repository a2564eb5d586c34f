"""Reasoning and content, whole and streamed: cut anywhere, the result is the same."""

import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aha.chat.grammar import ReasoningStream, split_reasoning

pieces = st.lists(
    st.sampled_from(
        ["<think>", "</think>", "<answer>", "</answer>", "a", "b c", " ", "\n", "<", "</", "t", ">"]
    ),
    max_size=12,
).map("".join)
options = st.fixed_dictionaries(
    {"prompt_opens_think": st.booleans(), "trim": st.booleans(), "unwrap_answer": st.booleans()}
)

AUTO = [
    ("<think>a</think>b", "a", "b"),
    ("b", "", "b"),
    ("", "", ""),
    (" \n", "", " \n"),
    ("\n <think>\na\n</think>\n\nb\n", "\na\n", "\n\nb\n"),
    ("<think>a", "a", ""),
    ("<think>a</thin", "a</thin", ""),
    ("<thi", "", "<thi"),
    (" <think", "", " <think"),
    ("b <think>a</think>c", "", "b <think>a</think>c"),
    ("a</think>b", "", "a</think>b"),
    ("<think>a</think>b<think>c</think>d</think>", "a", "b<think>c</think>d</think>"),
    ("<think>a<think>b</think>c", "a<think>b", "c"),
    ("<think>a</think><answer>4</answer>", "a", "<answer>4</answer>"),
]


@pytest.mark.parametrize(("text", "reasoning", "content"), AUTO)
def test_reasoning_needs_a_think_tag_at_the_start(text: str, reasoning: str, content: str):
    assert split_reasoning(text) == (reasoning, content)


FORCED = [
    ("a</think>b", "a", "b"),
    ("<think>a</think>b", "a", "b"),
    ("\n<think>a</think>\nb", "a", "\nb"),
    ("</think>b", "", "b"),
    ("</think>", "", ""),
    ("a", "a", ""),
    (" ", " ", ""),
    (" a <think>b</think>c", " a <think>b", "c"),
    ("<thi", "<thi", ""),
]


@pytest.mark.parametrize(("text", "reasoning", "content"), FORCED)
def test_the_prompt_may_open_the_reasoning(text: str, reasoning: str, content: str):
    assert split_reasoning(text, prompt_opens_think=True) == (reasoning, content)


TRIMMED = [
    (" <think>\n a \n</think>\n\nb ", " a \n"[1:], "b "),
    ("<think> \n", "", ""),
    ("  b", "", "  b"),
    ("<think>a</think> \n", "a", ""),
]


@pytest.mark.parametrize(("text", "reasoning", "content"), TRIMMED)
def test_trim_drops_the_space_after_a_removed_tag(text: str, reasoning: str, content: str):
    assert split_reasoning(text, trim=True) == (reasoning, content)


UNWRAPPED = [
    ("<think>a</think>\n<answer> 4 </answer>\n", "a", "4 \n"),
    ("<answer>4</answer> and <answer>5</answer>", "", "4 and <answer>5</answer>"),
    ("<think>a</think> b <answer>4</answer>", "a", " b <answer>4</answer>"),
    ("<think>a</think><answer>4</ans", "a", "4</ans"),
    (" <ans", "", " <ans"),
]


@pytest.mark.parametrize(("text", "reasoning", "content"), UNWRAPPED)
def test_unwrap_answer(text: str, reasoning: str, content: str):
    assert split_reasoning(text, unwrap_answer=True) == (reasoning, content)


def test_other_tags():
    split = split_reasoning("[r]a</think>[/r]b", open_tag="[r]", close_tag="[/r]")
    assert split == ("a</think>", "b")


def test_a_stream_gives_text_as_soon_as_it_is_certain():
    stream = ReasoningStream()
    chunks = ["<", "think>", "a <", "b</th", "ink", ">c", "</think>", "<"]
    steps = [stream.feed(chunk) for chunk in chunks]
    assert steps == [
        ("", ""), ("", ""), ("a ", ""), ("<b", ""), ("", ""), ("", "c"), ("", "</think>"), ("", "<")
    ]  # fmt: skip
    assert stream.finish() == ("", "")


def test_reasoning_ended():
    stream = ReasoningStream()
    states = []
    for chunk in ["<think>", "a", "</think>", "b"]:
        stream.feed(chunk)
        states.append(stream.reasoning_ended)
    assert states == [False, False, True, True]


@settings(deadline=None, max_examples=400)
@given(pieces, options, st.data())
def test_streaming_equals_whole(text: str, kwargs: dict[str, Any], data: st.DataObject):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    bounds = [0, *cuts, len(text)]
    stream = ReasoningStream(**kwargs)
    parts = [stream.feed(text[a:b]) for a, b in pairwise(bounds)]
    parts.append(stream.finish())
    streamed = ("".join(p.reasoning for p in parts), "".join(p.content for p in parts))
    assert streamed == split_reasoning(text, **kwargs)


def naive_split(text: str, prompt_opens_think: bool) -> tuple[str, str]:
    """The rule in four lines, for whole text and no options."""
    if text.lstrip().startswith("<think>"):
        text = text.lstrip().removeprefix("<think>")
    elif not prompt_opens_think:
        return "", text
    reasoning, _, content = text.partition("</think>")
    return reasoning, content


@settings(deadline=None, max_examples=300)
@given(pieces, st.booleans())
def test_split_is_the_naive_rule(text: str, opens: bool):
    assert split_reasoning(text, prompt_opens_think=opens) == naive_split(text, opens)


@pytest.mark.parametrize("unit", ["<think>", "</think>", "<answer>", "<", " ", "\ud800", "</thin"])
def test_ten_megabytes_take_moments(unit: str):
    text = unit * (10_000_000 // len(unit))
    started = time.perf_counter()
    split = split_reasoning("<think>" + text, trim=True, unwrap_answer=True)
    assert len(split.reasoning) + len(split.content) <= len(text)
    assert time.perf_counter() - started < 2.0


@pytest.mark.parametrize("unit", [" ", "<", "a"])
def test_single_characters_take_linear_time(unit: str):
    """Held back white space is not copied again at every character."""
    stream = ReasoningStream()
    started = time.perf_counter()
    size = sum(len(stream.feed(unit).content) for _ in range(100_000))
    assert size + len(stream.finish().content) == 100_000
    assert time.perf_counter() - started < 2.0
