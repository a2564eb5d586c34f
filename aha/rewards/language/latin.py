"""Which language each word in Latin script is of: lexicons, letters, and the words around it.

The likeliest path through the languages (Viterbi) under three costs: a word that is known, but not
in this language; a letter that this language does not write; a change of language. A change costs
less between sentences than inside one, and less than a known word against it: so one foreign word
in a sentence is found, and a word that is not known, or known in both, goes with its neighbours.
"""

from collections.abc import Iterable, Sequence
from functools import cache

from aha.rewards.language.identify import identify
from aha.rewards.language.lexicons import words_of
from aha.rewards.language.words import (
    OPERATORS,
    Sentence,
    Word,
    is_acronym,
    is_operator,
    is_technical,
)

LANGUAGES = ("en", "fr", "de", "es", "it", "pt", "nl")
ENGLISH, GERMAN = LANGUAGES.index("en"), LANGUAGES.index("de")
FOREIGN_WORD = 5.0
FOREIGN_LETTER = 4.0
CHANGE = 1.5
CAPITAL = 0.08
"""Of the cost of a known word with a capital letter: it may be a name (Del, Uma); but
German writes its nouns so."""
CHANGE_BETWEEN_SENTENCES = 0.5
NOT_THE_DEFAULT = 1.0
MIN_WORDS_TO_ASK = 4
"""Unknown words of a sentence from which on the identifier is asked ..."""
MAX_KNOWN_TO_ASK = 0.25
"""... if no more of the words than this part are known in the language found."""

_LETTERS = {
    "en": "",
    "fr": "àâæçèéêëîïôùûüœ",
    "de": "äöüß",
    "es": "áéíñóúü",
    "it": "àèéìòù",
    "pt": "àáâãçéêíóôõú",
    "nl": "ëïé",
}
_PARTICLES = frozenset(str.split("de da di du del della der den van von la le dos das"))
Costs = tuple[float, ...]
_NOTHING: Costs = (0.0,) * len(LANGUAGES)


@cache
def lexicon() -> dict[str, Costs]:
    """Cost of every known word in each language."""
    sets = [words_of(language) | words_of("loans") for language in LANGUAGES]
    return {
        word: tuple(0.0 if word in known else FOREIGN_WORD for known in sets)
        for word in frozenset().union(*sets)
    }


@cache
def english_forms() -> frozenset[str]:
    """The English lexicon as it stands in texts: small, with a capital letter, in capitals."""
    words = words_of("en") - OPERATORS
    return frozenset(form for word in words for form in (word, word.capitalize(), word.upper()))


def count_latin(sentences: Sequence[Sentence], default: str | None) -> dict[str, int]:
    """Number of Latin words by language; `other` for languages that have no lexicon here.

    default: the language of words that nothing decides; None where it is not known.
    """
    spoken = [words for sentence in sentences if (words := _words(sentence.latin))]
    counts: dict[str, int] = {}
    for words, path in zip(spoken, _paths(spoken, default), strict=True):
        for language in _reviewed(words, path):
            counts[language] = counts.get(language, 0) + 1
    return counts


class _Counted:
    """A word that may count, with its cost in each language."""

    __slots__ = ("costs", "is_known", "is_name", "text")

    def __init__(self, text: str, costs: Costs, *, is_known: bool, is_name: bool):
        self.text, self.costs, self.is_known, self.is_name = text, costs, is_known, is_name


def _words(latin: Sequence[Word]) -> list[_Counted]:
    """The words of a sentence without names of two parts, acronyms, units and identifiers."""
    known = lexicon()
    shouted = sum(word.text.isupper() for word in latin) > max(2, len(latin) / 2)
    kinds = [_kind(word, known, shouted=shouted) for word in latin]
    words = []
    for index, (word, kind) in enumerate(zip(latin, kinds, strict=True)):
        around = (kinds[index - 1] if index else "", *kinds[index + 1 : index + 2])
        if kind == "nothing" or (kind != "name" and _is_part_of_name(word, around)):
            continue
        small = word.text if word.text in known else word.text.lower()
        costs = known.get(small)
        if costs is None:
            costs = _NOTHING if word.text[0].isupper() else _letter_costs(small)
        elif word.text[0].isupper() and small != word.text and _may_be_name(word, costs):
            costs = tuple(CAPITAL * cost for cost in costs)
        words.append(_Counted(word.text, costs, is_known=kind == "known", is_name=kind == "name"))
    return words


def _may_be_name(word: Word, costs: Costs) -> bool:
    return bool(costs[GERMAN] and (costs[ENGLISH] or not word.starts))


def _kind(word: Word, known: dict[str, Costs], *, shouted: bool) -> str:
    """known, unknown, name (or a German noun), nothing; `shouted`: all is in capitals."""
    text = word.text
    if is_operator(word) or (is_acronym(text) and not shouted and text not in english_forms()):
        return "nothing"
    if text in known or text.lower() in known:
        return "known"
    if is_technical(word) or (is_acronym(text) and not shouted):
        return "nothing"
    return "name" if text[0].isupper() and not word.starts else "unknown"


def _is_part_of_name(word: Word, around: Iterable[str]) -> bool:
    """El Paso, Charles de Gaulle."""
    around = tuple(around)
    if word.text in _PARTICLES:
        return around == ("name", "name")
    if word.starts or not word.text[0].isupper() or word.text in english_forms():
        return False
    return "name" in around[1:]


@cache
def _costs_of_letter(letter: str) -> Costs:
    if letter.isascii():
        return _NOTHING
    return tuple(0.0 if letter in _LETTERS[code] else FOREIGN_LETTER for code in LANGUAGES)


def _letter_costs(word: str) -> Costs:
    if word.isascii():
        return _NOTHING
    every = [_costs_of_letter(letter) for letter in set(word) if not letter.isascii()]
    return tuple(max(costs) for costs in zip(*every, strict=True))


def _paths(spoken: Sequence[Sequence[_Counted]], default: str | None) -> list[list[int]]:
    """The cheapest language of each word, as indices of LANGUAGES."""
    state = LANGUAGES.index(default) if default else 0
    if default and not any(word.costs[state] for words in spoken for word in words):
        return [[state] * len(words) for words in spoken]  # nothing speaks against it
    costs = [0.0 if default in (None, code) else NOT_THE_DEFAULT for code in LANGUAGES]
    back: list[tuple[int, ...]] = []
    for words in spoken:
        change = CHANGE_BETWEEN_SENTENCES
        for word in words:
            costs, came_from = _step(costs, word.costs, change)
            back.append(came_from)
            change = CHANGE
    return _split(_traced(costs, back), [len(words) for words in spoken])


def _step(
    costs: Sequence[float], word: Costs, change: float
) -> tuple[list[float], tuple[int, ...]]:
    cheapest = min(costs)
    source, changed = costs.index(cheapest), cheapest + change
    came_from = tuple(i if cost <= changed else source for i, cost in enumerate(costs))
    return [min(cost, changed) + own for cost, own in zip(costs, word, strict=True)], came_from


def _traced(costs: Sequence[float], back: Sequence[tuple[int, ...]]) -> list[int]:
    state = costs.index(min(costs))
    path = []
    for came_from in reversed(back):
        path.append(state)
        state = came_from[state]
    return path[::-1]


def _split(path: Sequence[int], lengths: Iterable[int]) -> list[list[int]]:
    parts, start = [], 0
    for length in lengths:
        parts.append(list(path[start : start + length]))
        start += length
    return parts


def _reviewed(words: Sequence[_Counted], path: Sequence[int]) -> list[str]:
    """The languages of the words that count; the identifier decides where the lexicons know little.

    Names count for no language; only German writes its nouns with capital letters too.
    """
    languages = [LANGUAGES[state] for state in path]
    if _are_unclear(words, path) and (found := identify(" ".join(word.text for word in words))):
        other = found if found in LANGUAGES else "other"
        languages = [
            language if word.is_known and found in LANGUAGES else other
            for word, language in zip(words, languages, strict=True)
        ]
    return [
        language
        for word, language in zip(words, languages, strict=True)
        if not word.is_name or language == "de"
    ]


def _are_unclear(words: Sequence[_Counted], path: Sequence[int]) -> bool:
    num_unknown = sum(not word.is_known and not word.is_name for word in words)
    agreed = sum(
        word.is_known and not word.costs[state] for word, state in zip(words, path, strict=True)
    )
    return num_unknown >= MIN_WORDS_TO_ASK and agreed <= MAX_KNOWN_TO_ASK * len(words)
