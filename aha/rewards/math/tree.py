"""The tree of a parsed answer. Nothing in it is evaluated."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

MAX_ANSWER_CHARS = 8_000
MAX_TOKENS = 4_000
MAX_DEPTH = 50
MAX_TREE_DEPTH = 100


def words(text: str) -> frozenset[str]:
    """The words of a text as a set: how this package writes its word lists."""
    return frozenset(text.split())


class CannotParse(Exception):
    """The text is not an answer in this grammar; stays in the package."""


class TooLarge(Exception):
    """A value or a comparison over the limits; stays in the package."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written."""

    value: Fraction
    digits: int | None = None
    """Significant digits when written as a decimal that is no integer, else None."""
    decimals: int = 0


@dataclass(frozen=True, slots=True)
class Symbol:
    """A variable, a constant such as pi, or a function name that stands alone."""

    name: str


@dataclass(frozen=True, slots=True)
class Text:
    """Words: \\text{...} or a plain word; compared by its normalised text."""

    words: str


@dataclass(frozen=True, slots=True)
class Apply:
    """An operation or function: + * / ^ neg pm sqrt sin ! | ... and unknown functions."""

    function: str
    args: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Group:
    """Several items. `opening` is ( [ { or < as written, or "" for a list without brackets."""

    opening: str
    closing: str
    items: "tuple[Node, ...]"
    joiner: str = ","
    """ "and" or "or" where the list without brackets is joined by that word."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A chain: parts[0] operators[0] parts[1] ... with operators = < <= > >= != in ~ to."""

    operators: tuple[str, ...]
    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Matrix:
    rows: "tuple[tuple[Node, ...], ...]"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value with a unit: "%", "deg", a known unit's name, or the words that follow a number."""

    value: "Node"
    unit: str


@dataclass(frozen=True, slots=True)
class Based:
    """Digits in a base: 204_5."""

    digits: str
    base: int


Node = Number | Symbol | Text | Apply | Group | Relation | Matrix | Quantity | Based


def children(node: Node) -> "tuple[Node, ...]":
    match node:
        case Apply():
            return node.args
        case Group():
            return node.items
        case Relation():
            return node.parts
        case Matrix():
            return tuple(cell for row in node.rows for cell in row)
        case Quantity():
            return (node.value,)
    return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(children(current))


_CHAINS = frozenset({"+", "*", "cup", "cap"})


def joined(function: str, left: Node, right: Node) -> Apply:
    """`left function right`; chains of + * and unions are one node, so that they are not deep."""
    if function in _CHAINS and isinstance(left, Apply) and left.function == function:
        return Apply(function, (*left.args, right))
    return Apply(function, (left, right))


def is_deeper(node: Node, limit: int) -> bool:
    """Whether a tree has more than `limit` levels."""
    level = [node]
    for _ in range(limit):
        level = [child for parent in level for child in children(parent)]
        if not level:
            return False
    return True


CONSTANTS = frozenset({"pi", "e", "i", "infinity"})


def variables(node: Node) -> frozenset[str]:
    """Names in the tree that have no fixed value."""
    return frozenset(
        found.name
        for found in walk(node)
        if isinstance(found, Symbol) and found.name not in CONSTANTS
    )
