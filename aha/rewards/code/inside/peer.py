"""Calls in both directions over a socket: the tests call the program, the program calls back.

Objects that are plain data travel by value, arguments that the other side changes in place are
changed here as well, everything else stays where it is and travels as a handle.
"""

import builtins
import json
import socket
import struct
from collections.abc import Callable
from typing import Any

from aha.rewards.code.inside.wire import MUTABLE, Decoder, Encoder, Node, WireError

HEADER = struct.Struct("!I")
MOST_BYTES = 256 << 20
RECORD_MODULES = ("aha.rewards.sandbox.inside.prelude",)
"""Classes that both sides have: LeetCode's list and tree nodes."""


class ProgramGone(BaseException):
    """The other process has ended: no `except Exception` of a test takes that for an answer."""


class Peer:
    """One end; `is_guarded`, for the tests: the other side may only call what it was given."""

    def __init__(self, fd: int, *, is_guarded: bool, namespace: dict[str, Any]):
        self.socket = socket.socket(fileno=fd)
        self.is_guarded = is_guarded
        self.namespace = namespace
        """Where classes of objects that travel by value are looked up."""
        self.exports: dict[int, Any] = {}
        self.is_gone = False
        self.make_remote: Callable[[Peer, int, str], Any] = Remote
        self.take_output: Callable[[], str] = str
        self.show_output: Callable[[str], object] = len
        self.exceptions: dict[str, type[BaseException]] = {}

    # --- messages

    def send(self, message: Any) -> None:
        data = json.dumps(message).encode()
        try:
            self.socket.sendall(HEADER.pack(len(data)) + data)
        except OSError:
            self.is_gone = True
            raise ProgramGone from None

    def receive(self) -> dict[str, Any]:
        size = HEADER.unpack(self._exactly(HEADER.size))[0]
        if size > MOST_BYTES:
            self.is_gone = True
            raise ProgramGone
        try:
            message = json.loads(self._exactly(size))
        except ValueError:
            message = None
        if not isinstance(message, dict):
            self.is_gone = True
            raise ProgramGone
        return message

    def _exactly(self, count: int) -> bytes:
        parts: list[bytes] = []
        while count:
            part = self.socket.recv(min(count, 1 << 20))
            if not part:
                self.is_gone = True
                raise ProgramGone
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    # --- values

    def node(self, value: Any, encoder: Encoder) -> Node:
        """What is not plain data: an object by value where both sides know the class, a handle."""
        if isinstance(value, Remote) and value._peer is self:
            return ["yours", value._number]
        name = type(value).__name__
        if self._is_record(value):
            return ["object", name, encoder.pairs(vars(value)), self._export(value)]
        return ["handle", self._export(value), name]

    def _is_record(self, value: Any) -> bool:
        """Whether an object is no more than its attributes, of a class that both sides may have."""
        cls = type(value)
        known = self.namespace.get(cls.__name__) is cls or cls.__module__ in RECORD_MODULES
        return known and hasattr(value, "__dict__") and not isinstance(value, BaseException)

    def _export(self, value: Any) -> int:
        self.exports[id(value)] = value
        return id(value)

    def resolve(self, node: Node, decoder: Decoder) -> Any:
        if node[0] == "yours":
            return self.exports[node[1]]
        if node[0] == "object":
            cls = self.namespace.get(node[1])
            if isinstance(cls, type) and not issubclass(cls, BaseException):
                return decoder.later(object.__new__(cls), node)
            return self.make_remote(self, node[3], node[1])
        if node[0] == "handle":
            return self.make_remote(self, node[1], node[2])
        raise WireError(f"unknown node {node[0]!r}")

    # --- asking

    def ask(
        self, operation: str, target: int | None, name: str, /, *args: Any, **kwargs: Any
    ) -> Any:
        """An operation on the other side; returns its value or raises its exception."""
        encoder = Encoder(self.node)
        value = encoder.encode([args, kwargs])
        self.send({"do": operation, "target": target, "name": name, "value": value})
        while "do" in (answer := self.receive()):
            self.answer(answer)
        try:
            value, error = self._understand(answer, encoder.objects)
        except (WireError, LookupError, TypeError, ValueError, AttributeError) as problem:
            raise ValueError(f"the program's answer cannot be read: {problem}") from None
        if error is not None:
            raise error
        return value

    def _understand(
        self, answer: dict[str, Any], sent: list[Any]
    ) -> tuple[Any, BaseException | None]:
        if answer.get("printed"):
            self.show_output(str(answer["printed"]))
        decoder = Decoder(answer.get("value"), self.resolve, sent)
        value = decoder.decode()
        for index, node in answer.get("changes", ()):
            decoder.later(sent[index], node)
        decoder.fill()
        return value, self.exception(answer["raised"], value) if "raised" in answer else None

    def exception(self, names: list[str], args: Any) -> BaseException:
        """The exception of the other side: a builtin one, or a class here with the same name."""
        bases = [getattr(builtins, name, None) for name in names]
        base = next(
            (b for b in bases if isinstance(b, type) and issubclass(b, BaseException)), None
        )
        cls = self.exceptions.get(names[0]) or base or Exception
        if cls.__name__ != names[0]:
            cls = self.exceptions[names[0]] = type(names[0], (cls,), {})
        try:
            error = cls.__new__(cls, *args)
        except TypeError:
            error = cls.__new__(cls)
        error.args = tuple(args)
        return error

    # --- answering

    def answer(self, request: dict[str, Any]) -> None:
        decoder = Decoder(request.get("value"), self.resolve)
        known: dict[int, int] = {}
        reply: dict[str, Any] = {}
        try:
            args, kwargs = decoder.decode()
            known = {id(value): index for index, value in decoder.objects.items()}
            value = self.perform(request["do"], request["target"], request["name"], args, kwargs)
        except ProgramGone:
            raise
        except BaseException as error:
            reply["raised"] = [cls.__name__ for cls in type(error).__mro__]
            value = [_plain(arg) for arg in getattr(error, "args", ())]
        encoder = Encoder(self.node, known)
        reply["value"] = encoder.encode(value)
        reply["changes"] = self._changes(request["value"]["nodes"], decoder.objects, encoder)
        reply["printed"] = self.take_output()
        self.send(reply)

    def _changes(
        self, before: list[Node], objects: dict[int, Any], encoder: Encoder
    ) -> list[tuple[int, Node]]:
        """Containers of the request whose content is not what it was."""
        changed = []
        for index, value in objects.items():
            if isinstance(value, MUTABLE) or before[index][0] == "object":
                node = encoder.body(value)
                encoder.finish()
                if node[1:] != _as_sent(before[index])[1:] and node[0] not in ("handle", "yours"):
                    changed.append((index, node))
        return changed

    def perform(self, operation: str, target: int | None, name: str, args: Any, kwargs: Any) -> Any:
        """The guarded end performs calls of what it handed out, nothing else."""
        value = self.exports[target] if target is not None else None
        if operation == "call" and not name:
            return value(*args, **kwargs)  # type: ignore[misc]
        raise PermissionError(f"{operation} {name}")


class Remote:
    """An object of the other process. See `remote.py` for what the tests may do with it."""

    def __init__(self, peer: Peer, number: int, class_name: str):
        self._peer = peer
        self._number = number
        self._class_name = class_name

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._peer.ask("call", self._number, "", *args, **kwargs)


def _as_sent(node: Node) -> Node:
    """A node of the request with its references as the reply writes them."""
    return [[_turn(r) for r in part] if isinstance(part, list) else part for part in node]


def _turn(reference: Any) -> Any:
    return [-1 - reference[0]] if isinstance(reference, list) else reference


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else repr(value)
