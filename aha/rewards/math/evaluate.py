"""Values of answer trees: exact fractions where possible, else 200 bits; bounded in every way.

Equality of two expressions is decided by their values at fixed points: rational ones, so that
polynomials and rational functions are compared exactly. Functions that have no value here (f(x),
sums, integrals) take a value that depends on the values of their arguments alone.
"""

import hashlib
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from aha.rewards.math.tree import (
    Apply,
    Based,
    CannotParse,
    Group,
    Matrix,
    Node,
    Number,
    Quantity,
    Relation,
    Symbol,
    Text,
    TooLarge,
)
from aha.rewards.math.values import (
    MAX_BITS,
    MAX_BITS_AT_POINT,
    MAX_MAGNITUDE_BITS,
    Budget,
    Undefined,
    Value,
    add,
    context,
    determinant,
    digest,
    exact_root,
    in_base,
    is_complex,
    is_natural,
    multiply,
    rounded,
    to_mp,
)


class Evaluator:
    """Values at one point. `is_real`: even roots and logarithms of negative numbers have none."""

    def __init__(self, point: Mapping[str, Fraction], budget: Budget, *, is_real: bool = True):
        self.point = point
        self.budget = budget
        self.is_real = is_real

    def value(self, node: Node) -> Value:
        """The value of a tree. Raises Undefined, TooLarge, CannotParse."""
        self.budget.spend()
        match node:
            case Number(value):
                return value
            case Symbol(name):
                return self._symbol(name)
            case Apply(function, args):
                return self._apply(function, args)
            case Quantity(inner, unit):
                return self._quantity(inner, unit)
            case Matrix(rows):
                return [[self.value(cell) for cell in row] for row in rows]
            case Text(words):
                return self._opaque("text", (words,))
            case Based(digits, base):
                return Fraction(in_base(digits, base))
        raise CannotParse(f"a {type(node).__name__.lower()} has no value")

    def _symbol(self, name: str) -> Value:
        if name in self.point:
            return self.point[name]
        match name:
            case "pi":
                return +context().pi
            case "e":
                return +context().e
            case "i":
                return context().mpc(0, 1)
            case "infinity":
                return context().inf
        return self._opaque("symbol", (name,))

    def _quantity(self, inner: Node, unit: str) -> Value:
        value = self.value(inner)
        if unit == "%":
            return multiply(value, Fraction(1, 100))
        return (
            multiply(multiply(value, Fraction(1, 180)), +context().pi) if unit == "deg" else value
        )

    def _apply(self, function: str, args: tuple[Node, ...]) -> Value:
        method = getattr(self, f"_do_{_METHODS[function]}", None) if function in _METHODS else None
        if method is not None:
            return self._kept(method(*args))
        if function in _ELEMENTARY and len(args) == 1:
            return self._elementary(function, self.value(args[0]))
        return self._opaque(function, tuple(self._key(argument) for argument in args))

    def _kept(self, value: Value) -> Value:
        """The value; rounded when it is long and only one of several points."""
        self.budget.spend_on(value)
        if self.point and isinstance(value, Fraction):
            bits = max(value.numerator.bit_length(), value.denominator.bit_length())
            return to_mp(value) if bits > MAX_BITS_AT_POINT else value
        return value

    def _do_add(self, first: Node, *rest: Node) -> Value:
        total = self.value(first)
        for term in rest:
            total = self._kept(add(total, self.value(term)))
        return total

    def _do_neg(self, inner: Node) -> Value:
        return multiply(self.value(inner), Fraction(-1))

    def _do_mul(self, first: Node, *rest: Node) -> Value:
        product = self.value(first)
        for factor in rest:
            product = self._kept(multiply(product, self.value(factor)))
        return product

    def _do_div(self, top: Node, bottom: Node) -> Value:
        return multiply(self.value(top), self._inverse(self.value(bottom)))

    def _inverse(self, value: Value) -> Value:
        if isinstance(value, list) or value == 0:
            raise Undefined
        return 1 / value

    def _do_pow(self, base: Node, exponent: Node) -> Value:
        return self.power(self.value(base), self.value(exponent))

    def _do_root(self, inner: Node, degree: Node) -> Value:
        return self.power(self.value(inner), self._inverse(self.value(degree)))

    def _do_power_of(self, call: Apply, exponent: Node) -> Value:
        """`\\sin^2 x`, and `\\sin^{-1} x` as the inverse function."""
        power = self.value(exponent)
        if power == -1 and call.function in _INVERSES:
            return self._elementary(_INVERSES[call.function], self.value(call.args[0]))
        return self.power(self.value(call), power)

    def _do_log(self, inner: Node, base: Node | None = None) -> Value:
        value = self._logarithm(self.value(inner))
        if base is None:
            return value
        divisor = self._logarithm(self.value(base))
        return rounded(multiply(value, self._inverse(divisor)))

    def _do_lg(self, inner: Node) -> Value:
        return rounded(self._logarithm(self.value(inner)) / self._logarithm(Fraction(10)))

    def _logarithm(self, value: Value) -> Value:
        number = to_mp(value)
        if number == 0 or (self.is_real and (is_complex(number) or number < 0)):
            raise Undefined
        return context().log(number)

    def _do_factorial(self, inner: Node) -> Value:
        value = self.value(inner)
        if isinstance(value, Fraction) and value.denominator == 1 and value >= 0:
            if value > 3000:
                raise TooLarge("a factorial is too large")
            self.budget.spend(int(value) // 10)
            return Fraction(math.factorial(int(value)))
        return self._gamma(add(value, Fraction(1)))

    def _gamma(self, value: Value) -> Value:
        number = to_mp(value)
        if abs(number) > 10_000:
            raise TooLarge("a factorial is too large")
        try:
            return context().gamma(number)
        except ValueError:
            raise Undefined from None

    def _do_binom(self, top: Node, bottom: Node) -> Value:
        n, k = self.value(top), self.value(bottom)
        if is_natural(n) and is_natural(k):
            if n > 20_000:
                raise TooLarge("a binomial coefficient is too large")
            self.budget.spend(int(n) // 5)
            return Fraction(math.comb(int(n), int(k)))
        n, k = to_mp(n), to_mp(k)
        bottom_value = self._gamma(k + 1) * self._gamma(n - k + 1)
        return self._gamma(n + 1) * self._inverse(bottom_value)

    def _do_abs(self, inner: Node) -> Value:
        value = self.value(inner)
        if isinstance(value, list):
            return self._do_det(inner)
        return abs(value)

    def _do_floor(self, inner: Node) -> Value:
        return self._whole(inner, math.floor)

    def _do_ceil(self, inner: Node) -> Value:
        return self._whole(inner, math.ceil)

    def _whole(self, inner: Node, rounding: Any) -> Value:
        value = rounded(self.value(inner))
        if is_complex(value) or isinstance(value, list) or abs(value) > 2**100:
            raise Undefined
        return Fraction(rounding(value))

    def _do_max(self, *args: Node) -> Value:
        return max(self._reals(args))

    def _do_min(self, *args: Node) -> Value:
        return min(self._reals(args))

    def _do_gcd(self, *args: Node) -> Value:
        return Fraction(math.gcd(*self._integers(args)))

    def _do_lcm(self, *args: Node) -> Value:
        return Fraction(math.lcm(*self._integers(args)))

    def _reals(self, args: tuple[Node, ...]) -> list[Value]:
        values = [self.value(argument) for argument in args]
        if not values or any(isinstance(value, list) or is_complex(value) for value in values):
            raise Undefined
        return values

    def _integers(self, args: tuple[Node, ...]) -> list[int]:
        values = self._reals(args)
        if not all(isinstance(value, Fraction) and value.denominator == 1 for value in values):
            raise Undefined
        return [int(value) for value in values]

    def _do_det(self, inner: Node) -> Value:
        rows = self.value(inner)
        if not isinstance(rows, list) or len(rows) > 6 or any(len(r) != len(rows) for r in rows):
            raise Undefined
        self.budget.spend(math.factorial(len(rows)))
        return determinant(rows)

    def _do_pm(self, *args: Node) -> Value:
        raise CannotParse("a sign is left open")

    def _do_ratio(self, *args: Node) -> Value:
        if len(args) != 2:
            raise CannotParse("a ratio of more than two")
        return self._do_div(*args)

    def _elementary(self, function: str, value: Value) -> Value:
        number = to_mp(value)
        if not context().isfinite(number):
            raise Undefined
        if abs(context().mag(number)) > MAX_MAGNITUDE_BITS and number != 0:
            raise TooLarge("the argument of a function is too large")
        if function in ("exp", "sinh", "cosh", "tanh") and abs(number) > 10**6:
            raise TooLarge("an exponential is too large")
        name = _ELEMENTARY[function]
        try:
            result = getattr(context(), name)(number)
        except (ValueError, ZeroDivisionError):
            raise Undefined from None
        if self.is_real and is_complex(result) and not is_complex(number):
            raise Undefined
        return result

    def power(self, base: Value, exponent: Value) -> Value:
        if isinstance(base, list):
            return self._matrix_power(base, exponent)
        if isinstance(base, Fraction) and isinstance(exponent, Fraction):
            exact = self._exact_power(base, exponent)
            if exact is not None:
                return exact
        number, power = to_mp(base), to_mp(exponent)
        if number == 0:
            return self._power_of_zero(exponent)
        self._check_power(number, power)
        if self.is_real and not is_complex(number) and number < 0:
            return self._real_power(number, exponent)
        return context().power(number, power)

    def _power_of_zero(self, exponent: Value) -> Value:
        if isinstance(exponent, Fraction) and exponent > 0:
            return Fraction(0)
        raise Undefined

    def _check_power(self, base: Any, exponent: Any) -> None:
        if not (context().isfinite(base) and context().isfinite(exponent)):
            raise Undefined
        size = abs(context().log(abs(base), 2)) + 5
        if abs(exponent) * size > 10**6:
            raise TooLarge("a power is too large")

    def _exact_power(self, base: Fraction, exponent: Fraction) -> Fraction | None:
        """The power when it is a fraction, else None."""
        if base == 0:
            return self._power_of_zero(exponent) if exponent != 0 else Fraction(1)
        if base in (1, -1) and exponent.denominator == 1:
            return Fraction(1) if base == 1 or exponent % 2 == 0 else Fraction(-1)
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if abs(exponent) * bits > MAX_BITS:
            if self.point:
                return None
            raise TooLarge("a power is too large")
        if exponent.denominator == 1:
            return base ** int(exponent)
        root = exact_root(base, exponent.denominator)
        return None if root is None else root**exponent.numerator

    def _real_power(self, base: Any, exponent: Value) -> Value:
        """Of a negative number: odd roots are real, even ones have no value."""
        if not isinstance(exponent, Fraction) or exponent.denominator % 2 == 0:
            raise Undefined
        value = context().power(-base, to_mp(exponent))
        return -value if exponent.numerator % 2 else value

    def _matrix_power(self, base: Value, exponent: Value) -> Value:
        if not (
            isinstance(exponent, Fraction) and exponent.denominator == 1 and 1 <= exponent <= 20
        ):
            return self._opaque("power", (digest(base), digest(exponent)))
        value = base
        for _ in range(int(exponent) - 1):
            value = multiply(value, base)
        return value

    def _key(self, node: Node) -> str:
        """What a function without a value here sees of an argument."""
        match node:
            case Relation(operators, parts):
                return f"{operators}{[self._key(part) for part in parts]}"
            case Group(opening, closing, items):
                return f"{opening}{closing}{[self._key(item) for item in items]}"
        return digest(self.value(node))

    def _opaque(self, name: str, keys: tuple[str, ...]) -> Value:
        seed = hashlib.sha256(f"{name}{keys}".encode()).digest()
        return context().mpf(int.from_bytes(seed[:20], "big")) / 2**158 + 1


_METHODS = {
    "+": "add", "neg": "neg", "*": "mul", "/": "div", "^": "pow", "root": "root", "^of": "power_of",
    "log": "log", "ln": "log", "lg": "lg", "!": "factorial", "factorial": "factorial",
    "binom": "binom", "binomial": "binom", "|": "abs", "abs": "abs", "floor": "floor",
    "ceil": "ceil", "ceiling": "ceil", "max": "max", "min": "min", "gcd": "gcd", "lcm": "lcm",
    "det": "det", "pm": "pm", "mp": "pm", "ratio": "ratio",
}  # fmt: skip
_ELEMENTARY = {
    "sin": "sin", "cos": "cos", "tan": "tan", "cot": "cot", "sec": "sec", "csc": "csc",
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arccot": "acot", "sinh": "sinh",
    "cosh": "cosh", "tanh": "tanh", "exp": "exp", "re": "re", "im": "im", "arg": "arg",
}  # fmt: skip
_INVERSES = {name: f"arc{name}" for name in ("sin", "cos", "tan", "cot")}
