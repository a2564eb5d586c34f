"""Answers in LaTeX or plain text -> tree: recursive descent with a bound on depth.

Lists `1, 2 and 3` < relations `x = 2 < 3` < unions < ratios `1:2` < sums < products < powers.
"""

from functools import lru_cache

from aha.rewards.math.atoms import AtomParser
from aha.rewards.math.lexer import END, Token, tokenize
from aha.rewards.math.tree import (
    MAX_TREE_DEPTH,
    Apply,
    CannotParse,
    Group,
    Node,
    Number,
    Quantity,
    Relation,
    Text,
    is_deeper,
    joined,
    words,
)

_RELATIONS = {
    "=": "=", "==": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!=", "~=": "~",
    ":=": "=",
}  # fmt: skip
_RELATION_COMMANDS = {
    "le": "<=", "leq": "<=", "leqslant": "<=", "leqq": "<=", "lt": "<", "ge": ">=", "geq": ">=",
    "geqslant": ">=", "geqq": ">=", "gt": ">", "ne": "!=", "neq": "!=", "in": "in", "approx": "~",
    "approxeq": "~", "simeq": "~", "equiv": "equiv", "to": "to", "rightarrow": "to",
    "notin": "notin", "sim": "sim", "propto": "propto", "cong": "cong",
    "mapsto": "to", "subset": "subset", "subseteq": "subset", "perp": "perp",
    "parallel": "parallel",
}  # fmt: skip
_SET_OPERATORS = {"cup": "cup", "cap": "cap", "setminus": "setminus", "backslash": "setminus"}
_TIMES = frozenset({"cdot", "times", "ast"})
LETTER_UNITS = words("m g s h l L N J W V")
"""`5 m`, spaced and last, is five metres; `5m` is a product."""
_ENDS_ITEM = frozenset({"end", "joiner"})


@lru_cache(maxsize=4096)
def parse_answer(text: str) -> Node:
    """The tree of one answer. Raises CannotParse."""
    parser = _Parser(tokenize(text))
    return parser.whole()


class _Parser(AtomParser):
    def whole(self) -> Node:
        node = self.items()
        if self.peek() is not END:
            raise CannotParse(f"unexpected {self.peek().text!r}")
        if is_deeper(node, MAX_TREE_DEPTH):
            raise CannotParse(f"more than {MAX_TREE_DEPTH} levels deep")
        return node

    def items(self) -> Node:
        """Items up to a closing bracket or the end; one item stands for itself."""
        found: list[Node] = []
        joiners: set[str] = set()
        while True:
            joiners.update(self._separators())
            if self._at_close():
                break
            found.append(self.relation())
            if not self._at_separator():
                break
        if not found:
            raise CannotParse("an item is missing")
        if len(found) == 1:
            return found[0]
        return Group("", "", tuple(found), "or" if "or" in joiners else "and" if joiners else ",")

    def _at_separator(self) -> bool:
        token = self.peek()
        return token.kind == "joiner" or (token.kind == "sign" and token.text in (",", ";"))

    def _separators(self) -> list[str]:
        joiners = []
        while self._at_separator():
            token = self.next()
            joiners += [token.text] if token.kind == "joiner" else []
        return joiners

    def _at_close(self) -> bool:
        token = self.peek()
        if token is END:
            return True
        if token.kind == "command":
            return token.text in ("}", "rangle", "rfloor", "rceil", "rvert", "end", "rbrace", "\\")
        return token.kind == "sign" and (
            token.text in (")", "}", "&")
            or (token.text == "]")
            or (token.text == "|" and self.bars > 0)
        )

    def relation(self) -> Node:
        first: Node = Text("") if self._relation_operator() else self._set_expression()
        operators: list[str] = []
        parts = [first]
        while operator := self._relation_operator():
            self.next()
            operators.append(operator)
            parts.append(self._set_expression())
        if not operators:
            return first
        if parts[0] == Text(""):
            if operators[0] not in ("~", "="):
                raise CannotParse("a relation has no left side")
            return parts[1] if len(parts) == 2 else Relation(tuple(operators[1:]), tuple(parts[1:]))
        return Relation(tuple(operators), tuple(parts))

    def _relation_operator(self) -> str | None:
        token = self.peek()
        if token.kind == "sign":
            return _RELATIONS.get(token.text)
        return _RELATION_COMMANDS.get(token.text) if token.kind == "command" else None

    def _set_expression(self) -> Node:
        left = self._ratio()
        while (operator := self._set_operator(left)) is not None:
            self.next()
            left = joined(operator, left, self._ratio())
        return left

    def _set_operator(self, left: Node) -> str | None:
        token = self.peek()
        if token.kind == "command":
            return _SET_OPERATORS.get(token.text)
        return "cup" if self.is_letter_union(left) else None

    def _ratio(self) -> Node:
        parts = [self.sum()]
        while self.peek().text == ":" and self.peek().kind == "sign":
            self.next()
            parts.append(self.sum())
        return parts[0] if len(parts) == 1 else Apply("ratio", tuple(parts))

    def sum(self) -> Node:
        left = self._signed_term()
        while (sign := self._plus_or_minus()) is not None:
            self.next()
            right = self._signed_term()
            if sign == "-":
                right, sign = Apply("neg", (right,)), "+"
            left = joined(sign, left, right)
        return left

    def _plus_or_minus(self) -> str | None:
        token = self.peek()
        if token.kind == "sign" and token.text in "+-":
            return token.text
        return token.text if token.kind == "command" and token.text in ("pm", "mp") else None

    def _signed_term(self) -> Node:
        sign = self._plus_or_minus()
        if sign is None:
            return self.term()
        self.next()
        with self.deeper():
            inner = self._signed_term()
        if sign == "+":
            return inner
        return Apply("neg" if sign == "-" else sign, (inner,))

    def term(self) -> Node:
        left = self._factor_or_words()
        while True:
            token = self.peek()
            if self._is_times(token):
                self.next()
                left = joined("*", left, self._signed_factor())
            elif (token.kind == "sign" and token.text == "/") or token.text == "div":
                self.next()
                left = Apply("/", (left, self._signed_factor()))
            elif not self._starts_factor(token, left):
                return left
            elif token.kind in ("word", "unit"):
                left = self._with_words(left)
            else:
                left = self._next_to(left)

    def _is_times(self, token: Token) -> bool:
        return (token.kind == "sign" and token.text == "*") or (
            token.kind == "command" and token.text in _TIMES
        )

    def _signed_factor(self) -> Node:
        if self._plus_or_minus() in ("-", "+"):
            sign = self.next().text
            with self.deeper():
                inner = self._signed_factor()
            return Apply("neg", (inner,)) if sign == "-" else inner
        return self.factor()

    def _starts_factor(self, token: Token, left: Node) -> bool:
        if self.is_letter_union(left):
            return False
        if token.kind == "sign":
            return token.text in ("(", "[", "{") or (token.text == "|" and self.bars == 0)
        if token.kind == "command":
            return not (
                self._at_close()
                or token.text in _RELATION_COMMANDS
                or token.text in _SET_OPERATORS
                or token.text in ("pm", "mp", "&", "#")
            )
        return token.kind not in _ENDS_ITEM

    def _next_to(self, left: Node) -> Node:
        """What stands beside a factor: a mixed number's fraction, or a factor of a product."""
        token = self.peek()
        is_whole = isinstance(left, Number) and left.digits is None and left.value.denominator == 1
        if token.kind == "number" and isinstance(left, Number | Quantity):
            if is_whole and token.spaced and self.peek(1).text == "/":
                return Apply("+", (left, self._plain_fraction()))
            raise CannotParse("two numbers side by side")
        if token.spaced and isinstance(left, Number) and (unit := self._letter_unit()):
            return Quantity(left, unit)
        right = self.factor()
        if is_whole and token.text in ("frac", "{"):
            fraction = right.value if isinstance(right, Quantity) else right
            if _is_proper_fraction(fraction):
                mixed = Apply("+", (left, fraction))
                return Quantity(mixed, right.unit) if isinstance(right, Quantity) else mixed
        return joined("*", left, right)

    def _letter_unit(self) -> str:
        """`m`, `m/s`, `m/s^2` when nothing follows; else ""."""
        rest = self.tokens[self.position :]
        if len(rest) > 5 or not rest or rest[0].text not in LETTER_UNITS:
            return ""
        is_unit = all(
            token.text in "/^23" or token.kind == "unit" or token.text in LETTER_UNITS
            for token in rest
        )
        if not is_unit or rest[0].kind != "letter":
            return ""
        self.position = len(self.tokens)
        return "".join(token.text for token in rest)

    def _plain_fraction(self) -> Node:
        numerator = self.factor()
        self.next()
        return Apply("/", (numerator, self.factor()))

    def _factor_or_words(self) -> Node:
        if self.peek().kind in ("word", "unit"):
            return self._words()
        return self.factor()

    def _with_words(self, left: Node) -> Node:
        """A unit when nothing but words is left of the item, else a product with words."""
        start = self.position
        unit = self._unit_words()
        token = self.peek()
        at_end = self._at_close() or self._at_separator() or self._relation_operator() is not None
        if at_end or self._plus_or_minus():
            return Quantity(left, " ".join(unit))
        if token.text == "(" and self._closes_after_words():
            return Quantity(left, " ".join(unit))
        self.position = start
        return Apply("*", (left, self._words()))

    def _words(self) -> Node:
        found = [self.next().text]
        while self.peek().kind in ("word", "unit"):
            found.append(self.next().text)
        return Text(" ".join(found).casefold())

    def _unit_words(self) -> list[str]:
        found: list[str] = []
        while True:
            token = self.peek()
            if token.kind in ("word", "unit"):
                found.append(self.next().text.casefold())
            elif found and token.text == "^":
                found.append(self._unit_power())
            elif (
                found
                and token.text in ("/", "cdot")
                and self.peek(1).kind
                in (
                    "word",
                    "unit",
                    "letter",
                )
            ):
                self.next()
                found += ["per" if token.text == "/" else "", self.next().text]
            else:
                return found

    def _unit_power(self) -> str:
        self.next()
        return "^" + self.raw_argument()

    def _closes_after_words(self) -> bool:
        """Whether the bracket that follows holds only words and ends the item: `5 cm (exact)`."""
        index = self.position + 1
        while index < len(self.tokens) and self.tokens[index].kind in ("word", "unit"):
            index += 1
        closes = index < len(self.tokens) and self.tokens[index].text == ")"
        if closes and index == len(self.tokens) - 1:
            self.position = index + 1
            return True
        return False


def _is_proper_fraction(node: Node) -> bool:
    match node:
        case Apply("/", (Number() as top, Number() as bottom)):
            return top.value < bottom.value
    return False
