"""Atoms of the answer grammar: numbers, names, brackets, fractions, functions, matrices."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from aha.rewards.math import names
from aha.rewards.math.lexer import END, FUNCTIONS, Token, raw_argument, read_number
from aha.rewards.math.tree import (
    MAX_DEPTH,
    Apply,
    Based,
    CannotParse,
    Group,
    Matrix,
    Node,
    Number,
    Quantity,
    Symbol,
    Text,
    joined,
)


class AtomParser(ABC):
    """Tokens in, atoms out; what is between atoms is the subclass's."""

    def __init__(self, tokens: list[Token]):
        self.tokens = tokens
        self.position = 0
        self.bars = 0
        self._depth = 0

    @abstractmethod
    def items(self) -> Node: ...

    @abstractmethod
    def sum(self) -> Node: ...

    @abstractmethod
    def relation(self) -> Node: ...

    def peek(self, ahead: int = 0) -> Token:
        index = self.position + ahead
        return self.tokens[index] if index < len(self.tokens) else END

    def next(self) -> Token:
        token = self.peek()
        self.position += 1
        return token

    def expect(self, *texts: str) -> str:
        token = self.next()
        if token.text not in texts or token.kind not in ("sign", "command"):
            raise CannotParse(f"expected {texts[0]!r}, found {token.text!r}")
        return token.text

    @contextmanager
    def deeper(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise CannotParse(f"more than {MAX_DEPTH} levels deep")
        yield
        self._depth -= 1

    def is_letter_union(self, left: Node) -> bool:
        """Whether `U` between two brackets stands for a union."""
        token, after = self.peek(), self.peek(1)
        return (
            token.kind == "letter" and token.text == "U" and after.text in ("(", "[", "{")
            and isinstance(left, Group | Apply)
        )  # fmt: skip

    def factor(self) -> Node:
        with self.deeper():
            node = self._atom()
            while (after := self._postfix(node)) is not None:
                node = after
        return node

    def _postfix(self, node: Node) -> Node | None:
        token = self.peek()
        if token.kind == "command":
            return self._postfix_command(node, token)
        if token.kind != "sign":
            return None
        if token.text in ("^", "**"):
            self.next()
            return self._power(node)
        if token.text == "_":
            self.next()
            return self._subscript(node)
        if token.text in ("!", "'", "%"):
            self.next()
            return Quantity(node, "%") if token.text == "%" else Apply(token.text, (node,))
        if token.text in names.CURRENCY:
            self.next()
            return node
        return None

    def _postfix_command(self, node: Node, token: Token) -> Node | None:
        if token.text == "%":
            self.next()
            return Quantity(node, "%")
        if token.text in ("degree", "circ"):
            self.next()
            return Quantity(node, "deg")
        if token.text == "prime":
            self.next()
            return Apply("'", (node,))
        return None

    def _power(self, base: Node) -> Node:
        if (mark := self._mark()) is not None:
            return (
                base
                if mark == "ordinal"
                else Quantity(base, "deg")
                if mark == "deg"
                else Apply("'", (base,))
            )
        return Apply("^", (base, self._exponent()))

    def _mark(self) -> str | None:
        r"""`^\circ`, `^{\circ}`, `^{th}`, `^\prime`: marks, not exponents."""
        braced = self.peek().text == "{" and self.peek().kind == "sign"
        raw, end = raw_argument(self.tokens, self.position)
        mark = names.MARKS.get(raw)
        if mark is None or (raw == "o" and not braced):
            return None
        self.position = end
        return mark

    def raw_argument(self) -> str:
        raw, self.position = raw_argument(self.tokens, self.position)
        return raw

    def _exponent(self) -> Node:
        token = self.peek()
        if token.kind == "sign" and token.text in ("-", "+"):
            self.next()
            inner = self._exponent()
            return Apply("neg", (inner,)) if token.text == "-" else inner
        if token.text == "{" and token.kind == "sign":
            return self._braces()
        base = self._atom()
        if self.peek().text in ("^", "**"):  # 2^3^4 is a tower
            with self.deeper():
                self.next()
                return self._power(base)
        return base

    def _subscript(self, base: Node) -> Node:
        raw = self.raw_argument()
        match base:
            case Number(value, None) if raw.isdigit() and value.denominator == 1:
                if 2 <= int(raw[:4]) <= 36:
                    return Based(str(value.numerator), int(raw))
            case Symbol(name):
                return Symbol(f"{name}_{raw}")
            case Apply(name, (Group("", "", ()),)) if name:
                return Symbol(f"{name}_{raw}")
        return Apply("sub", (base, Text(raw)))

    def _atom(self) -> Node:
        token = self.next()
        if token.kind == "number":
            return read_number(token.text)
        if token.kind == "letter":
            return self._name(token.text)
        if token.kind in ("word", "unit"):
            return Text(token.text.casefold())
        if token.kind == "command":
            return self._command(token.text)
        if token.kind == "sign":
            return self._sign(token.text)
        raise CannotParse("the answer breaks off" if token is END else f"unexpected {token.text!r}")

    def _name(self, name: str) -> Node:
        if name in names.CALLED and self.peek().text == "(" and self.peek().kind == "sign":
            self.next()
            arguments = self._until(")")
            return Apply(name, arguments)
        return Symbol(names.CONSTANT_NAMES.get(name, name))

    def _sign(self, text: str) -> Node:
        if text in names.CURRENCY:
            return self._atom()
        if text == "{":
            self.position -= 1
            return self._braces()
        if text in "([":
            return self._bracket(text)
        if text == "|":
            return self._bars()
        if text in ("+", "-"):
            inner = self.factor()
            return Apply("neg", (inner,)) if text == "-" else inner
        raise CannotParse(f"unexpected {text!r}")

    def _braces(self) -> Node:
        self.expect("{")
        if self.peek().text == "}" and self.peek().kind == "sign":
            self.next()
            return Group("", "", ())
        bars, self.bars = self.bars, 0
        with self.deeper():
            node = self.items()
        self.bars = bars
        self.expect("}")
        return node

    def _until(self, *closing: str) -> tuple[Node, ...]:
        bars, self.bars = self.bars, 0
        if self.peek().text == closing[0]:
            self.next()
            return ()
        with self.deeper():
            node = self.items()
        self.bars = bars
        self.closing = self.expect(*closing)
        return node.items if isinstance(node, Group) and not node.opening else (node,)

    def _bracket(self, opening: str) -> Node:
        found = self._until(")", "]") if opening == "(" else self._until("]", ")")
        closing = self.closing if found else names.CLOSING[opening]
        if len(found) == 1 and (opening, closing) in (("(", ")"), ("[", "]")):
            return found[0]
        return Group(opening, closing, found)

    def _bars(self) -> Node:
        self.bars += 1
        with self.deeper():
            node = self.sum()
        self.bars -= 1
        self.expect("|")
        return Apply("|", (node,))

    def _command(self, name: str) -> Node:
        name = names.OTHER_NAMES.get(name, name)
        if name in ("frac", "binom"):
            top = self._digit_argument()
            return Apply("/" if name == "frac" else "binom", (top, self._digit_argument()))
        if name in ("sqrt", "cbrt"):
            return self._root(name)
        if name in FUNCTIONS:
            return self._function(name)
        if name in names.BIG_OPERATORS:
            return self._big(name)
        if name == "begin":
            return self._environment()
        if name in ("{", "lbrace", "langle"):
            return self._special_bracket(name)
        if name in names.FENCES:
            return self._fence(name)
        return self._named(name)

    def _named(self, name: str) -> Node:
        if name in names.EMPTY_SETS:
            return Group("{", "}", ())
        if name in names.IGNORED:
            return self.factor()
        if name in names.DECORATIONS:
            return Apply(name, (self._argument(),))
        if name == "mathbb":
            return Symbol(f"mathbb_{self.raw_argument()}")
        if name in ("pmod", "bmod", "mod"):
            return Apply("mod", (self._argument(),))
        if name in ("}", ")", "]", "\\", "&", "#", "end", "right") or not name.isalpha():
            raise CannotParse(f"unexpected \\{name}")
        return Symbol(names.CONSTANT_NAMES.get(name, name))

    def _digit_argument(self) -> Node:
        r"""An argument of \frac: of bare digits it takes one, \frac12."""
        token = self.peek()
        if token.kind == "number" and len(token.text) > 1 and token.text.isdigit():
            self.tokens[self.position] = token._replace(text=token.text[1:], spaced=False)
            return read_number(token.text[0])
        return self._argument()

    def _argument(self) -> Node:
        token = self.peek()
        if token.text == "{" and token.kind == "sign":
            return self._braces()
        if token.kind == "sign" and token.text == "-":
            self.next()
            return Apply("neg", (self._argument(),))
        with self.deeper():
            return self._atom()

    def _root(self, name: str) -> Node:
        degree: Node = read_number("3" if name == "cbrt" else "2")
        if self.peek().text == "[":
            self.next()
            (degree,) = self._until("]") or (degree,)
        return Apply("root", (self._argument(), degree))

    def _function(self, name: str) -> Node:
        exponent: Node | None = None
        base: Node | None = None
        while self.peek().text in ("^", "_") and self.peek().kind == "sign":
            if self.next().text == "^":
                exponent = self._exponent()
            else:
                base = self._argument()
        arguments = self._function_arguments()
        node = Apply(name, (*arguments, base) if base is not None else arguments)
        return node if exponent is None else Apply("^of", (node, exponent))

    def _function_arguments(self) -> tuple[Node, ...]:
        token = self.peek()
        if token.kind == "sign" and token.text in ("(", "["):
            self.next()
            return self._until(")", "]")
        return (self._open_argument(),)

    def _open_argument(self) -> Node:
        r"""What a function without brackets takes: `\sin 2x \cos x` is sin(2x) cos(x)."""
        node = self.factor()
        while self._continues():
            node = joined("*", node, self.factor())
        if self.peek().text == "/" and self.peek(1).kind == "number":
            self.next()
            node = Apply("/", (node, self.factor()))
        return node

    def _continues(self) -> bool:
        token = self.peek()
        if token.kind == "letter":
            return True
        return token.kind == "command" and (
            token.text in ("pi", "frac", "sqrt", "alpha", "beta", "gamma", "theta", "phi", "varphi")
        )

    def _big(self, name: str) -> Node:
        bounds: list[Node] = []
        while self.peek().text in ("^", "_") and self.peek().kind == "sign":
            sign = self.next().text
            bound = self._argument()
            bounds.insert(0 if sign == "_" else len(bounds), bound)
        return Apply(name, (*bounds, self.sum()))

    def _special_bracket(self, name: str) -> Node:
        if name == "langle":
            return Group("<", ">", self._until("rangle", ">"))
        return self._builder() or Group("{", "}", self._until("}", "rbrace"))

    def _builder(self) -> Node | None:
        r"""`\{x \mid 1 < x\}`, `\{x : x > 1\}`, also with `x \in \mathbb{R}`."""
        start = self.position
        if self.peek().kind != "letter":
            return None
        name = Symbol(self.next().text)
        if self.peek().text == "in":
            self.next()
            self._atom()
        if self.next().text not in ("|", "mid", ":"):
            self.position = start
            return None
        conditions = self._until("}", "rbrace")
        inner = conditions[0] if len(conditions) == 1 else Group("", "", conditions)
        return Apply("builder", (name, inner))

    def _fence(self, name: str) -> Node:
        closing, function = names.FENCES[name]
        with self.deeper():
            node = self.sum()
        self.expect(closing, "|")
        return Apply(function, (node,))

    def _environment(self) -> Node:
        name = self.raw_argument()
        if name == "array":
            self.raw_argument()
        if not name.rstrip("*").endswith(("matrix", "array")):
            raise CannotParse(f"environment {name}")
        rows = self._rows()
        self.expect("end")
        self.raw_argument()
        matrix = Matrix(tuple(rows))
        return Apply("det", (matrix,)) if name in ("vmatrix", "Vmatrix") else matrix

    def _rows(self) -> list[tuple[Node, ...]]:
        rows: list[tuple[Node, ...]] = []
        cells: list[Node] = []
        while self.peek().text != "end":
            if self.peek() is END:
                raise CannotParse("a matrix is not closed")
            with self.deeper():
                cells.append(self.relation())
            separator = self.peek().text
            if separator in ("&", "\\"):
                self.next()
            if separator == "\\":
                rows.append(tuple(cells))
                cells = []
        return [*rows, tuple(cells)] if cells else rows
