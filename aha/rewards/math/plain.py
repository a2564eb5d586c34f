"""Plain numbers, decided without a parser: integers, decimals, fractions, thousands separators."""

import re
from fractions import Fraction
from typing import NamedTuple

MAX_PLAIN_CHARS = 100

_PLAIN = re.compile(
    r"""\s*\$?\s*(?P<sign>[-+\u2212]?)\s?[$\u20ac\u00a3\u00a5]?
        (?: (?P<whole>[1-9][0-9]{0,2}(?:,[0-9]{3})+|[0-9]+)
            (?:\.(?P<decimals>[0-9]*)|\s?/\s?(?P<denominator>[0-9]+))?
          | \.(?P<only_decimals>[0-9]+)
          | \\[dt]?frac\s?\{\s*(?P<top>-?[0-9]+)\s*\}\s*\{\s*(?P<bottom>[0-9]+)\s*\}
        )\s*\$?[\s.]*""",
    re.VERBOSE,
)


class Plain(NamedTuple):
    """An exact value and, for a decimal that is no integer, its significant digits."""

    value: Fraction
    digits: int | None


def plain_number(text: str) -> Plain | None:
    """The value of a plain number; None for anything else, also for a zero denominator."""
    match = _PLAIN.fullmatch(text) if len(text) <= MAX_PLAIN_CHARS else None
    if match is None:
        return None
    top, bottom = _fraction(match)
    if bottom == 0:
        return None
    sign = -1 if match["sign"] in ("-", "\u2212") else 1
    decimals = match["decimals"] or match["only_decimals"] or ""
    is_decimal = bool(decimals.strip("0"))
    digits = len(str(abs(top))) if is_decimal else None
    return Plain(Fraction(sign * top, bottom), digits)


def _fraction(match: re.Match[str]) -> tuple[int, int]:
    if match["top"] is not None:
        return int(match["top"]), int(match["bottom"])
    decimals = match["decimals"] or match["only_decimals"] or ""
    whole = (match["whole"] or "0").replace(",", "")
    return int(whole + decimals), int(match["denominator"] or 10 ** len(decimals))


def same_plain(gold: Plain, pred: Plain) -> bool | None:
    """Equal or not; None where decimals may stand for more digits and have to be looked at."""
    if gold.value == pred.value:
        return True
    if gold.digits is None and pred.digits is None:
        return False
    shorter = min(digits for digits in (gold.digits, pred.digits) if digits is not None)
    return False if shorter < 4 else None
