"""Sets of real numbers: intervals, unions, inequalities in one variable, compared by membership."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from aha.rewards.math.evaluate import Evaluator
from aha.rewards.math.shapes import is_name, shorten
from aha.rewards.math.tree import (
    CONSTANTS,
    Apply,
    CannotParse,
    Group,
    Node,
    Number,
    Quantity,
    Relation,
    Symbol,
    variables,
    walk,
)
from aha.rewards.math.values import Budget, Undefined, Value, context, is_complex, same_value, to_mp

MAX_CRITICAL_POINTS = 60
MAX_PARTS = 30
_VARIABLE = "the variable"


@dataclass(frozen=True, slots=True)
class _Region:
    contains: Callable[[Value], bool]
    critical: tuple[Value, ...]
    """Points where membership can change."""


def same_region(gold: Node, pred: Node, budget: Budget) -> bool:
    """Whether two sets have the same members. Raises CannotParse, Undefined, TooLarge."""
    left, right = _region(gold, budget), _region(pred, budget)
    points = _test_points((*left.critical, *right.critical))
    answers = [(left.contains(point), right.contains(point)) for point in points]
    return all(a == b for a, b in answers) and (any(a for a, _ in answers) or _is_empty_set(gold))


def _is_empty_set(node: Node) -> bool:
    return isinstance(node, Group) and not node.items


def _region(node: Node, budget: Budget) -> _Region:
    node = shorten(node)
    budget.spend()
    if isinstance(node, Apply) and len(node.args) > MAX_PARTS:
        raise CannotParse("too many parts")
    match node:
        case Group("{", _, items):
            return _points(items, budget)
        case Group("(" | "[", _, (low, high)):
            return _interval(node, low, high, budget)
        case Group("", _, items):
            return _listed(items, node.joiner, budget)
        case Apply("cup" | "cap" | "setminus", (first, *rest)):
            region = _region(first, budget)
            for part in rest:
                region = _combined(node.function, region, _region(part, budget))
            return region
        case Apply("builder", (_, condition)):
            return _region(condition, budget)
        case Symbol("mathbb_R" | "R"):
            return _Region(lambda x: True, ())
        case Relation(("in",), (_, inner)):
            return _region(inner, budget)
        case Relation(("notin",), (_, inner)):
            inside = _region(inner, budget)
            return _Region(lambda x: not inside.contains(x), inside.critical)
        case Relation():
            return _solutions(node, budget)
    raise CannotParse("not a set of numbers")


def _number(node: Node, budget: Budget) -> Value:
    value = Evaluator({}, budget).value(node)
    if isinstance(value, list) or is_complex(value):
        raise Undefined
    return value


def _points(items: tuple[Node, ...], budget: Budget) -> _Region:
    values = tuple(_number(item, budget) for item in items)
    return _Region(lambda x: any(same_value(x, value) for value in values), values)


def _interval(group: Group, low: Node, high: Node, budget: Budget) -> _Region:
    start, end = _number(low, budget), _number(high, budget)
    holds_start, holds_end = group.opening == "[", group.closing == "]"

    def contains(x: Value) -> bool:
        budget.spend(3)
        if same_value(x, start):
            return holds_start and (holds_end or not same_value(start, end))
        if same_value(x, end):
            return holds_end
        return bool(to_mp(start) < to_mp(x) < to_mp(end))

    return _Region(contains, (start, end))


def _listed(items: tuple[Node, ...], joiner: str, budget: Budget) -> _Region:
    """`x < 1 or x > 2` is a union; with "and" or a comma an intersection, if there is one."""
    if len(items) > MAX_PARTS:
        raise CannotParse("too many parts")
    regions = [_region(item, budget) for item in items]
    critical = tuple(value for region in regions for value in region.critical)
    union = _Region(lambda x: any(region.contains(x) for region in regions), critical)
    if joiner == "or":
        return union
    shared = _Region(lambda x: all(region.contains(x) for region in regions), critical)
    return shared if any(shared.contains(x) for x in _test_points(critical)) else union


def _combined(operation: str, first: _Region, second: _Region) -> _Region:
    def contains(x: Value) -> bool:
        if operation == "cup":
            return first.contains(x) or second.contains(x)
        return first.contains(x) and (second.contains(x) == (operation == "cap"))

    return _Region(contains, (*first.critical, *second.critical))


def _solutions(relation: Relation, budget: Budget) -> _Region:
    relation = _with_variable(relation)
    sides = [_Side(part, budget) for part in relation.parts]
    critical: list[Value] = []
    for left, right in itertools.pairwise(sides):
        critical += _roots(left, right)
    critical += [value for part in relation.parts for value in _constants_in(part, budget)]

    def contains(x: Value) -> bool:
        budget.spend(3)
        try:
            values = [side.at(x) for side in sides]
        except Undefined:
            return False
        return all(
            _holds(operator, values[i], values[i + 1])
            for i, operator in enumerate(relation.operators)
        )

    return _Region(contains, tuple(critical))


@dataclass(frozen=True, slots=True)
class _Side:
    node: Node
    budget: Budget

    def at(self, x: Value) -> Value:
        value = Evaluator({_VARIABLE: x}, self.budget).value(self.node)
        if isinstance(value, list) or is_complex(value):
            raise Undefined
        return value


def _holds(operator: str, left: Value, right: Value) -> bool:
    equal = same_value(left, right)
    if operator in ("=", "!="):
        return equal == (operator == "=")
    if operator not in ("<", "<=", ">", ">="):
        raise CannotParse(f"a set by {operator}")
    if equal:
        return operator in ("<=", ">=")
    return bool(to_mp(left) < to_mp(right)) == operator.startswith("<")


def _with_variable(relation: Relation) -> Relation:
    """The one unknown of a relation, be it x, f(x) or AB, under one name."""
    unknown = {part for part in relation.parts if variables(part) or _has_call(part)}
    if len(unknown) == 1 and is_name(next(iter(unknown))) and not _is_elementary(unknown):
        found = next(iter(unknown))
        parts = tuple(Symbol(_VARIABLE) if part == found else part for part in relation.parts)
        return Relation(relation.operators, parts)
    names = {name for part in relation.parts for name in variables(part)}
    if len(names) != 1:
        raise CannotParse("not one unknown")
    parts = tuple(_replaced(part, next(iter(names))) for part in relation.parts)
    return Relation(relation.operators, parts)


def _is_elementary(nodes: set[Node]) -> bool:
    node = next(iter(nodes))
    return isinstance(node, Apply) and node.function not in ("f", "g", "h", "F", "G", "P", "Q", "*")


def _has_call(node: Node) -> bool:
    return any(isinstance(found, Apply) and found.function in "fghFGPQ" for found in walk(node))


def _replaced(node: Node, name: str) -> Node:
    match node:
        case Symbol(found) if found == name and found not in CONSTANTS:
            return Symbol(_VARIABLE)
        case Apply(function, args):
            return Apply(function, tuple(_replaced(argument, name) for argument in args))
        case Quantity(value, unit):
            return Quantity(_replaced(value, name), unit)
    return node


def _constants_in(node: Node, budget: Budget) -> list[Value]:
    """Values of the numbers and constant parts of a side, with both signs."""
    found: list[Value] = []
    for part in walk(node):
        if not isinstance(part, Number | Apply | Symbol) or variables(part) or len(found) > 20:
            continue
        try:
            value = _number(part, budget)
        except (Undefined, CannotParse):
            continue
        found += [value, -value]
    return found


def _roots(left: _Side, right: _Side) -> list[Value]:
    """Where two sides meet when their difference is a polynomial of degree 1 or 2."""
    try:
        low, middle, high, check = (to_mp(left.at(Fraction(x))) - to_mp(right.at(Fraction(x)))
                                    for x in (-1, 0, 1, 2))  # fmt: skip
    except (Undefined, CannotParse):
        return []
    a, b, c = (low + high) / 2 - middle, (high - low) / 2, middle
    if not context().isfinite(a + b + c) or not same_value(4 * a + 2 * b + c, check):
        return []
    if a == 0:
        return [-c / b] if b != 0 else []
    discriminant = b * b - 4 * a * c
    if discriminant < 0:
        return []
    root = context().sqrt(discriminant)
    return [(-b - root) / (2 * a), (-b + root) / (2 * a)]


def _test_points(critical: tuple[Value, ...]) -> list[Value]:
    """The critical points, points beside them, between them and far out."""
    finite: list[Value] = [Fraction(0)]
    for value in sorted(critical, key=to_mp):
        if context().isfinite(to_mp(value)) and not any(
            same_value(value, other) for other in finite
        ):
            finite.append(value)
    if len(finite) > MAX_CRITICAL_POINTS:
        raise CannotParse("too many intervals")
    finite.sort(key=to_mp)
    near = [to_mp(value) + step for value in finite for step in (-1e-9, 1e-9)]
    between = [(to_mp(a) + to_mp(b)) / 2 for a, b in itertools.pairwise(finite)]
    ends = [to_mp(finite[0]) - d for d in (1.37, 1e9)] + [
        to_mp(finite[-1]) + d for d in (1.37, 1e9)
    ]
    return [*finite, *near, *between, *ends]
