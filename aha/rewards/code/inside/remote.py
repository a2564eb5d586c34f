"""What the tests may do with an object of the program that is not plain data.

The danger is an object that agrees with everything: `__eq__` that returns True, a difference that
is always 0. So an operator between such an object and plain data is performed only for classes
that the tests themselves name; other objects can be called, iterated and looked into, and what
comes out as plain data is compared as plain data.
"""

from typing import Any

from aha.rewards.code.inside.peer import Peer, Remote

_OWN = ("_peer", "_number", "_class_name")


class Proxy(Remote):
    """A remote object as the tests see it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__name__", "__doc__", "__dict__"):
            raise AttributeError(name)
        return self._peer.ask("get", self._number, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OWN:
            object.__setattr__(self, name, value)
        else:
            self._peer.ask("set", self._number, name, value)

    def _apply(self, name: str, *args: Any) -> Any:
        return self._peer.ask("operator", None, name, *args)

    def _is_named(self) -> bool:
        return self._class_name in self._peer.namespace.get(TRUSTED, ())

    def _compare(self, name: str, other: Any) -> Any:
        if not (self._is_named() or isinstance(other, Remote)):
            raise TypeError(f"a {self._class_name} of the program stands against plain data")
        return self._apply(name, self, other)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Proxy) and other._number == self._number:
            return True
        if not (self._is_named() or isinstance(other, Remote)):
            return False
        return bool(self._apply("eq", self, other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return int(self._apply("hash", self))

    def __bool__(self) -> bool:
        return bool(self._apply("truth", self))

    def __len__(self) -> int:
        return int(self._apply("len", self))

    def __iter__(self) -> Any:
        return self._apply("iter", self)

    def __next__(self) -> Any:
        return self._apply("next", self)

    def __contains__(self, item: Any) -> bool:
        return bool(self._compare("contains", item))

    def __getitem__(self, key: Any) -> Any:
        return self._apply("getitem", self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._apply("setitem", self, key, value)

    def __delitem__(self, key: Any) -> None:
        self._apply("delitem", self, key)

    def __str__(self) -> str:
        return str(self._apply("str", self))

    def __repr__(self) -> str:
        return str(self._apply("repr", self))

    def __enter__(self) -> Any:
        return self._peer.ask("call", self._peer.ask("get", self._number, "__enter__")._number, "")

    def __exit__(self, *_: Any) -> None:
        leave = self._peer.ask("get", self._number, "__exit__")
        self._peer.ask("call", leave._number, "", None, None, None)

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, Remote) and bool(self._apply("isinstance", instance, self))

    def __subclasscheck__(self, cls: Any) -> bool:
        return isinstance(cls, Remote) and bool(self._apply("issubclass", cls, self))


TRUSTED = "__aha_named_by_tests__"
"""Key of a namespace: the names of classes that the tests name."""


def _binary(name: str) -> None:
    def forward(self: Proxy, other: Any) -> Any:
        return self._compare(name, other)

    def backward(self: Proxy, other: Any) -> Any:
        if not self._is_named():
            raise TypeError(f"a {self._class_name} of the program stands against plain data")
        return self._apply(name, other, self)

    plain = name.rstrip("_")
    setattr(Proxy, f"__{plain}__", forward)
    setattr(Proxy, f"__r{plain}__", backward)


for _name in (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"),
    *("and_", "or_", "xor", "lshift", "rshift", "lt", "le", "gt", "ge"),
):
    _binary(_name)


def _unary(name: str) -> None:
    def apply(self: Proxy) -> Any:
        if not self._is_named():
            raise TypeError(f"a {self._class_name} of the program where plain data is expected")
        return self._apply(name, self)

    setattr(Proxy, f"__{name}__", apply)


for _name in ("neg", "pos", "abs", "invert", "int", "float", "index", "round"):
    _unary(_name)


def make_proxy(peer: Peer, number: int, class_name: str) -> Proxy:
    return Proxy(peer, number, class_name)
