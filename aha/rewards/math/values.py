"""Arithmetic on values: exact fractions where possible, else 200 bits; bounded in every way."""

import math
import threading
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from aha.rewards.math.tree import CannotParse, TooLarge

PRECISION_BITS = 200
MAX_BITS = 40_000
"""Of an exact value: 2^{20000} and 3000! stay exact."""
MAX_BITS_AT_POINT = 2_000
"""Of an exact value of an expression with variables; beyond, 200 bits do."""
MAX_MAGNITUDE_BITS = 4_000
"""Of the argument of an exponential, a trigonometric function or the gamma function."""
MAX_STEPS = 40_000
"""Nodes evaluated in one comparison: about a second at worst."""

Value = Any
"""Fraction, mpf, mpc, or a list of rows of these."""
_local = threading.local()


class Undefined(Exception):
    """No value at this point: division by zero, an even root of a negative number."""


@dataclass(slots=True)
class Budget:
    """Steps left to a whole comparison."""

    steps: int = MAX_STEPS

    def spend_on(self, value: "Value") -> None:
        """What the next operation on an exact value costs: quadratic in its digits."""
        if isinstance(value, Fraction):
            words = (value.numerator.bit_length() + value.denominator.bit_length()) // 1500
            if words:
                self.spend(words * words)

    def spend(self, steps: int = 1) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise TooLarge("the comparison takes too many steps")


def context() -> Any:
    """This thread's mpmath context."""
    if not hasattr(_local, "context"):
        from mpmath.ctx_mp import MPContext  # type: ignore[import-untyped]

        _local.context = MPContext()
        _local.context.prec = PRECISION_BITS
    return _local.context


def to_mp(value: Value) -> Any:
    """A number as mpf or mpc."""
    if isinstance(value, list):
        raise Undefined
    if isinstance(value, Fraction):
        return context().mpf(value.numerator) / value.denominator
    return value


def add(left: Value, right: Value) -> Value:
    if isinstance(left, list) or isinstance(right, list):
        return _elementwise_sum(left, right)
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return _bounded(left + right)
    return _finite(to_mp(left) + to_mp(right))


def multiply(left: Value, right: Value) -> Value:
    if isinstance(left, list) and isinstance(right, list):
        return _matrix_product(left, right)
    if isinstance(left, list):
        return [[multiply(cell, right) for cell in row] for row in left]
    if isinstance(right, list):
        return multiply(right, left)
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return _bounded(left * right)
    return _finite(to_mp(left) * to_mp(right))


def _finite(value: Any) -> Any:
    if context().isnan(value):
        raise Undefined
    return value


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > 2 * MAX_BITS:
        raise TooLarge("a number is too large")
    return value


def _elementwise_sum(left: Value, right: Value) -> Value:
    if not (isinstance(left, list) and isinstance(right, list)) or len(left) != len(right):
        raise Undefined
    if any(len(a) != len(b) for a, b in zip(left, right, strict=True)):
        raise Undefined
    return [
        [add(a, b) for a, b in zip(*rows, strict=True)] for rows in zip(left, right, strict=True)
    ]


def _matrix_product(left: Value, right: Value) -> Value:
    if not left or not right or any(len(row) != len(right) for row in left) or len(left) > 10:
        raise Undefined
    columns = list(zip(*right, strict=True))
    return [[_dot(row, column) for column in columns] for row in left]


def _dot(row: Any, column: Any) -> Value:
    total: Value = Fraction(0)
    for a, b in zip(row, column, strict=True):
        total = add(total, multiply(a, b))
    return total


def determinant(rows: Value) -> Value:
    if len(rows) == 1:
        return rows[0][0]
    total: Value = Fraction(0)
    for index, cell in enumerate(rows[0]):
        minor = [[*row[:index], *row[index + 1 :]] for row in rows[1:]]
        total = add(total, multiply(multiply(cell, Fraction((-1) ** index)), determinant(minor)))
    return total


def rounded(value: Value) -> Value:
    """The integer a value is within 2^-150 of, so that log_2 8 is 3 before it meets a floor."""
    if isinstance(value, Fraction | list) or is_complex(value) or not context().isfinite(value):
        return value
    nearest = context().nint(value)
    if abs(value) < 2**60 and abs(value - nearest) < context().mpf(2) ** -120:
        return Fraction(int(nearest))
    return value


def same_value(left: Value, right: Value) -> bool:
    """Equal: exactly for fractions, to about 33 digits for the rest."""
    if isinstance(left, list) or isinstance(right, list):
        return _same_matrix(left, right)
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left == right
    a, b = to_mp(left), to_mp(right)
    if not (context().isfinite(a) and context().isfinite(b)):
        return bool(a == b)
    size = max(abs(a), abs(b))
    tiny = context().mpf(2)
    return bool(abs(a - b) <= size * tiny**-110 or size < tiny**-150)


def _same_matrix(left: Value, right: Value) -> bool:
    if not (isinstance(left, list) and isinstance(right, list)) or len(left) != len(right):
        return False
    return all(
        len(a) == len(b) and all(same_value(x, y) for x, y in zip(a, b, strict=True))
        for a, b in zip(left, right, strict=True)
    )


def is_complex(value: Value) -> bool:
    return hasattr(value, "_mpc_")


def is_natural(value: Value) -> bool:
    return isinstance(value, Fraction) and value.denominator == 1 and value >= 0


def digest(value: Value) -> str:
    """Equal values, equal text: 30 digits."""
    if isinstance(value, list):
        return str([[digest(cell) for cell in row] for row in value])
    number = to_mp(value)
    parts = (number.real, number.imag) if is_complex(number) else (number, 0)
    tiny = context().mpf(2) ** -120
    return "/".join(context().nstr(context().mpf(0 if abs(p) < tiny else p), 30) for p in parts)


def exact_root(base: Fraction, degree: int) -> Fraction | None:
    if base < 0 or degree > 64:
        return None
    top, bottom = _integer_root(base.numerator, degree), _integer_root(base.denominator, degree)
    return Fraction(top, bottom) if top is not None and bottom is not None else None


def _integer_root(number: int, degree: int) -> int | None:
    if degree == 2:
        root = math.isqrt(number)
    elif number.bit_length() > 900:
        return None
    else:
        root = round(number ** (1 / degree))
    return root if root**degree == number else None


def in_base(digits: str, base: int) -> int:
    try:
        return int(digits[:300], base)
    except ValueError:
        raise CannotParse(f"{digits[:20]!r} is not written in base {base}") from None
