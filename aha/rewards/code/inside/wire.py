"""Values between the process of the tests and the process of the program: plain data as JSON.

Never pickle: decoding must not run code. A message is a flat table of nodes, so that depth does
not matter and shared or cyclic structure survives. A reference is an atom itself (None, bool, int,
float, str) or `[index]` of a node, or `[-1 - index]`: the node of the request that is answered.
"""

import collections
import datetime
import decimal
import fractions
import math
import sys
from collections.abc import Callable, Iterable
from typing import Any

Reference = Any
Node = list[Any]

SMALL_INT = 1 << 62
MOST_HASHED = 10_000
"""Parts of a set or a dict that a wary decoder builds: 0.5 s where all hashes are equal."""
MOST_DIGITS = 10_000
MOST_PARTS = 3_000_000
"""Parts of a value that a wary decoder builds."""
_HASHED = ("set", "frozenset", "dict", "counter", "ordered", "default", "keys", "items")
BUILTIN_TYPES = (
    int, float, complex, bool, str, bytes, bytearray, list, tuple, set, frozenset, dict, range,
    object, type,
)  # fmt: skip
_TIMES: dict[str, type[Any]] = {
    "datetime": datetime.datetime,
    "date": datetime.date,
    "time": datetime.time,
}
MUTABLE = (list, dict, set, bytearray, collections.deque)


class WireError(Exception):
    """A message that does not follow the format."""


class Encoder:
    """Builds one message. `fallback(value)` gives the node of what is not plain data."""

    def __init__(
        self, fallback: Callable[[Any, "Encoder"], Node], known: dict[int, int] | None = None
    ):
        self.fallback = fallback
        self.known = known or {}
        self.nodes: list[Node] = []
        self.objects: list[Any] = []
        self._index: dict[int, int] = {}
        self._pending: list[int] = []

    def encode(self, value: Any) -> dict[str, Any]:
        root = self.reference(value)
        self.finish()
        return {"root": root, "nodes": self.nodes}

    def finish(self) -> None:
        while self._pending:
            index = self._pending.pop()
            self.nodes[index] = self.body(self.objects[index])

    def reference(self, value: Any) -> Reference:
        kind = type(value)
        if value is None or kind is bool or kind is str:
            return value
        if kind is int and -SMALL_INT < value < SMALL_INT:
            return value
        if kind is float and math.isfinite(value):
            return value
        if id(value) in self.known:
            return [-1 - self.known[id(value)]]
        if id(value) not in self._index:
            self._index[id(value)] = len(self.nodes)
            self._pending.append(len(self.nodes))
            self.nodes.append([])
            self.objects.append(value)  # also keeps it alive, so that its id stays its own
        return [self._index[id(value)]]

    def body(self, value: Any) -> Node:
        """One node. Subclasses of the plain types are sent as the plain type."""
        for kind, name, build in _CONTAINERS:
            if isinstance(value, kind):
                return [name, *build(self, value)]
        return _scalar(value) or _array(self, value) or self.fallback(value, self)

    def many(self, values: Iterable[Any]) -> list[Reference]:
        return [self.reference(value) for value in values]

    def pairs(self, mapping: Any) -> list[Reference]:
        return [self.reference(part) for item in dict.items(mapping) for part in item]


_CONTAINERS: list[tuple[type, str, Callable[[Encoder, Any], list[Any]]]] = [
    (list, "list", lambda e, v: [e.many(list.__iter__(v))]),
    (tuple, "tuple", lambda e, v: [e.many(tuple.__iter__(v))]),
    (collections.Counter, "counter", lambda e, v: [e.pairs(v)]),
    (collections.defaultdict, "default", lambda e, v: [e.pairs(v)]),
    (collections.OrderedDict, "ordered", lambda e, v: [e.many(p for i in v.items() for p in i)]),
    (dict, "dict", lambda e, v: [e.pairs(v)]),
    (set, "set", lambda e, v: [e.many(set.__iter__(v))]),
    (frozenset, "frozenset", lambda e, v: [e.many(frozenset.__iter__(v))]),
    (collections.deque, "deque", lambda e, v: [e.many(v), v.maxlen]),
    (type({}.keys()), "keys", lambda e, v: [e.many(v)]),
    (type({}.values()), "values", lambda e, v: [e.many(v)]),
    (type({}.items()), "items", lambda e, v: [e.many(part for item in v for part in item)]),
]


def _scalar(value: Any) -> Node | None:
    if isinstance(value, bool | int):
        return ["int", hex(int(value))]
    if isinstance(value, float):
        return ["float", float.hex(value)]
    if isinstance(value, str):
        return ["str", str.__str__(value)]
    if isinstance(value, complex):
        return ["complex", value.real.hex(), value.imag.hex()]
    if isinstance(value, bytes):
        return ["bytes", value.decode("latin-1")]
    if isinstance(value, bytearray):
        return ["bytearray", value.decode("latin-1")]
    if isinstance(value, range):
        return ["range", *(hex(part) for part in (value.start, value.stop, value.step))]
    if isinstance(value, decimal.Decimal):
        return ["decimal", str(value)]
    if isinstance(value, fractions.Fraction):
        return ["fraction", hex(value.numerator), hex(value.denominator)]
    if isinstance(value, datetime.timedelta):
        return ["timedelta", value.days, value.seconds, value.microseconds]
    for name, kind in _TIMES.items():
        if isinstance(value, kind):
            return [name, value.isoformat()]
    if value is Ellipsis:
        return ["ellipsis"]
    if any(value is kind for kind in BUILTIN_TYPES):
        return ["type", value.__name__]
    return None


def _array(encoder: Encoder, value: Any) -> Node | None:
    """Arrays and scalars of numpy, where it is loaded."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    if isinstance(value, numpy.ndarray) and value.dtype.kind in "biufcUS":
        return ["array", value.dtype.str, list(value.shape), encoder.reference(value.tolist())]
    if isinstance(value, numpy.generic):
        return ["same", encoder.reference(value.item())]
    return None


class Decoder:
    """Reads one message. `resolve(node, decoder)` gives the value of handles and objects."""

    def __init__(
        self,
        message: Any,
        resolve: Callable[[Node, "Decoder"], Any],
        sent: list[Any] | None = None,
        *,
        is_wary: bool = False,
    ):
        if not isinstance(message, dict) or not isinstance(message.get("nodes"), list):
            raise WireError("a message without nodes")
        self.message = message
        self.resolve = resolve
        self.sent = sent or []
        self.is_wary = is_wary
        self.objects: dict[int, Any] = {}
        self._unfilled: list[tuple[Any, Node]] = []

    def decode(self) -> Any:
        if self.is_wary:
            check_size(self.message)
        value = self.value(self.message.get("root"))
        self.fill()
        return value

    def fill(self) -> None:
        while self._unfilled:
            shell, node = self._unfilled.pop()
            fill(shell, node, self)

    def value(self, reference: Reference) -> Any:
        if not isinstance(reference, list):
            return reference
        index = reference[0]
        if index < 0:
            return self.sent[-1 - index]
        if index not in self.objects:
            node = self.message["nodes"][index]
            shell = _SHELLS.get(node[0])
            if shell is not None:
                self.objects[index] = shell()
                self._unfilled.append((self.objects[index], node))
            else:
                self.objects[index] = self._whole(node)
        return self.objects[index]

    def later(self, shell: Any, node: Node) -> Any:
        """For `resolve`: the shell of an object whose parts are still to be decoded."""
        self._unfilled.append((shell, node))
        return shell

    def values(self, references: list[Reference]) -> list[Any]:
        return [self.value(reference) for reference in references]

    def _whole(self, node: Node) -> Any:
        """Values that cannot change: their parts come first."""
        if node[0] == "same":
            return self.value(node[1])
        if node[0] in _WHOLE:
            return _WHOLE[node[0]](self, node)
        return self.resolve(node, self)


_SHELLS: dict[str, Callable[[], Any]] = {
    "list": list,
    "dict": dict,
    "set": set,
    "counter": collections.Counter,
    "ordered": collections.OrderedDict,
    "default": dict,
    "bytearray": bytearray,
}


def check_size(message: dict[str, Any]) -> None:
    """Raises WireError for values that cost far more to build, compare or print than to send.

    A list that holds one list twice, which holds one list twice, and so on, is endless to whoever
    walks it: the size counts every part as often as it is reached, and a cycle is refused.
    """
    nodes = message["nodes"]
    sizes: dict[int, int] = {}
    root = message.get("root")
    open_nodes = [root[0]] if isinstance(root, list) else []
    entered: set[int] = set()
    while open_nodes:
        index = open_nodes[-1]
        if index in sizes:
            open_nodes.pop()
            continue
        children = _children(nodes[index])
        waiting = [child for child in dict.fromkeys(children) if child not in sizes]
        if not waiting:
            _refuse_trap(nodes[index])
            sizes[index] = 1 + _width(nodes[index]) + sum(sizes[child] for child in children)
            if sizes[index] > MOST_PARTS:
                raise WireError(f"a value of over {MOST_PARTS} parts")
        elif index in entered:
            raise WireError("a value that holds itself")
        else:
            entered.add(index)
            open_nodes += waiting


def _children(node: Node) -> list[int]:
    """Indices of the nodes that a node refers to."""
    if node[0] == "same":
        return [node[1][0]] if isinstance(node[1], list) else []
    parts = [reference for part in node[1:] if isinstance(part, list) for reference in part]
    return [reference[0] for reference in parts if isinstance(reference, list)]


def _width(node: Node) -> int:
    return sum(len(part) for part in node[1:] if isinstance(part, list))


def _refuse_trap(node: Node) -> None:
    """Keys with equal hashes, huge fractions, arrays of any type."""
    if node[0] == "array":
        raise WireError("an array")
    if node[0] == "fraction" and len(str(node[1])) + len(str(node[2])) > MOST_DIGITS:
        raise WireError("a huge fraction")
    if node[0] in _HASHED and len(node[1]) > MOST_HASHED:
        raise WireError(f"a {node[0]} of {len(node[1])} parts")


def _read_array(decoder: Decoder, node: Node) -> Any:
    import numpy

    nested = decoder.value(node[2 + 1])
    decoder.fill()
    return numpy.array(nested, dtype=node[1]).reshape(node[2])


def _pairs(decoder: Decoder, references: list[Reference]) -> dict[Any, Any]:
    parts = decoder.values(references)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _integer(text: str) -> int:
    return int(text, 16)


_WHOLE: dict[str, Callable[[Decoder, Node], Any]] = {
    "tuple": lambda d, n: tuple(d.values(n[1])),
    "frozenset": lambda d, n: frozenset(d.values(n[1])),
    "deque": lambda d, n: collections.deque(d.values(n[1]), n[2]),
    "keys": lambda d, n: dict.fromkeys(d.values(n[1])).keys(),
    "values": lambda d, n: dict(enumerate(d.values(n[1]))).values(),
    "items": lambda d, n: _pairs(d, n[1]).items(),
    "int": lambda d, n: _integer(n[1]),
    "float": lambda d, n: float.fromhex(n[1]),
    "str": lambda d, n: n[1],
    "complex": lambda d, n: complex(float.fromhex(n[1]), float.fromhex(n[2])),
    "bytes": lambda d, n: n[1].encode("latin-1"),
    "range": lambda d, n: range(*map(_integer, n[1:4])),
    "decimal": lambda d, n: decimal.Decimal(n[1]),
    "fraction": lambda d, n: fractions.Fraction(_integer(n[1]), _integer(n[2])),
    "timedelta": lambda d, n: datetime.timedelta(n[1], n[2], n[3]),
    "datetime": lambda d, n: datetime.datetime.fromisoformat(n[1]),
    "date": lambda d, n: datetime.date.fromisoformat(n[1]),
    "time": lambda d, n: datetime.time.fromisoformat(n[1]),
    "ellipsis": lambda d, n: Ellipsis,
    "type": lambda d, n: {kind.__name__: kind for kind in BUILTIN_TYPES}[n[1]],
    "array": _read_array,
}


def fill(shell: Any, node: Node, decoder: Decoder) -> None:
    """Give a container the content that a node describes, in place."""
    if isinstance(shell, list):
        shell[:] = decoder.values(node[1])
    elif isinstance(shell, collections.Counter | dict):
        content = _pairs(decoder, node[1])
        shell.clear()
        for key, value in content.items():  # `update` of a Counter would add
            shell[key] = value
    elif isinstance(shell, set):
        content_set = decoder.values(node[1])
        shell.clear()
        shell.update(content_set)
    elif isinstance(shell, bytearray):
        shell[:] = node[1].encode("latin-1")
    elif isinstance(shell, collections.deque):
        content_list = decoder.values(node[1])
        shell.clear()
        shell.extend(content_list)
    else:
        vars(shell).update(_pairs(decoder, node[2]))


def refuse(value: Any, encoder: Encoder) -> Node:
    """Fallback of a plain-data encoder: a node that says which type could not be sent."""
    return ["opaque", type(value).__name__]


def no_objects(node: Node, decoder: Decoder) -> Any:
    """Resolver of a plain-data decoder."""
    raise WireError(f"not plain data: {node[1] if len(node) > 1 else node}")
