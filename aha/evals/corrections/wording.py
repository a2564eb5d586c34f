"""The words with which a thought looks back, in English and Chinese.

All that the detector of corrections knows of language is in the table at the top.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from aha.evals.corrections.equations import value_of

_NUMBER = r"(?<!\d)(?<!\d\.)-?\d{1,12}(?:\.\d{1,12})?(?!\d)"
TRIGGERS = (
    r"\b(?:wait|mistake|however|but|retry|error|verify|wrong|evaluate|check|actually|hmm)\b"
    r"|等等|等一下|检查|验算|但是|不对|错误|错了|重新"
)
CALLED_WRONG = (
    rf"(?P<value>{_NUMBER})\s*(?:(?:is|was)\s+(?:wrong|incorrect|not right|not correct|a mistake)\b"
    r"|是?错误的?|是?错了?的?|不对|不正确|有误)"
    rf"|\bnot\s+(?P<denied>{_NUMBER})"
)
CALLED_RIGHT = (
    rf"(?P<value>{_NUMBER})\s*(?:(?:is|was)\s+(?:right|correct|fine)\b|是?正确的?|是?对的?|没错)"
)
REPLACED_BY = (
    r"[\s,;.，；。]*(?:so(?: it is)?|it is|(?:it )?should be|所以是?|应为|应该是|应是|是)"
    rf"\s*(?P<value>{_NUMBER})(?!\s*[-+*/=])"
)
COMPARED = (  # how a check ends in the embedded world: `want 57: wrong`
    rf"(?:\bwant|应为)\s*(?P<target>{_NUMBER})\s*[:：]\s*(?:(?P<wrong>wrong|不对)|right|正确)"
)
GUESS = r"\btry\b(?!\s+again)|试试|试一下"
GUESS_FAILED = rf"(?P<value>{_NUMBER})\s*(?:is not|isn't|!=|≠|不是|不等于)\s*(?P<target>{_NUMBER})"

_COMPARED, _GUESS_FAILED, _CALLED_WRONG, _CALLED_RIGHT, _REPLACED_BY, _GUESS, _TRIGGERS = (
    re.compile(wording, re.IGNORECASE)
    for wording in (
        COMPARED,
        GUESS_FAILED,
        CALLED_WRONG,
        CALLED_RIGHT,
        REPLACED_BY,
        GUESS,
        TRIGGERS,
    )
)


@dataclass(frozen=True, slots=True)
class Word:
    """A trigger, a guess or a judgement in the text."""

    kind: Literal["trigger", "try", "miss", "wrong", "right"]
    start: int
    end: int
    value: Fraction | None = None
    """What is judged; None: what has just been worked out."""
    other: Fraction | None = None
    """What replaces a wrong value."""
    target: Fraction | None = None
    """What the value should have been."""


def find_words(text: str) -> list[Word]:
    """Judgements, guesses and triggers, none inside another: the earlier of these wins."""
    found: list[Word] = []
    for match in _COMPARED.finditer(text):
        kind: Literal["wrong", "right"] = "wrong" if match["wrong"] else "right"
        found.append(Word(kind, *match.span(), target=_value(match, "target")))
    for match in _GUESS_FAILED.finditer(text):
        target = _value(match, "target")
        found.append(Word("miss", *match.span(), value=_value(match), target=target))
    for match in _CALLED_WRONG.finditer(text):
        new = _REPLACED_BY.match(text, match.end())
        end, other = (new.end(), _value(new)) if new else (match.end(), None)
        found.append(Word("wrong", match.start(), end, _value(match), other))
    found += [Word("right", *m.span(), value=_value(m)) for m in _CALLED_RIGHT.finditer(text)]
    found += [Word("try", *match.span()) for match in _GUESS.finditer(text)]
    found += [Word("trigger", *match.span()) for match in _TRIGGERS.finditer(text)]
    return _without_overlap(found, len(text))


def _without_overlap(words: list[Word], length: int) -> list[Word]:
    covered = bytearray(length)
    kept = []
    for word in words:
        if not any(covered[word.start : word.end]):
            covered[word.start : word.end] = b"1" * (word.end - word.start)
            kept.append(word)
    return kept


def _value(match: re.Match[str], group: str = "value") -> Fraction | None:
    groups = match.groupdict()
    said = groups.get(group) or groups.get("denied")
    return value_of(said) if said else None
