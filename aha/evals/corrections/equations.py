"""Finds equations such as `57 - 28 = 31` in free text and works out their true values.

The text is untrusted: scanning is bounded, and arithmetic goes through the safe evaluator.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import islice

from aha.rewards.expression import evaluate

MAX_SIDE_CHARS = 120
MAX_EQUATIONS = 400
"""In one text; later ones are not looked at."""

NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
_EQUALS = re.compile(r"(?<![<>!=:])=(?!=)")
_SIGNS = str.maketrans("\u00d7\u00f7\u2212\u2013\u00b7\uff08\uff09", "*/--*()")
_LATEX = {r"\times": "*", r"\cdot": "*", r"\div": "/"}
_DECIMAL = re.compile(r"(\d+)\.(\d+)")
_CALL_OR_NAME = re.compile(r"[A-Za-z_^}\]]")


@dataclass(frozen=True, slots=True)
class Equation:
    """`left = stated` at text[start:end]; `true` is what the left side comes to."""

    left: str
    stated: Fraction
    true: Fraction
    start: int
    end: int

    @property
    def holds(self) -> bool:
        return self.stated == self.true


def find_equations(text: str) -> list[Equation]:
    """Equations with an operation on the left and a value on the right, in order."""
    return list(_scan(_normalise(text)))


@lru_cache(maxsize=50_000)
def value_of(text: str) -> Fraction | None:
    """The exact value of an expression that may contain decimals, or None."""
    return evaluate(_DECIMAL.sub(_as_fraction, text))


def _as_fraction(decimal: re.Match[str]) -> str:
    return f"({decimal[1]}{decimal[2]}/1{'0' * len(decimal[2])})"


def chained(equation: Equation, earlier: Equation) -> str | None:
    """`equation.left` with its first number written out as `earlier.left`.

    `57 - 20 = 37, 37 - 8 = 29` is `(57 - 20) - 8`. None where the one does not continue the other.
    """
    first = re.match(rf"[(\s]*({NUMBER})", equation.left)
    if first is None or value_of(first[1]) != earlier.stated:
        return None
    return f"{equation.left[: first.start(1)]}({earlier.left}){equation.left[first.end(1) :]}"


def _normalise(text: str) -> str:
    """One spelling of each operator, at unchanged positions."""
    text = text.translate(_SIGNS)
    for spelling, sign in _LATEX.items():
        text = text.replace(spelling, sign.ljust(len(spelling)))
    return text


def _scan(text: str) -> Iterator[Equation]:
    found = 0
    for equals in islice(_EQUALS.finditer(text), 10 * MAX_EQUATIONS):
        equation = _read(text, equals.start())
        if equation is not None:
            yield equation
            found += 1
            if found == MAX_EQUATIONS:
                return


def _read(text: str, position: int) -> Equation | None:
    """The equation around the equals sign at `position`."""
    left, start = _left_side(text, position)
    right, end = _right_side(text, position + 1)
    if not re.search(r"[\d)]\s*[-+*/]", left):
        return None
    true, stated = value_of(left), value_of(right)
    if true is None or stated is None:
        return None
    if stated != true and (run_on := _first_number(right)) == true:
        stated = run_on  # 12 * 3 = 36 + 4 = 40
    if _rounds_to(true, right):
        stated = true
    return Equation(left, stated, true, start, end)


def _first_number(side: str) -> Fraction | None:
    match = re.match(NUMBER, side)
    return value_of(match[0]) if match else None


def _rounds_to(true: Fraction, right: str) -> bool:
    """Whether the right side is `true` rounded or cut to the decimals it shows."""
    match = re.fullmatch(r"-?\d+\.(\d+)", right)
    value = value_of(right) if match else None
    return (
        match is not None
        and value is not None
        and (abs(value - true) < Fraction(1, 10 ** len(match[1])))
    )


def _belongs(text: str, at: int) -> bool:
    """Whether the character can stand inside one side of an equation."""
    char = text[at]
    if char in "+-*/() \t" or char in "0123456789":
        return True
    inside_number = char in ".," and 0 < at < len(text) - 1
    return inside_number and text[at - 1].isdecimal() and text[at + 1].isdecimal()


def _left_side(text: str, position: int) -> tuple[str, int]:
    """The expression that ends at `position`, and where it starts; empty where there is none."""
    start = position
    while start > 0 and position - start < MAX_SIDE_CHARS and _belongs(text, start - 1):
        start -= 1
    before, side = text[start - 1 : start], text[start:position]
    start += _start_of_expression(side, at_line_start=before in ("", "\n"))
    side, before = text[start:position], text[start - 1 : start]
    if _CALL_OR_NAME.match(before) or side[:1] in ("+", "*", "/"):
        return "", start
    if side.startswith("-") and _CALL_OR_NAME.search(text[max(0, start - 2) : start]):
        return "", start
    return side.strip().replace(",", ""), start


def _start_of_expression(side: str, *, at_line_start: bool) -> int:
    """How much to drop: list bullets, an unmatched bracket, a number that stands before another."""
    drop = 0
    if at_line_start and (bullet := re.match(r"\s*[-*+]\s+(?=[\d(])", side)):
        drop = bullet.end()
    for gap in re.finditer(r"[\d)]\s+(?=[\d(])", side):
        drop = max(drop, gap.end())
    depth = 0
    for at in range(len(side) - 1, drop - 1, -1):
        depth += {")": 1, "(": -1}.get(side[at], 0)
        if depth < 0:
            drop = at + 1
            break
    unmatched = _last_unmatched_close(side, drop)
    drop = max(drop, unmatched + 1)
    return drop + len(side[drop:]) - len(side[drop:].lstrip())


def _last_unmatched_close(side: str, start: int) -> int:
    depth, last = 0, -1
    for at in range(start, len(side)):
        depth += {"(": 1, ")": -1}.get(side[at], 0)
        if depth < 0:
            depth, last = 0, at
    return last


def _right_side(text: str, position: int) -> tuple[str, int]:
    """The expression that starts at `position`, and where it ends; empty where there is none."""
    end = position
    while end < len(text) and end - position < MAX_SIDE_CHARS and _belongs(text, end):
        end += 1
    if _CALL_OR_NAME.match(text[end : end + 1]) and not text[end - 1].isspace():
        return "", end
    side = text[position:end]
    if gap := re.search(r"[\d)]\s+(?=[\d(])", side):
        side = side[: gap.start() + 1]
    while (trimmed := side.rstrip("+-*/( \t")) and trimmed.count(")") > trimmed.count("("):
        side = trimmed[: trimmed.rindex(")")]
    return trimmed.strip().replace(",", ""), position + len(trimmed)
