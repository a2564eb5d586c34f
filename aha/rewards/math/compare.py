"""Whether two answer trees say the same; what brackets mean is decided by the gold."""

from fractions import Fraction

from aha.rewards.math.equality import Equality
from aha.rewards.math.regions import same_region
from aha.rewards.math.shapes import (
    as_items,
    as_matrix,
    expand_signs,
    is_interval,
    is_name,
    is_region,
    shorten,
    vector_items,
)
from aha.rewards.math.tree import (
    Apply,
    CannotParse,
    Group,
    Matrix,
    Node,
    Relation,
    Symbol,
    Text,
    words,
)
from aha.rewards.math.values import Undefined

MAX_UNORDERED_ITEMS = 200
_DENIALS = words("not no minus negative isn't less more than except without never")
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "!=": "!=", "=": "="}


def same_answer(gold: Node, pred: Node, *, tolerance: Fraction | None = None) -> bool:
    """Whether `pred` is the answer `gold`. Raises TooLarge and CannotParse."""
    return _Comparison(Equality(tolerance)).same(gold, pred)


class _Comparison:
    def __init__(self, equality: Equality):
        self.equality = equality

    def same(self, gold: Node, pred: Node) -> bool:
        if gold == pred:
            return True
        pred = pred if isinstance(gold, Apply | Text) else _after_words(pred)
        gold, pred = expand_signs(shorten(gold)), expand_signs(shorten(pred))
        if isinstance(gold, Relation) or isinstance(pred, Relation):
            return self._relations(gold, pred)
        if is_region(gold) or is_region(pred):
            return self._regions(gold, pred)
        if isinstance(gold, Group | Matrix) or isinstance(pred, Group | Matrix):
            return self._groups(gold, pred)
        return self.equality.same(gold, pred)

    def _relations(self, gold: Node, pred: Node) -> bool:
        if isinstance(pred, Relation) and pred.operators == ("in",) and not _is_in(gold):
            return self.same(gold, pred.parts[1])
        if isinstance(gold, Relation) and gold.operators == ("in",) and not _is_in(pred):
            return self.same(gold.parts[1], pred)
        if isinstance(gold, Relation) and isinstance(pred, Relation):
            return self._two_relations(gold, pred)
        if isinstance(pred, Relation) and pred.operators == ("=",):
            return self.same(gold, _claimed(pred))
        if isinstance(gold, Relation) and gold.operators == ("=",):
            return is_name(gold.parts[0]) and self.same(gold.parts[1], pred)
        return self._regions(gold, pred)

    def _two_relations(self, gold: Relation, pred: Relation) -> bool:
        gold, pred = _name_first(gold), _name_first(pred)
        if self._same_parts(gold, pred):
            return True
        if gold.operators == pred.operators == ("=",):
            return self._equations(gold, pred)
        if len(gold.operators) == len(pred.operators) == 1 and self._inequalities(gold, pred):
            return True
        return self._regions(gold, pred)

    def _same_parts(self, gold: Relation, pred: Relation) -> bool:
        """The same chain, also written from right to left."""
        for operators, parts in (
            (pred.operators, pred.parts),
            (tuple(_FLIPPED.get(o, "") for o in reversed(pred.operators)), pred.parts[::-1]),
        ):
            if operators == gold.operators and self._pairwise(gold.parts, parts):
                return True
        return False

    def _equations(self, gold: Relation, pred: Relation) -> bool:
        if (
            is_name(gold.parts[0])
            and is_name(pred.parts[0])
            and (isinstance(gold.parts[1], Group) or isinstance(pred.parts[1], Group))
        ):
            return False
        return self.equality.proportion(gold.parts, pred.parts) is not None

    def _inequalities(self, gold: Relation, pred: Relation) -> bool:
        """a < b and c d > c e: the differences are proportional, the sign tells the direction."""
        factor_sign = self.equality.proportion(gold.parts, pred.parts)
        if factor_sign is None:
            return False
        operator = pred.operators[0]
        return gold.operators[0] == (operator if factor_sign > 0 else _FLIPPED.get(operator))

    def _regions(self, gold: Node, pred: Node) -> bool:
        if isinstance(gold, Apply) and isinstance(pred, Apply) and self._same_unions(gold, pred):
            return True
        if not (is_region(gold) or isinstance(gold, Relation) or is_interval(gold)):
            as_list = isinstance(gold, Group) and any(isinstance(i, Relation) for i in gold.items)
            if not as_list and not _is_set(gold):
                return False
        try:
            return same_region(gold, pred, self.equality.budget)
        except (CannotParse, Undefined):
            return False

    def _same_unions(self, gold: Apply, pred: Apply) -> bool:
        if gold.function != pred.function or gold.function not in ("cup", "cap", "setminus"):
            return False
        return self._pairwise(gold.args, pred.args)

    def _groups(self, gold: Node, pred: Node) -> bool:
        if isinstance(gold, Matrix) and isinstance(pred, Matrix):
            return self._matrices(gold, pred)
        if isinstance(gold, Matrix) or isinstance(pred, Matrix):
            return self._vector(gold, pred)
        if isinstance(gold, Group):
            return self._group(gold, pred)
        assert isinstance(pred, Group)
        is_one = len(pred.items) == 1 or (not pred.opening and 0 < len(pred.items) <= 5)
        return is_one and all(self.same(gold, item) for item in pred.items)

    def _matrices(self, gold: Matrix, pred: Matrix) -> bool:
        return len(gold.rows) == len(pred.rows) and all(
            self._pairwise(a, b) for a, b in zip(gold.rows, pred.rows, strict=True)
        )

    def _vector(self, gold: Node, pred: Node) -> bool:
        gold, pred = as_matrix(gold), as_matrix(pred)
        if isinstance(gold, Matrix) and isinstance(pred, Matrix):
            return self._matrices(gold, pred)
        left, right = vector_items(gold), vector_items(pred)
        if left is not None and right is not None:
            return self._pairwise(left, right)
        return self.equality.same(gold, pred)

    def _group(self, gold: Group, pred: Node) -> bool:
        if gold.opening in ("", "{"):
            return self._unordered(gold, pred)
        if not isinstance(pred, Group) or pred.opening == "{":
            return self._as_region_list(gold, pred)
        if pred.opening and not _same_brackets(gold, pred):
            return False
        if (
            not pred.opening
            and len(gold.items) == 2
            and "]" in (gold.closing, "]" if gold.opening == "[" else "")
        ):
            return self._as_region_list(gold, pred)
        return self._pairwise(gold.items, pred.items) or self._as_region_list(gold, pred)

    def _unordered(self, gold: Group, pred: Node) -> bool:
        wanted = as_items(gold)
        if not isinstance(pred, Group):
            is_one = len(wanted) == 1 or (gold.joiner == "or" and len(wanted) > 1)
            return is_one and all(self.same(item, pred) for item in wanted)
        if gold.opening == "{" and pred.opening not in ("", "{"):
            return False
        found = as_items(pred)
        wanted, found = tuple(dict.fromkeys(wanted)), tuple(dict.fromkeys(found))
        if _have_different_names(wanted) and not any(isinstance(i, Relation) for i in found):
            return self._pairwise(wanted, found)
        if self._matched(wanted, found):
            return True
        return self._as_region_list(gold, pred)

    def _as_region_list(self, gold: Node, pred: Node) -> bool:
        """Inequalities joined by "or" and "and" against intervals and each other."""
        has_relations = any(
            isinstance(item, Relation) and item.operators != ("=",)
            for node in (gold, pred)
            for item in (node.items if isinstance(node, Group) else (node,))
        )
        return has_relations and self._regions(gold, pred)

    def _matched(self, wanted: tuple[Node, ...], found: tuple[Node, ...]) -> bool:
        """One found item for each wanted one, whatever the order."""
        if len(wanted) != len(found) or len(wanted) > MAX_UNORDERED_ITEMS:
            return False
        left = list(found)
        for item in wanted:
            match = next((other for other in left if self.same(item, other)), None)
            if match is None:
                return False
            left.remove(match)
        return True

    def _pairwise(self, gold: tuple[Node, ...], pred: tuple[Node, ...]) -> bool:
        return len(gold) == len(pred) and all(
            self.same(a, b) for a, b in zip(gold, pred, strict=True)
        )


def _after_words(pred: Node) -> Node:
    r"""`\text{Area } 42` as 42 and `point (0,5)` as (0,5), unless the words deny it."""
    match pred:
        case Apply("*", (Text(text), inner)) if not _DENIALS.intersection(text.split()):
            return inner
    return pred


def _claimed(relation: Relation) -> Node:
    """The side of `x = 5` or `5 = x` that says the value."""
    left, right = relation.parts
    return left if isinstance(right, Symbol) and not is_name(left) else right


def _name_first(relation: Relation) -> Relation:
    left, right = relation.parts[0], relation.parts[-1]
    if relation.operators == ("=",) and is_name(right) and not is_name(left):
        return Relation(("=",), (right, left))
    return relation


def _have_different_names(items: tuple[Node, ...]) -> bool:
    """Whether a list says x = 1, y = 2; then values without names have to keep the order."""
    names = [item.parts[0] for item in items if isinstance(item, Relation)]
    return len(names) == len(items) and len(set(names)) > 1


def _is_in(node: Node) -> bool:
    return isinstance(node, Relation) and node.operators == ("in",)


def _is_set(node: Node) -> bool:
    return isinstance(node, Group) and node.opening == "{"


def _same_brackets(gold: Group, pred: Group) -> bool:
    """Of two items brackets tell an interval's ends; of more, tuples are written in any."""
    if (gold.opening, gold.closing) == (pred.opening, pred.closing):
        return True
    closed = {("(", ")"), ("<", ">")} | ({("[", "]")} if len(gold.items) != 2 else set())
    return {(gold.opening, gold.closing), (pred.opening, pred.closing)} <= closed
