"""Share of the words of a text that are of one language (arXiv 2501.12948v2, Eq. 7).

    Reward_language = Num(Words_target) / Num(Words)

Differs from the paper: it does not say how words are told apart. Here the script tells where it
can (Han, kana, Hangul, Cyrillic, Arabic), a lexicon of common words where it cannot, and py3langid
where sentences are in no lexicon. Not words: numbers, operators, single letters, names with digits
(variables), code, LaTeX, tags, web addresses, units behind a number, acronyms and names (a capital
letter inside a sentence, unless the word is known or the language is German).
"""

import re
from collections.abc import Mapping, Sequence

from aha.errors import UserError, nearest
from aha.rewards.language.identify import identify
from aha.rewards.language.latin import LANGUAGES, count_latin, english_forms
from aha.rewards.language.lexicons import words_of
from aha.rewards.language.markup import prose_of
from aha.rewards.language.words import HAN, LATIN_END, Sentence, sentences

HAN_CHARACTERS_PER_WORD = 1.5
"""A Chinese word has about so many characters in running text."""
JAPANESE_CHARACTERS_PER_WORD = 2.0
MOSTLY_JAPANESE = 4
"""In a text with so many times more Japanese, sentences of Han characters alone are so too."""
CONSISTENCY_LANGUAGES = ("en", "zh", "fr", "de", "es", "ru", "ja", "ko", "ar")

_RUN = re.compile(rf"[{HAN}]+|[^\W{HAN}]+")
_NOT_RUSSIAN = re.compile("[іїєґўјљњћђџѓќ]", re.IGNORECASE)
_ONLY_RUSSIAN = re.compile("[ыэёъ]", re.IGNORECASE)
_NOT_ARABIC = re.compile("[پچژگٹڈڑںےۀ]")


def language_consistency(text: str, target: str) -> float | None:
    """Share of the words of a chain of thought that are of the target language, 0 to 1.

    None when there is no word at all (digits and formulas only): nothing is inconsistent then.
    `target`: one of CONSISTENCY_LANGUAGES.
    """
    if target not in CONSISTENCY_LANGUAGES:
        known = nearest(target, CONSISTENCY_LANGUAGES)
        raise UserError(
            f"language consistency does not know the language {target!r}",
            hint=f"did you mean {known!r}?"
            if known
            else f"known: {', '.join(CONSISTENCY_LANGUAGES)}",
        )
    words = count_words(text, target)
    total = sum(words.values())
    return words.get(target, 0.0) / total if total else None


def detect_language(text: str) -> str | None:
    """The language that most words of a text are of, as an ISO 639-1 code, or None.

    None when there are no words, and where they are of a language that nothing here knows.
    """
    words = count_words(text, None)
    language, number = max(words.items(), key=lambda item: item[1], default=("other", 0.0))
    if language == "other" or not number:
        return identify(text) if number else None
    return language


def count_words(text: str, default: str | None) -> dict[str, float]:
    """Number of words by language; `other` for languages that are not known here.

    default: the language that a Latin word is of when nothing decides; English where this is not
    written in Latin letters.
    """
    prose = prose_of(text)
    if default in ("en", "zh"):
        simple = _english_and_chinese(prose)
        if simple is not None:
            return simple
    found = list(sentences(prose))
    latin_default = default if default is None or default in LANGUAGES else "en"
    counts = count_scripts(found)
    for language, number in count_latin(found, latin_default).items():
        counts[language] = counts.get(language, 0.0) + number
    return _positive(counts)


def _positive(counts: Mapping[str, float]) -> dict[str, float]:
    return {language: number for language, number in counts.items() if number}


def _english_and_chinese(prose: str) -> dict[str, float] | None:
    """The counts of a text in which every word is Chinese or known English; None for others.

    What a step of training reads hundreds of times; the whole road gives the same counts.
    """
    english, latin, han = english_forms(), 0, 0
    for run in _RUN.findall(prose):
        if run in english:
            latin += len(run) > 1
        elif "\u4e00" <= run[0] <= "\u9fff":
            han += len(run)
        elif (len(run) > 1 and run.isalpha()) or run[0] > LATIN_END:
            return None
    return _positive({"en": latin, "zh": han / HAN_CHARACTERS_PER_WORD})


def count_scripts(found: Sequence[Sentence]) -> dict[str, float]:
    """Words that their script decides, sentence by sentence."""
    han = sum(s.han_characters for s in found if not s.kana_characters)
    japanese = sum(s.han_characters + s.kana_characters for s in found if s.kana_characters)
    if japanese > MOSTLY_JAPANESE * han:
        han, japanese = 0, han + japanese
    has_foreign = any(_NOT_RUSSIAN.search(" ".join(s.cyrillic)) for s in found)
    counts = {
        "zh": han / HAN_CHARACTERS_PER_WORD,
        "ja": japanese / JAPANESE_CHARACTERS_PER_WORD,
        "ko": float(sum(s.hangul for s in found)),
        "other": float(sum(s.other for s in found)),
        "ru": 0.0,
        "ar": 0.0,
    }
    for sentence in found:
        if sentence.cyrillic:
            counts[_cyrillic(sentence.cyrillic, has_foreign)] += len(sentence.cyrillic)
        if sentence.arabic:
            is_arabic = not _NOT_ARABIC.search(" ".join(sentence.arabic))
            counts["ar" if is_arabic else "other"] += len(sentence.arabic)
    return counts


def _cyrillic(words: list[str], has_foreign: bool) -> str:
    """Russian, unless a letter or (where no word is known Russian) the identifier objects.

    has_foreign: the text has letters that Russian does not: then those of Russian alone are asked.
    """
    text = " ".join(words)
    if _NOT_RUSSIAN.search(text) or (has_foreign and not _ONLY_RUSSIAN.search(text)):
        return "other"
    if len(words) < 4 or any(word.lower() in words_of("ru") for word in words):
        return "ru"
    return "ru" if identify(text) in (None, "ru") else "other"
