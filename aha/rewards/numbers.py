"""Exact comparison of number answers: integers, decimals and fractions.

What counts as a number: an optional sign (`+`, `-` or the typographic minus U+2212), ASCII digits
with or without commas between thousands, then a decimal part or `/` and a denominator; one full
stop may end it. Other digits (full width, Arabic-Indic, superscript) are not numbers here: they are
not what the question asked for, and a reward that accepts look-alikes teaches them. Units, currency
signs, exponents, mixed numbers and a second number are not accepted either.
"""

import re
from fractions import Fraction

from aha.rewards.verdict import Verdict

MAX_NUMBER_CHARS = 100

_NUMBER = re.compile(
    r"""(?P<sign>[+\-\u2212]?)
        (?: (?P<whole>\d{1,3}(?:,\d{3})+|\d+) (?:\.(?P<decimals>\d+)|[ ]?/[ ]?(?P<denominator>\d+))?
          | \.(?P<only_decimals>\d+) )
        \.?""",
    re.VERBOSE | re.ASCII,
)


def parse_number(text: str) -> Fraction | None:
    """The exact value of a number, or None when the text is anything else."""
    text = text.strip()
    match = _NUMBER.fullmatch(text) if len(text) <= MAX_NUMBER_CHARS else None
    if match is None:
        return None
    whole = int((match["whole"] or "0").replace(",", ""))
    decimals = match["decimals"] or match["only_decimals"] or ""
    denominator = int(match["denominator"] or 10 ** len(decimals))
    if denominator == 0:
        return None
    numerator = whole * 10 ** len(decimals) + int(decimals or "0")
    return Fraction(-numerator if match["sign"] in ("-", "\u2212") else numerator, denominator)


def verify_number(prediction: str, gold: str) -> Verdict:
    """Whether a bare answer is the number `gold`, compared exactly (0.5 is 1/2, 0.333 is not 1/3).

    `error` when the gold answer itself is not a number.
    """
    expected = parse_number(gold)
    if expected is None:
        return Verdict.error(f"the gold answer {gold[:MAX_NUMBER_CHARS]!r} is not a number")
    found = parse_number(prediction)
    text = prediction.strip()
    if found is None:
        return Verdict.unparseable(_why_no_number(text))
    if found != expected:
        return Verdict.wrong(text, f"{text} is not {gold.strip()}")
    return Verdict.correct(text)


def _why_no_number(text: str) -> str:
    if not text:
        return "the answer is empty"
    if len(text) > MAX_NUMBER_CHARS:
        return f"{len(text)} characters are not one number"
    return f"{text!r} is not one number"
