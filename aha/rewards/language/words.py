"""A text as sentences of words, each with its script; what is a name, unit or identifier."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

HAN = r"\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
KANA = r"\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\uff66-\uff9d"
LATIN_END = "\u0250"
_SCRIPTS = (
    ("latin", "\u0000", "\u024f"),
    ("cyrillic", "\u0400", "\u052f"),
    ("arabic", "\u0600", "\u077f"),
    ("latin", "\u1e00", "\u1eff"),
    ("hangul", "\u1100", "\u11ff"),
    ("hangul", "\uac00", "\ud7a3"),
)
_TOKEN = re.compile(
    rf"([{HAN}]+)|([{KANA}]+)|([^\W{HAN}{KANA}]+)|([.!?;\n\u3002\uff01\uff1f\uff1b\u2026]+)"
    r"|([:\"(\[*\u00ab\u00bf\u00a1\u201c\u201e\uff1a\u300c\u2014])"
)
_ACCENTED = re.compile(r"[^\W\d_][\u0300-\u036f]{1,2}(?![\u0300-\u036f])")

UNITS = frozenset(str.split("mm cm km kg mg ml kl cl dl kw kwh mph kmh lb lbs oz ft sq"))
OPERATORS = frozenset(
    str.split(
        "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp mod "
        "gcd lcm lim det max min sqrt frac abs deg rad dx dy dt dz da"
    )
)
WORDS_TOO = frozenset(str.split("sin tan log mod max min da dt dz abs"))
_OPERAND = re.compile(r" ?(?:[(\d]|[a-z\u03b1-\u03c9](?!\w))")
_CODE_BEHIND = re.compile(r"[(_]|\.[a-z]")
_NUMERAL = re.compile(r"[IVXLC]{2,6}")


@dataclass(slots=True)
class Word:
    """A word in Latin script."""

    text: str
    starts: bool
    """It starts a sentence or a quotation, where a capital letter means nothing."""
    before: str
    """What touches or precedes it: "9" for a number, "." for a dot without a space, "" else."""
    after: str
    """The three characters right behind it."""


@dataclass(slots=True)
class Sentence:
    """Words up to a full stop or the end of a line."""

    latin: list[Word] = field(default_factory=list)
    cyrillic: list[str] = field(default_factory=list)
    arabic: list[str] = field(default_factory=list)
    han_characters: int = 0
    kana_characters: int = 0
    hangul: int = 0
    other: int = 0


def sentences(prose: str) -> Iterator[Sentence]:
    """The sentences of a text, in order. Single letters and names with digits are no words."""
    prose = _composed(prose)
    sentence, starts, before = Sentence(), True, ""
    for match in _TOKEN.finditer(prose):
        han, kana, run, stop, opening = match.groups()
        if run:
            before = before or ("." if prose[match.start() - 1 : match.start()] == "." else "")
            _add_run(sentence, run, starts, before, prose[match.end() : match.end() + 3])
            starts, before = False, "9" if run.isdigit() else ""
        elif stop:
            is_inner = stop == "." and _touches(prose, match.end())
            starts, before = not is_inner, "." if is_inner else ""
            if not is_inner:
                yield sentence
                sentence = Sentence()
        elif opening:
            starts, before = True, ""
        else:
            sentence.han_characters += len(han or "")
            sentence.kana_characters += len(kana or "")
            starts, before = False, ""
    yield sentence


def _touches(prose: str, position: int) -> bool:
    """Whether a letter or digit stands right there: the dot before it ends no sentence."""
    return prose[position : position + 1].isalnum() and prose[position] < LATIN_END


def _add_run(sentence: Sentence, run: str, starts: bool, before: str, after: str) -> None:
    if len(run) < 2 or not run.isalpha():
        return
    script = script_of(run[0])
    if script == "latin":
        sentence.latin.append(Word(run, starts, before, after))
    elif script == "cyrillic":
        sentence.cyrillic.append(run)
    elif script == "arabic":
        sentence.arabic.append(run)
    elif script == "hangul":
        sentence.hangul += 1
    else:
        sentence.other += 1


def script_of(letter: str) -> str:
    """latin, cyrillic, arabic, hangul or other."""
    return next((name for name, low, high in _SCRIPTS if low <= letter <= high), "other")


def is_technical(word: Word) -> bool:
    """Units behind a number, camelCase, calls, a.b: words of no language, unless one knows them."""
    text = word.text
    if word.before == "9" and text in UNITS:
        return True
    is_camel = not (text.islower() or text.isupper() or text.istitle())
    is_attribute = word.before == "." and text.islower()
    return is_camel or is_attribute or _CODE_BEHIND.match(word.after) is not None


def is_operator(word: Word) -> bool:
    """gcd, sin x; but not Spanish "sin" (without), nor "log" as a word."""
    if word.text not in OPERATORS:
        return False
    return word.text not in WORDS_TOO or _OPERAND.match(word.after) is not None


def is_acronym(text: str) -> bool:
    """GPT, NASA, and Roman numerals."""
    return text.isupper() and (len(text) <= 5 or _NUMERAL.fullmatch(text) is not None)


def _composed(text: str) -> str:
    """Letters followed by one or two combining accents as one letter; linear in the text."""
    if text.isascii() or not _ACCENTED.search(text):
        return text
    return _ACCENTED.sub(lambda match: unicodedata.normalize("NFC", match[0]), text)
