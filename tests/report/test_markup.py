"""Marking up a text never loses or changes it, and finds what it should."""

from hypothesis import given
from hypothesis import strategies as st

from aha.evals.corrections import analyse_corrections, thought_of
from aha.report.markup import mark_up, visible

RESPONSE = (
    "<think> First 57 - 28 = 31. 等等，check: 31 is wrong, so 29. </think> <answer> 29 </answer>"
)


def marked(pieces, mark):
    return [text for classes, text in pieces if mark in classes.split()]


def test_thought_answer_and_tags_are_told_apart():
    pieces = mark_up(RESPONSE)
    assert "".join(marked(pieces, "k")).startswith("First 57")
    assert marked(pieces, "a") == ["29"]
    assert [text for classes, text in pieces if classes == "o"] == [
        "<think> ", " </think> <answer> ", " </answer>",
    ]  # fmt: skip


def test_reflection_words_are_marked_in_both_languages():
    assert marked(mark_up(RESPONSE), "r") == ["等等", "check", "wrong"]
    assert marked(mark_up("<think> checking abut WAIT </think> x"), "r") == ["WAIT"]


def test_words_of_the_other_language_are_marked():
    assert marked(mark_up(RESPONSE, language="en"), "m") == ["等等"]
    assert "wrong" in marked(mark_up(RESPONSE, language="zh"), "m")
    assert marked(mark_up(RESPONSE, language="fr"), "m") == []


def test_corrections_are_marked_at_their_place_in_the_whole_text():
    thought = thought_of(RESPONSE)
    offset = RESPONSE.find(thought)
    found = [(correction, offset) for correction in analyse_corrections(thought, True)]
    pieces = mark_up(RESPONSE, corrections=found)
    assert "".join(marked(pieces, "fix")) == "等等，check: 31 is wrong, so 29"
    assert marked(pieces, "claim") == ["57 - 28 = 31"]


def test_malformed_responses_are_marked_too():
    pieces = mark_up("<think> so 4 <answer> 4 </answer>")
    assert marked(pieces, "a") == ["4"]
    assert marked(pieces, "k") == [" so 4 "]
    assert marked(mark_up("\u7b49\u7b49 <answer> 4 </answer>", language="zh"), "m") == []
    assert "".join(text for _, text in mark_up("no tags, wait")) == "no tags, wait"
    assert mark_up("") == []


@given(st.text(), st.sampled_from(["en", "zh", "", "fr"]))
def test_the_pieces_make_up_the_text(text, language):
    whole = f"<think>{text}</think><answer>{text[:9]}</answer>"
    for source in (text, whole):
        shown = "".join(piece for _, piece in mark_up(source, language=language))
        assert shown.replace("\u240d\n", "\n") == visible(source).replace("\u240d\n", "\n")


def test_what_cannot_be_seen_is_made_visible():
    assert visible("a\x00b\x1b[31m") == "a\u2400b\u241b[31m"
    assert visible("\u202eevil") == "[Right-To-Left Override]evil"
    assert visible("\ud800") == "?"
    assert visible("tab\tline\nend\r\n") == "tab\tline\nend\n"
    assert visible("\U0001f468\u200d\U0001f4bb \u05e9\u05dc\u05d5\u05dd") == (
        "\U0001f468\u200d\U0001f4bb \u05e9\u05dc\u05d5\u05dd"
    )
