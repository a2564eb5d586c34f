"""What kind of answer a tree is, and the same answer in a simpler shape."""

from aha.rewards.math.tree import (
    Apply,
    Group,
    Matrix,
    Node,
    Number,
    Quantity,
    Relation,
    Symbol,
    Text,
    words,
)

_SET_FUNCTIONS = frozenset({"cup", "cap", "setminus", "builder"})
_NAME_FUNCTIONS = words(
    "f g h F G P Q ' bar vec hat overline overrightarrow widehat tilde sin cos tan cot | sub norm"
    " det log ln max min arcsin arccos arctan"
)
_NAMED_SETS = frozenset({"mathbb_R", "mathbb_Z", "mathbb_Q", "mathbb_N", "mathbb_C"})


def is_region(node: Node) -> bool:
    """A union, intersection or difference, or a named set of numbers."""
    return (isinstance(node, Apply) and node.function in _SET_FUNCTIONS) or (
        isinstance(node, Symbol) and node.name in _NAMED_SETS
    )


def is_interval(node: Node) -> bool:
    return isinstance(node, Group) and node.opening in ("(", "[") and len(node.items) == 2


def is_name(node: Node) -> bool:
    r"""What stands left of an assignment: x, f(x), AB, \frac{NO}{BO}, (x, y), \tan A, words."""
    match node:
        case Symbol() | Text():
            return True
        case Apply("*" | "/" | "ratio", args):
            return all(is_name(argument) for argument in args)
        case Apply("^", (Symbol("f" | "g" | "h"), Apply("neg", (Number(),)))):
            return True  # the inverse function
        case Apply(function, args):
            return function in _NAME_FUNCTIONS
        case Group(_, _, items):
            return all(is_name(item) for item in items)
        case Quantity(value, _):
            return is_name(value)
    return False


def shorten(node: Node) -> Node:
    """`x = a = b` as `x = b`; what follows an approximation sign is dropped."""
    if not isinstance(node, Relation):
        return node
    operators, parts = node.operators, node.parts
    if "~" in operators:
        cut = operators.index("~")
        if cut == 0 and is_name(parts[0]):
            operators = tuple("=" if operator == "~" else operator for operator in operators)
        else:
            operators, parts = operators[:cut], parts[: cut + 1]
    if not operators:
        return parts[0]
    if len(operators) > 1 and set(operators) == {"="}:
        return Relation(("=",), (parts[0], parts[-1]))
    return Relation(operators, parts)


def as_items(group: Group) -> tuple[Node, ...]:
    """Items with nested lists without brackets and open signs written out."""
    found: list[Node] = []
    for item in group.items:
        item = expand_signs(item)
        if isinstance(item, Group) and not item.opening:
            found.extend(as_items(item))
        else:
            found.append(item)
    return tuple(_with_names(found))


def _with_names(items: list[Node]) -> list[Node]:
    """`x = 1, 2, 3` says that each of the three is x."""
    is_named = [isinstance(item, Relation) and item.operators == ("=",) for item in items]
    if is_named.count(True) == 1 and is_named[0] and len(items) > 1:
        first = items[0]
        assert isinstance(first, Relation)
        if is_name(first.parts[0]):
            return [first.parts[-1], *items[1:]]
    return items


def expand_signs(node: Node) -> Node:
    r"""`a \pm b` as the list a + b, a - b; all \pm of an item change together."""
    if isinstance(node, Group | Matrix) or not _has_sign(node):
        return node
    if isinstance(node, Relation):
        if node.operators == ("=",) and not _has_sign(node.parts[0]):
            left, right = node.parts
            choices = [Relation(("=",), (left, _choose(right, plus))) for plus in (True, False)]
            return Group("", "", tuple(choices), "or")
        return node
    return Group("", "", (_choose(node, True), _choose(node, False)), "or")


def _has_sign(node: Node) -> bool:
    if isinstance(node, Apply):
        return node.function in ("pm", "mp") or any(_has_sign(child) for child in node.args)
    if isinstance(node, Relation):
        return any(_has_sign(part) for part in node.parts)
    return isinstance(node, Quantity) and _has_sign(node.value)


def _choose(node: Node, plus: bool) -> Node:
    if isinstance(node, Quantity):
        return Quantity(_choose(node.value, plus), node.unit)
    if not isinstance(node, Apply):
        return node
    args = tuple(_choose(argument, plus) for argument in node.args)
    if node.function not in ("pm", "mp"):
        return Apply(node.function, args)
    right = args[-1] if plus == (node.function == "pm") else Apply("neg", (args[-1],))
    return Apply("+", (args[0], right)) if len(args) == 2 else right


def vector_items(node: Node) -> tuple[Node, ...] | None:
    """The items of a row, a column or a tuple; None for anything else."""
    if isinstance(node, Group) and node.opening in ("(", "<", "["):
        return node.items
    if isinstance(node, Matrix):
        if len(node.rows) == 1:
            return node.rows[0]
        if all(len(row) == 1 for row in node.rows):
            return tuple(row[0] for row in node.rows)
    return None


def as_matrix(node: Node) -> Node:
    """[[1, 2], [3, 4]] as a matrix; anything else as it is."""
    if isinstance(node, Group) and node.opening in ("[", "(") and node.items:
        rows = [item.items if isinstance(item, Group) else () for item in node.items]
        if all(rows) and len({len(row) for row in rows}) == 1:
            return Matrix(tuple(rows))
    return node


def decimal_digits(node: Node) -> tuple[int, int] | None:
    """(significant digits, digits after the point) of a number written as a decimal, else None."""
    match node:
        case Number(_, digits, decimals) if digits is not None:
            return digits, decimals
        case Apply("neg", (inner,)):
            return decimal_digits(inner)
        case Quantity(value, _):
            return decimal_digits(value)
        case Apply(
            "*", (Number(_, int() as digits, decimals), Apply("^", (Number(), Number(power))))
        ):
            return digits, decimals - int(power)
    return None
