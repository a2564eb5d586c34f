"""Words, sentences, words in capitals: counted in linear time."""

import re

AROUND_FRACTION = 0.1
"""How far "around N" reaches, of N; at least 1."""
RELATIONS = ("at least", "less than", "around", "at most", "more than", "exactly")

_WORD = re.compile(r"\w+")
_TOKEN_END = re.compile(r"[\s,;:@#$%&?!()\[\]{}<>\"\u201c\u201d\u2026\u2013\u2014]|--")
_CLITIC = re.compile(r"(?:n['\u2019]t|['\u2019](?:s|m|d|ll|re|ve))\Z", re.IGNORECASE)
_STOP = re.compile(r"[.!?\u3002\uff01\uff1f\u0964\u061f]+")
_CLOSING = "\"'\u2019\u201d)]}*_\u300d\u300f"
_ASIAN_STOPS = "\u3002\uff01\uff1f"
_TITLES = frozenset(
    {"mr", "mrs", "ms", "dr", "prof", "st", "mt", "gen", "col", "capt", "lt", "sgt", "rev", "hon"}
    | {"gov", "sen", "rep", "vs", "fig", "eq", "e.g", "i.e", "cf"}
)
"""Abbreviations that end no sentence, whatever comes next."""
_ABBREVIATIONS = frozenset(
    {"sr", "jr", "etc", "al", "inc", "ltd", "co", "corp", "vol", "approx", "dept", "est"}
    | {"u.s", "u.k", "u.n", "d.c", "a.m", "p.m", "ph.d", "b.a", "m.a"}
    | {"jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"}
)
"""Abbreviations that end one where a capital letter comes next."""


def meets(count: int, relation: str, wanted: int) -> bool:
    """Whether a count is "at least", "less than", "around" ... a number."""
    if relation == "around":
        return abs(count - wanted) <= max(1, round(AROUND_FRACTION * wanted))
    return {
        "at least": count >= wanted,
        "less than": count < wanted,
        "at most": count <= wanted,
        "more than": count > wanted,
        "exactly": count == wanted,
    }[relation]


def count_words(text: str) -> int:
    """Runs of letters, digits and underscores: "don't" is two."""
    return sum(1 for _ in _WORD.finditer(text))


def count_capital_words(text: str) -> int:
    """Words without a small letter: NASA, I, A-1; DON'T is two of them and I'm one, as treebanks
    take DO and N'T apart.
    """
    return sum(part.isupper() for word in _TOKEN_END.split(text) for part in _parts(word))


def _parts(word: str) -> tuple[str, str]:
    """A word and its clitic."""
    found = _CLITIC.search(word)
    place = found.start() if found else len(word)
    return word[:place], word[place:]


def count_sentences(text: str) -> int:
    """Sentences: a stop, then white space and more text, but for abbreviations and initials.

    A line break alone ends none. A stop of Chinese or Japanese needs no space behind it.
    """
    count, start = 0, 0
    for match in _STOP.finditer(text):
        end = match.end()
        while end < len(text) and text[end] in _CLOSING:
            end += 1
        if end < len(text) and _ends_sentence(text, match, end):
            count, start = count + bool(text[start:end].strip()), end
    return count + bool(text[start:].strip())


def _ends_sentence(text: str, stop: re.Match[str], end: int) -> bool:
    marks = stop.group()
    if marks[-1] in _ASIAN_STOPS:
        return True
    if not text[end].isspace():
        return False
    if marks[-1] != ".":
        return True
    if len(marks) > 1 or "\u2026" in marks:
        return _next_letter(text, end).isupper()
    word = _word_before(text, stop.start())
    if word.lower() in _ABBREVIATIONS:
        return _next_letter(text, end).isupper()
    if word.isdigit():  # "1. then" numbers an item
        return not _next_letter(text, end).islower()
    is_initial = len(word) == 1 and word.isalpha() and word.isupper() and word != "I"
    return not is_initial and word.lower() not in _TITLES


def _next_letter(text: str, place: int) -> str:
    """The first character that is neither white space nor an opening mark, within reach."""
    return text[place : place + 50].lstrip(" \t\r\n\"'\u2018\u201c([*_-")[:1]


def _word_before(text: str, stop: int) -> str:
    """The word that a full stop follows, without opening marks; bounded reach."""
    words = text[max(0, stop - 20) : stop].split()
    is_apart = not words or text[stop - 1].isspace()
    return "" if is_apart else words[-1].lstrip("\"'(\u2018\u201c[*_")


def has_letters(text: str) -> bool:
    """Whether there is anything whose language one could tell."""
    return any(char.isalpha() for char in text)
