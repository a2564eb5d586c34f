"""Equality of two expressions: exact, at points, and of decimals to the digits that they show."""

import hashlib
from collections.abc import Iterator
from fractions import Fraction

from aha.rewards.math.evaluate import Evaluator
from aha.rewards.math.shapes import decimal_digits
from aha.rewards.math.tree import (
    Apply,
    Based,
    CannotParse,
    Matrix,
    Node,
    Number,
    Quantity,
    Symbol,
    Text,
    variables,
    walk,
    words,
)
from aha.rewards.math.units import conversion_factor, number_word
from aha.rewards.math.values import (
    Budget,
    Undefined,
    Value,
    context,
    is_complex,
    multiply,
    same_value,
    to_mp,
)

Scale = int | Fraction

MIN_DIGITS_OF_EXACT = 4
"""Significant digits from which a decimal stands for 1/3 or a root; see docs/verifiers/math.md."""
MIN_DECIMALS_OF_DECIMAL = 6
"""Digits after the point from which a decimal stands for a longer one."""
_SCALES: tuple[Scale, ...] = (Fraction(1, 3), Fraction(2, 3), 1, 2, 5, 30, Fraction(-1, 2), -2)
_WHOLE_SCALES: tuple[Scale, ...] = (3, 8, 14, 25)
_INDEX_NAMES = frozenset("nkmjlpqrstNKM")
_ONE_LETTER_UNITS = words("m g s h l L N J W V A")


class Equality:
    def __init__(self, tolerance: Fraction | None = None):
        self.budget = Budget()
        self.tolerance = tolerance

    def same(self, gold: Node, pred: Node) -> bool:
        """Whether two expressions without relations and lists are equal."""
        if isinstance(gold, Text) or isinstance(pred, Text):
            return self._words(gold, pred)
        if isinstance(_unsigned(gold), Based) or isinstance(_unsigned(pred), Based):
            return _same_digits(gold, pred)
        if _is_ratio(gold) and _is_ratio(pred):
            return self._ratios(gold, pred)
        if isinstance(gold, Quantity) or isinstance(pred, Quantity):
            return self._quantities(gold, pred)
        return self._without_units(gold, pred)

    def _without_units(self, gold: Node, pred: Node) -> bool:
        if _has_bare_log(gold) or _has_bare_log(pred):
            readings = [(_with_log(gold, base), _with_log(pred, base)) for base in ("ln", "lg")]
            return any(self._without_units(a, b) for a, b in readings)
        names, others = variables(gold), variables(pred)
        if names != others:
            pred_folded = _fold_case(pred)
            if pred_folded is None or _fold_case(gold) is None:
                return self._opaque_names(gold, pred)
            gold, pred = _fold_case(gold) or gold, pred_folded
            names = variables(gold)
            if names != variables(pred):
                return self._at_points(gold, pred, names | variables(pred))
        if not names:
            return self._constants(gold, pred)
        return self._at_points(gold, pred, names)

    def _opaque_names(self, gold: Node, pred: Node) -> bool:
        return self._at_points(gold, pred, variables(gold) | variables(pred))

    def _constants(self, gold: Node, pred: Node) -> bool:
        left, right = self.constant(gold), self.constant(pred)
        if left is None or right is None:
            return False
        return same_value(left, right) or self._close(gold, left, pred, right)

    def constant(self, node: Node) -> Value | None:
        """The value of an expression without variables; None when it has none."""
        for is_real in (True, False):
            try:
                return Evaluator({}, self.budget, is_real=is_real).value(node)
            except Undefined:
                continue
        return None

    def _close(self, gold: Node, left: Value, pred: Node, right: Value) -> bool:
        if any(isinstance(value, list) or is_complex(value) for value in (left, right)):
            return False
        if self.tolerance is not None:
            return bool(abs(to_mp(left) - to_mp(right)) <= to_mp(self.tolerance))
        shown, other_shown = decimal_digits(gold), decimal_digits(pred)
        if shown and other_shown:
            if shown[1] > other_shown[1]:
                left, right, shown, other_shown = right, left, other_shown, shown
            return shown[1] >= MIN_DECIMALS_OF_DECIMAL and _rounds_to(right, left, shown[1])
        if shown or other_shown:
            decimal, exact = (left, right) if shown else (right, left)
            digits = shown or other_shown
            assert digits is not None
            return (
                digits[0] >= MIN_DIGITS_OF_EXACT
                and not _terminates(exact)
                and _rounds_to(exact, decimal, digits[1])
            )
        return False

    def _at_points(self, gold: Node, pred: Node, names: frozenset[str]) -> bool:
        attempts: list[tuple[bool, tuple[Scale, ...]]] = [(True, _SCALES), (False, _SCALES)]
        if names <= _INDEX_NAMES:
            attempts.append((False, _WHOLE_SCALES))
        return any(self._agree(gold, pred, names, real, scales) for real, scales in attempts)

    def _agree(
        self,
        gold: Node,
        pred: Node,
        names: frozenset[str],
        is_real: bool,
        scales: tuple[Scale, ...],
    ) -> bool:
        num_equal = 0
        for point in _points(names, scales):
            evaluator = Evaluator(point, self.budget, is_real=is_real)
            try:
                left = evaluator.value(gold)
                right = evaluator.value(pred)
            except Undefined:
                continue
            if not same_value(left, right):
                return False
            num_equal += 1
        return num_equal >= 2

    def _words(self, gold: Node, pred: Node) -> bool:
        for text, other in ((gold, pred), (pred, gold)):
            if isinstance(text, Text) and (value := number_word(text.words)) is not None:
                return self.same(Number(Fraction(value)), other)
        return gold == pred

    def _ratios(self, gold: Node, pred: Node) -> bool:
        assert isinstance(gold, Apply) and isinstance(pred, Apply)
        if len(gold.args) != len(pred.args):
            return False
        return self.proportional(gold.args, pred.args)

    def proportional(self, gold: tuple[Node, ...], pred: tuple[Node, ...]) -> bool:
        return all(
            self._without_units(Apply("*", (gold[0], pred[i])), Apply("*", (pred[0], gold[i])))
            for i in range(1, len(gold))
        ) and not self._without_units(pred[0], Number(Fraction(0)))

    def _quantities(self, gold: Node, pred: Node) -> bool:
        (value, unit), (other, other_unit) = _split(gold), _split(pred)
        if self._same_amounts(value, unit, other, other_unit):
            return True
        products = [_as_product(node) for node in (gold, pred)]
        return products != [gold, pred] and self._without_units(*products)

    def _same_amounts(self, gold: Node, unit: str, pred: Node, pred_unit: str) -> bool:
        if unit == pred_unit or "" in (unit, pred_unit):
            if self._without_units(gold, pred):
                return True
            return unit != pred_unit and self._read_as_value(gold, unit, pred, pred_unit)
        factor = conversion_factor(pred_unit, unit)
        if factor is None:
            return "%" not in (unit, pred_unit) and self._without_units(gold, pred)
        if factor == 0:
            return False
        return self._without_units(gold, Apply("*", (Number(factor), pred)))

    def _read_as_value(self, gold: Node, unit: str, pred: Node, pred_unit: str) -> bool:
        """10% as 0.1 and 90 degrees as pi/2, where only one side has the sign."""
        if not {unit, pred_unit} <= {"%", "deg", ""}:
            return False
        return self._without_units(
            Quantity(gold, unit) if unit else gold, Quantity(pred, pred_unit) if pred_unit else pred
        )

    def proportion(self, gold: tuple[Node, ...], pred: tuple[Node, ...]) -> int | None:
        """The sign of c where gold's left - right is c times pred's, None when it is not."""
        left, right = (Apply("+", (a, Apply("neg", (b,)))) for a, b in (gold, pred))
        names = variables(left)
        if not names or names != variables(right):
            return None
        for is_real in (True, False):
            sign = self._constant_factor(left, right, names, is_real)
            if sign is not None:
                return sign
        return None

    def _constant_factor(
        self, left: Node, right: Node, names: frozenset[str], is_real: bool
    ) -> int | None:
        factor: Value | None = None
        num_equal = 0
        for point in _points(names, _SCALES):
            evaluator = Evaluator(point, self.budget, is_real=is_real)
            try:
                top, bottom = evaluator.value(left), evaluator.value(right)
                if isinstance(bottom, list) or isinstance(top, list) or bottom == 0 or top == 0:
                    continue
                quotient = multiply(top, 1 / bottom)
            except (Undefined, CannotParse):
                continue
            if factor is not None and not same_value(factor, quotient):
                return None
            factor, num_equal = quotient, num_equal + 1
        if factor is None or num_equal < 3 or is_complex(factor):
            return None
        return 1 if factor > 0 else -1


def _points(names: frozenset[str], scales: tuple[Scale, ...]) -> Iterator[dict[str, Fraction]]:
    """Fixed points: a value of its own for each name, near each scale."""
    for index, scale in enumerate(scales):
        yield {name: _coordinate(name, index, scale) for name in names}


def _coordinate(name: str, index: int, scale: Scale) -> Fraction:
    seed = hashlib.sha256(f"{name}/{index}".encode()).digest()
    if isinstance(scale, int) and scale in _WHOLE_SCALES:
        return Fraction(scale + seed[0] % 5)
    sign = -1 if scale < 0 and seed[1] % 2 else 1
    return sign * abs(Fraction(scale)) * Fraction(64 + seed[0] % 61, 97)


def _rounds_to(exact: Value, decimal: Value, decimals: int) -> bool:
    """Whether `decimal` is `exact`, rounded or cut after its last digit."""
    unit = context().mpf(10) ** -decimals
    difference = to_mp(exact) - to_mp(decimal)
    is_cut = abs(difference) < unit and (difference > 0) == (to_mp(exact) > 0)
    return bool(abs(difference) <= unit / 2 or is_cut)


def _terminates(value: Value) -> bool:
    if not isinstance(value, Fraction):
        return False
    denominator = value.denominator
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    return denominator == 1


def _is_ratio(node: Node) -> bool:
    return isinstance(node, Apply) and node.function == "ratio"


def _unsigned(node: Node) -> Node:
    return node.args[0] if isinstance(node, Apply) and node.function == "neg" else node


def _same_digits(gold: Node, pred: Node) -> bool:
    """Equal digits; the base may be left out, as the question says it."""
    digits, bases = [], set()
    for node in (gold, pred):
        negative = isinstance(node, Apply) and node.function == "neg"
        inner = _unsigned(node)
        if isinstance(inner, Based):
            bases.add(inner.base)
            digits.append((negative, inner.digits))
        elif isinstance(inner, Number):
            digits.append((negative, str(inner.value)))
        else:
            return False
    return digits[0] == digits[1] and len(bases) == 1


def _split(node: Node) -> tuple[Node, str]:
    return (node.value, node.unit) if isinstance(node, Quantity) else (node, "")


def _as_product(node: Node) -> Node:
    if isinstance(node, Quantity) and node.unit in _ONE_LETTER_UNITS:
        return Apply("*", (node.value, Symbol(node.unit)))
    return node


def _has_bare_log(node: Node) -> bool:
    return any(
        isinstance(found, Apply) and found.function == "log" and len(found.args) == 1
        for found in walk(node)
    )


def _with_log(node: Node, name: str) -> Node:
    r"""`\log x` without a base read as `name`: it is written for both bases, e and 10."""
    match node:
        case Apply("log", (inner,)):
            return Apply(name, (_with_log(inner, name),))
        case Apply(function, args):
            return Apply(function, tuple(_with_log(argument, name) for argument in args))
        case Quantity(value, unit):
            return Quantity(_with_log(value, name), unit)
        case Matrix(rows):
            return Matrix(tuple(tuple(_with_log(cell, name) for cell in row) for row in rows))
    return node


def _fold_case(node: Node) -> Node | None:
    """The tree with lower-case names; None when that would make two names one."""
    names = variables(node)
    if len({name.lower() for name in names}) != len(names) or any(
        name.lower() in ("e", "i") for name in names
    ):
        return None
    return _renamed(node)


def _renamed(node: Node) -> Node:
    match node:
        case Symbol(name):
            return Symbol(name.lower())
        case Apply(function, args):
            return Apply(function, tuple(_renamed(argument) for argument in args))
        case Quantity(value, unit):
            return Quantity(_renamed(value), unit)
    return node
