"""Arithmetic that a model wrote: parsed, never evaluated by Python.

Grammar: integers in ASCII digits, + - * / (also the signs U+00D7, U+00F7 and U+2212), parentheses,
a sign before a factor. No powers, floor division, decimals, names or implied products. Values are
exact fractions. One bound, the length of the text, bounds the rest: a value has no more digits than
the text has characters.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from aha.rewards.numbers import parse_number
from aha.rewards.verdict import Verdict

MAX_EXPRESSION_CHARS = 500
MAX_DEPTH = 50

_TOKEN = re.compile(r"[0-9]+|[-+*/()]|[^\s]")
_ASCII_OPERATORS = str.maketrans({"\u00d7": "*", "\u00f7": "/", "\u2212": "-"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedExpression:
    """Value of an expression and the numbers in it, in order."""

    value: Fraction | None
    """None when the text is not an expression or divides by zero; `problem` says why."""
    numbers_used: tuple[int, ...] = ()
    problem: str = ""


def evaluate(text: str) -> Fraction | None:
    """The exact value of an arithmetic expression, or None."""
    return parse_expression(text).value


def parse_expression(text: str) -> ParsedExpression:
    """Parse and evaluate an arithmetic expression. Total: any text in, a result out."""
    text = text.strip()
    if len(text) > MAX_EXPRESSION_CHARS:
        return ParsedExpression(value=None, problem=f"{len(text)} characters are too long")
    parser = _Parser(text)
    try:
        value = parser.whole()
    except _ParseError as error:
        return ParsedExpression(value=None, problem=str(error))
    return ParsedExpression(value=value, numbers_used=tuple(parser.numbers))


def verify_countdown(prediction: str, *, numbers: Sequence[int], target: int | Fraction) -> Verdict:
    """Whether an expression reaches `target` with every one of `numbers` used exactly once.

    The expression may end with `= VALUE`; then VALUE has to be the target too. A sign before a
    number is allowed: with it no positive target is reached that subtraction does not reach.
    """
    text = prediction.strip()
    if len(text) > MAX_EXPRESSION_CHARS:
        return Verdict.unparseable(f"{len(text)} characters are too long")
    left, equals, right = text.partition("=")
    parsed, claimed = parse_expression(left), parse_number(right)
    if parsed.value is None:
        return Verdict.unparseable(parsed.problem)
    if equals and claimed is None:
        return Verdict.unparseable("what follows = is not one number")
    if used_wrongly := _wrong_use(parsed.numbers_used, numbers):
        return Verdict.wrong(text, used_wrongly)
    if parsed.value != target:
        return Verdict.wrong(text, f"the value is {parsed.value}, not {target}")
    if equals and claimed != target:
        return Verdict.wrong(text, f"the value is said to be {claimed}, not {target}")
    return Verdict.correct(text, f"the value is {target} and every number is used once")


def _wrong_use(used: Sequence[int], given: Sequence[int]) -> str:
    missing = sorted((Counter(given) - Counter(used)).elements())
    extra = sorted((Counter(used) - Counter(given)).elements())
    says = [f"does not use {_listed(missing)}"] if missing else []
    says += [f"uses {_listed(extra)} too often or without being given"] if extra else []
    return " and ".join(says)


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(str(number) for number in numbers)


class _ParseError(Exception):
    """What was found and is not allowed; stays in this module."""


class _Parser:
    """Recursive descent over at most MAX_EXPRESSION_CHARS, at most MAX_DEPTH parentheses deep."""

    def __init__(self, text: str):
        self.numbers: list[int] = []
        self._tokens = _TOKEN.findall(text.translate(_ASCII_OPERATORS))
        self._position = 0
        self._depth = 0

    def whole(self) -> Fraction:
        if not self._tokens:
            raise _ParseError("the answer is empty")
        value = self._sum()
        if self._peek():
            raise _ParseError(f"unexpected {self._peek()!r}")
        return value

    def _sum(self) -> Fraction:
        value = self._product()
        while self._peek() in ("+", "-"):
            if self._next() == "+":
                value += self._product()
            else:
                value -= self._product()
        return value

    def _product(self) -> Fraction:
        value = self._factor()
        while self._peek() in ("*", "/"):
            if self._next() == "*":
                value *= self._factor()
            elif divisor := self._factor():
                value /= divisor
            else:
                raise _ParseError("division by zero")
        return value

    def _factor(self) -> Fraction:
        sign = 1
        while self._peek() in ("+", "-"):
            sign = -sign if self._next() == "-" else sign
        token = self._next()
        if token == "(":
            return sign * self._parenthesis()
        if not (token.isascii() and token.isdecimal()):
            raise _ParseError(f"unexpected {token!r}" if token else "the expression breaks off")
        self.numbers.append(int(token))
        return Fraction(sign * self.numbers[-1])

    def _parenthesis(self) -> Fraction:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _ParseError(f"more than {MAX_DEPTH} parentheses deep")
        value = self._sum()
        if self._next() != ")":
            raise _ParseError("a parenthesis is not closed")
        self._depth -= 1
        return value

    def _peek(self) -> str:
        return self._tokens[self._position] if self._position < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._position += 1
        return token
