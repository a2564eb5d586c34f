"""The judgement of one reply against one gold answer, cheapest comparison first."""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from aha.rewards.math.choice import extract_choice, gold_letter, gold_option_text, several_letters
from aha.rewards.math.clean import clean_latex, compact, time_key, unwrap_text, words_key
from aha.rewards.math.extent import is_formal, same_separators
from aha.rewards.math.extraction import (
    MARKED,
    MAX_REPLY_CHARS,
    Extracted,
    after_reasoning,
    extract,
)
from aha.rewards.math.plain import Plain, plain_number, same_plain
from aha.rewards.math.tree import CannotParse, TooLarge
from aha.rewards.math.units import number_word
from aha.rewards.verdict import Verdict

_COLON_TIME = re.compile(r"([0-9]{1,2}):([0-5][0-9])(?:\s*[ap]\.?m\.?)?", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"-?[0-9]+,[0-9]+")
_LONE_LETTER = re.compile(r"\s*\(?[A-J]\)?\.?\s*")
_OPTION_LABEL = re.compile(r"\([A-J]\)\s+(\S.*)", re.DOTALL)
_LONG_WORD = re.compile(r"[^\W\d_]{4}")
_SHOWN_CHARS = 200


class Undecided(Exception):
    """Both answers look like mathematics outside our grammar: a case for sympy; stays inside."""

    def __init__(self, text: str, gold: str):
        super().__init__(text, gold)
        self.text = text
        self.gold = gold


@dataclass(frozen=True, slots=True)
class Gold:
    """A gold answer, prepared once."""

    text: str
    number: Plain | None
    letter: str | None
    letters: frozenset[str] | None
    """Of a gold answer that is several options: A, C or ACD."""
    option_text: str | None
    words: str | None
    keys: frozenset[str]
    """Spellings that are this answer without further parsing."""


@lru_cache(maxsize=8192)
def prepare_gold(gold: str) -> Gold:
    """What a gold answer is. It may stand in a box, in dollars, or at the end of a solution."""
    found = extract(gold)
    text = found.text if found and not _is_itself(gold, found) else gold.strip()
    return Gold(
        text=text,
        number=plain_number(text),
        letter=gold_letter(text),
        letters=several_letters(text),
        option_text=gold_option_text(text),
        words=words_key(text),
        keys=frozenset({clean_latex(text), clean_latex(gold), unwrap_text(text)}),
    )


def _is_itself(gold: str, found: Extracted) -> bool:
    return found.where == "number" and len(gold) < 300


def judge(
    prediction: str, gold: str, *, tolerance: float | None = None, marked_only: bool = False
) -> Verdict:
    """The verdict on a reply. Total: never raises for what the model wrote."""
    wanted = prepare_gold(gold)
    if not wanted.text:
        return Verdict.error("the gold answer is empty")
    if len(prediction) > MAX_REPLY_CHARS:
        return Verdict.unparseable(f"{len(prediction)} characters are too long for a reply")
    if wanted.number is not None and len(prediction) < 64 and tolerance is None:
        quick = _quick_number(prediction, wanted.number)
        if quick is not None:
            return quick
    if wanted.letter is None and _LONE_LETTER.fullmatch(prediction):
        wanted = _with_letter(gold, wanted)
    if wanted.letter is not None:
        return _choice(prediction, wanted, marked_only)
    return _answer(prediction, gold, wanted, tolerance, marked_only)


@lru_cache(maxsize=1024)
def _with_letter(gold: str, wanted: Gold) -> Gold:
    """A gold answer that is an option's letter and text, met by a reply that is a letter alone."""
    is_prose = wanted.number is None and sum(word.isalpha() for word in gold.split()) > 1
    return replace(wanted, letter=extract_choice(gold)) if is_prose else wanted


def _quick_number(prediction: str, wanted: Plain) -> Verdict | None:
    found = plain_number(prediction)
    return None if found is None else _number_verdict(prediction.strip(), found, wanted)


def _number_verdict(text: str, found: Plain, wanted: Plain) -> Verdict | None:
    is_same = same_plain(wanted, found)
    if is_same is None:
        return None
    return Verdict.correct(text) if is_same else Verdict.wrong(text, "another number than the gold")


def _choice(prediction: str, wanted: Gold, marked_only: bool) -> Verdict:
    if wanted.option_text is not None:
        found = extract(prediction)
        if found and _same_text(found.text, prepare_gold(wanted.option_text)):
            return Verdict.correct(found.text)
    if marked_only and not _is_marked(prediction):
        return Verdict.unparseable("no marked answer")
    letter = extract_choice(prediction)
    if letter is None:
        return _same_letter_as_text(prediction, wanted)
    if letter != wanted.letter:
        return Verdict.wrong(letter, f"{letter} is not {wanted.letter}")
    return Verdict.correct(letter)


def _is_marked(prediction: str) -> bool:
    found = extract(prediction)
    return found is not None and found.where in MARKED


def _same_letter_as_text(prediction: str, wanted: Gold) -> Verdict:
    found = extract(prediction)
    if found is not None and found.where in MARKED and clean_latex(found.text) in wanted.keys:
        return Verdict.correct(found.text)
    return Verdict.unparseable("no single option letter")


def _answer(
    prediction: str, gold: str, wanted: Gold, tolerance: float | None, marked_only: bool
) -> Verdict:
    whole = after_reasoning(prediction)
    if len(whole) <= 2 * len(gold) + 200 and whole and clean_latex(whole) in wanted.keys:
        return Verdict.correct(whole)
    found = extract(prediction)
    if found is None:
        return Verdict.unparseable("no answer found in the reply")
    if marked_only and found.where not in MARKED:
        return Verdict.unparseable(f"no marked answer, only a {found.where}")
    if found.block and len(found.block) <= 2 * len(gold) + 200 and _same_text(found.block, wanted):
        return Verdict.correct(found.block)
    return judge_answer(found.text, wanted, tolerance)


def judge_answer(text: str, wanted: Gold, tolerance: float | None = None) -> Verdict:
    """The verdict on an answer that has been found."""
    shown = text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + " ..."
    if wanted.number is not None and tolerance is None:
        number = plain_number(text)
        decided = _number_verdict(shown, number, wanted.number) if number else None
        if decided is not None:
            return decided
    if len(text) > 2 * len(wanted.text) + 8_000:
        return Verdict.unparseable(f"{len(text)} characters are too long for this answer")
    if _same_text(text, wanted):
        return Verdict.correct(shown)
    if wanted.letters is not None and (letters := several_letters(text)) is not None:
        same = letters == wanted.letters
        return Verdict.correct(shown) if same else Verdict.wrong(shown, "other options")
    if (time := _time_verdict(text, shown, wanted)) is not None:
        return time
    if (words := _words_verdict(shown, wanted, text)) is not None:
        return words
    verdict = _parsed_verdict(text, shown, wanted, tolerance)
    if not verdict.is_correct and (option := _OPTION_LABEL.fullmatch(unwrap_text(text))):
        return judge_answer(option[1], wanted, tolerance)
    return verdict


def _same_text(text: str, wanted: Gold) -> bool:
    return (
        clean_latex(text) in wanted.keys
        or unwrap_text(text) in wanted.keys
        or (wanted.words is not None and words_key(text) == wanted.words)
    )


def _time_verdict(text: str, shown: str, wanted: Gold) -> Verdict | None:
    """Times of day: 4:30 p.m.; 12:00 against 1:00 is no ratio."""
    found, expected = time_key(text), time_key(wanted.text)
    if found is not None and expected is not None:
        return Verdict.correct(shown) if found == expected else Verdict.wrong(shown, "another time")
    left, right = (_COLON_TIME.fullmatch(clean_latex(t)) for t in (text, wanted.text))
    if left and right:
        same = [int(left[i]) for i in (1, 2)] == [int(right[i]) for i in (1, 2)]
        return Verdict.correct(shown) if same else Verdict.wrong(shown, "another time")
    return None


def _words_verdict(shown: str, wanted: Gold, text: str) -> Verdict | None:
    """Number words against numbers; words that are no variables against other words."""
    words = words_key(text)
    if words is None:
        return None
    value = number_word(words)
    if value is not None and wanted.number is not None:
        is_same = wanted.number.value == value
        return Verdict.correct(shown) if is_same else Verdict.wrong(shown, "another number")
    if wanted.words is None or not all(_LONG_WORD.search(w) for w in (words, wanted.words)):
        return None
    if value is not None and value == number_word(wanted.words):
        return Verdict.correct(shown)
    return Verdict.wrong(shown, "other words than the gold answer")


def _parsed_verdict(text: str, shown: str, wanted: Gold, tolerance: float | None) -> Verdict:
    from aha.rewards.math.compare import same_answer
    from aha.rewards.math.parser import parse_answer

    margin = None if tolerance is None else Fraction(tolerance)
    try:
        gold_tree = parse_answer(wanted.text)
    except CannotParse as problem:
        if compact(text) == compact(wanted.text):
            return Verdict.correct(shown)
        if _is_for_sympy(text, wanted.text):
            raise Undecided(text, wanted.text) from None
        return Verdict.wrong(shown, f"not the text of the gold answer ({problem})")
    try:
        tree = parse_answer(text)
    except CannotParse as problem:
        if _is_for_sympy(text, wanted.text):
            raise Undecided(text, wanted.text) from None
        return Verdict.unparseable(f"{problem} in {shown!r}")
    try:
        if same_answer(gold_tree, tree, tolerance=margin):
            return Verdict.correct(shown)
        if _DECIMAL_COMMA.fullmatch(text.strip(" $")) and wanted.number is not None:
            tree = parse_answer(text.replace(",", "."))
            if same_answer(gold_tree, tree, tolerance=margin):
                return Verdict.correct(shown)
    except RecursionError:
        return Verdict.unparseable("too deeply nested")
    except TooLarge as problem:
        return Verdict.wrong(shown, str(problem))
    except CannotParse as problem:
        return Verdict.wrong(shown, f"not comparable with the gold answer: {problem}")
    return Verdict.wrong(shown, "not equal to the gold answer")


def _is_for_sympy(text: str, gold: str) -> bool:
    return is_formal(gold) and is_formal(text) and same_separators(text, gold)
