"""The sentences of the embedded world in two languages."""

import itertools
import random
import re
import string

import pytest

from aha.rewards.language import language_consistency
from aha.tasks.embedded.voice import SENTENCES, Voice

HAN = re.compile("[\u4e00-\u9fff]")
FIELDS = {
    "expression": "57 - 28",
    "equation": "57 - 28 = 29",
    "equations": ["57 - 20 = 37", "37 - 8 = 29"],
    "numbers": "3, 7, 19",
    "verdict": True,
}


def fields_of(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def values_for(sentence):
    names = set().union(*(fields_of(v) for texts in SENTENCES[sentence].values() for v in texts))
    return {name: FIELDS.get(name, 29) for name in names}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_both_languages_say_the_same_things(sentence):
    english, chinese = SENTENCES[sentence]["en"], SENTENCES[sentence]["zh"]
    assert {frozenset(fields_of(text)) for text in english} == {
        frozenset(fields_of(text)) for text in chinese
    }
    assert not any(HAN.search(text) for text in english)
    assert all(text.startswith(" ") for text in english)


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize("style", ["en", "zh", "mixed"])
def test_numbers_and_names_follow_a_space_so_that_each_is_one_token(sentence, style):
    voice = Voice(style, random.Random(0))
    for _ in range(8):
        said = voice.say(sentence, **values_for(sentence))
        starts = [match.start() for match in re.finditer(r"\d+", said)]
        bad = [start for start in starts if start and said[start - 1] != " "]
        assert not bad, said


@pytest.mark.parametrize("style", ["en", "zh"])
def test_a_voice_keeps_to_its_language(style):
    voice = Voice(style, random.Random(0))
    for sentence in SENTENCES:
        said = voice.say(sentence, **values_for(sentence))
        assert language_consistency(said, style) in (None, 1.0), said


def test_a_mixed_voice_changes_between_sentences():
    voice = Voice("mixed", random.Random(0))
    chinese = [bool(HAN.search(voice.say("ponder"))) for _ in range(400)]
    assert 160 < sum(chinese) < 240
    switches = sum(a != b for a, b in itertools.pairwise(chinese))
    assert 160 < switches < 240


def test_one_stream_says_one_thing():
    said = [
        "".join(Voice("mixed", random.Random(3)).say("casual", answer=n) for n in range(20))
        for _ in range(2)
    ]
    assert said[0] == said[1]
