import time

import pytest

from aha.errors import UserError
from aha.rewards.instructions import INSTRUCTIONS, follow, parse_instructions, variants
from aha.rewards.instructions.follow import MAX_REPLY_CHARS

ARGUMENTS = {
    "keywords": ["alpha"], "keyword": "alpha", "frequency": 2, "relation": "at least",
    "forbidden_words": ["alpha"], "letter": "a", "let_frequency": 2, "let_relation": "at least",
    "language": "hi", "num_sentences": 5, "num_paragraphs": 5, "num_words": 5, "nth_paragraph": 2,
    "first_word": "a", "num_placeholders": 5, "postscript_marker": "P.S.", "num_bullets": 5,
    "num_highlights": 5, "section_spliter": "Section", "num_sections": 5, "end_phrase": "bye",
    "prompt_to_repeat": "hello", "capital_frequency": 5, "capital_relation": "at least",
}  # fmt: skip


def arguments_of(name):
    import inspect

    names = list(inspect.signature(INSTRUCTIONS[name]).parameters)[1:]
    return {key: ARGUMENTS[key] for key in names}


ALL = parse_instructions(list(INSTRUCTIONS), [arguments_of(name) for name in INSTRUCTIONS])


def test_a_row_of_several_instructions_is_judged_one_by_one():
    instructions = parse_instructions(
        ["punctuation:no_comma", "length_constraints:number_words", "startend:quotation"],
        [{}, {"num_words": 3, "relation": "at least"}, {"unused": None}],
    )
    found = follow(instructions, '"one two three"')
    assert found.strict == found.loose == (True, True, True)
    assert found.all_strict
    found = follow(instructions, '"one, two"')
    assert found.strict == (False, False, True)
    assert not found.all_strict and not found.all_loose


def test_loose_forgives_a_first_and_a_last_line_and_stars():
    instructions = parse_instructions(["startend:quotation", "detectable_format:title"], [{}, None])
    reply = 'Sure, here it is:\n"<<A title>>"\nHope you like it!'
    found = follow(instructions, reply)
    assert (found.strict, found.loose) == ((False, True), (True, True))
    assert not found.all_strict and found.all_loose
    assert follow(instructions, '*"<<A>>"*').loose == (True, True)
    assert follow(instructions, 'a\nb\n"x"\nc\nd').loose == (False, False)


def test_the_eight_readings_of_a_reply():
    assert variants("*a*\nb\nc") == [
        "*a*\nb\nc", "b\nc", "*a*\nb", "b", "a\nb\nc", "b\nc", "a\nb", "b",
    ]  # fmt: skip


def test_an_empty_or_endless_reply_follows_nothing():
    for reply in ("", "\n ", "a" * (MAX_REPLY_CHARS + 1)):
        found = follow(ALL, reply)
        assert found.strict == found.loose == (False,) * 25


@pytest.mark.parametrize(
    ("ids", "arguments", "message"),
    [
        (["punctuation:no_coma"], [{}], "unknown instruction 'punctuation:no_coma'"),
        (["keywords:existence"], [{}], "needs the argument 'keywords'"),
        (["punctuation:no_comma"], [{"num": 3}], "has no argument 'num'"),
        (["punctuation:no_comma"], [], "1 instructions and 0 sets"),
        ([], [], "0 instructions"),
        (["punctuation:no_comma"], ["x"], "arguments 'x'"),
        (
            ["length_constraints:number_words"],
            [{"num_words": 3, "relation": "nearly"}],
            "relation = 'nearly'",
        ),
        (
            ["length_constraints:number_words"],
            [{"num_words": -3, "relation": "at least"}],
            "num_words = -3",
        ),
        (["keywords:existence"], [{"keywords": "alpha"}], "keywords = 'alpha'"),
        (["startend:end_checker"], [{"end_phrase": " "}], "end_phrase = ' '"),
    ],
)
def test_a_row_that_cannot_be_judged_says_why(ids, arguments, message):
    with pytest.raises(UserError, match=r".") as caught:
        parse_instructions(ids, arguments)
    assert message in str(caught.value)
    assert caught.value.hint


def test_a_near_name_is_suggested():
    with pytest.raises(UserError) as caught:
        parse_instructions(["punctuation:no_coma"], [{}])
    assert caught.value.hint == "did you mean 'punctuation:no_comma'?"


def test_whole_numbers_may_be_written_as_floats():
    (instruction,) = parse_instructions(
        ["detectable_format:number_bullet_lists"], [{"num_bullets": 2.0}]
    )
    assert instruction.arguments == {"num_bullets": 2}


HOSTILE = ["[", "<<", "*", "**", "\n", "* \n", "******", ". ", "A.", ").", ". )", "```", '"',
           "Section ", "a\n\n", "{", "I'S ", "P. ", "\u0627", "N'T", "alpha ", "-- "]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_is_bounded_on_hostile_text(piece):
    """Twice the text, at most about twice the time: a quadratic pattern would take minutes."""
    reply = piece * (100_000 // len(piece))
    follow(ALL, reply[:1_000])  # loads the language model
    start = time.perf_counter()
    found = follow(ALL, reply)
    assert len(found.strict) == 25
    assert time.perf_counter() - start < 5.0
