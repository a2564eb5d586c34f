"""The process of the tested program: loads it, and performs what the tests ask for.

Everything here shares an interpreter with foreign code, so nothing here is believed: the expected
values and the verdict are in other processes.
"""

import builtins
import io
import json
import marshal
import operator
import os
import signal
import sys
import types
from typing import Any

from aha.rewards.code.inside.peer import Peer, ProgramGone
from aha.rewards.code.inside.wire import Encoder, refuse
from aha.rewards.sandbox.inside import guest, prelude

MODULE = "solution"
MOST_PRINTED = 1 << 20


class _Printed(io.StringIO):
    """Standard output while tests run, a bounded part of it kept for tests that look at it."""

    def write(self, text: str) -> int:
        return super().write(text) if self.tell() < MOST_PRINTED else len(text)

    def take(self) -> str:
        text = self.getvalue()
        if text:
            self.seek(0)
            self.truncate()
        return text


class SolutionPeer(Peer):
    """The program's end: it does whatever the tests ask."""

    def perform(self, operation: str, target: int | None, name: str, args: Any, kwargs: Any) -> Any:
        if operation == "take":
            return [self.take(wanted) for wanted in args[0]]
        if operation == "operator":
            function = getattr(operator, name, None) or getattr(builtins, name)
            return function(*args)
        value = self.exports[target] if target is not None else None
        if operation == "call":
            return value(*args, **kwargs)  # type: ignore[misc]
        if operation == "get":
            return getattr(value, name)
        if operation == "set":
            return setattr(value, name, args[0])
        raise ValueError(operation)

    def take(self, name: str) -> tuple[str, Any]:
        """What a name is, and its value unless the tests have that themselves."""
        kind = self.describe(name)
        return kind, self.namespace[name] if kind.startswith(("own", "standard")) else None

    def describe(self, name: str) -> str:
        """`missing`, `module`, `standard:MODULE` (imported from there), `exception`, `own`."""
        missing = object()
        value = self.namespace.get(name, missing)
        if value is missing:
            return "missing"
        if isinstance(value, types.ModuleType):
            return f"module:{value.__name__}"
        home = getattr(value, "__module__", None)
        if isinstance(home, str) and home != MODULE and callable(value):
            return f"standard:{home}"
        if isinstance(value, type) and issubclass(value, BaseException):
            bases = [cls.__name__ for cls in value.__mro__]
            return "exception:" + ",".join(bases)
        return "own"


def serve(payload: bytes, channel: int) -> int:
    """Load the program, say so, and answer until the tests hang up."""
    job = marshal.loads(payload)
    guest.write_files(job["files"])
    guest.open_standard_streams()
    sys.argv = [f"{MODULE}.py"]
    supplied = prelude.names_in(job["prelude"], job["source"])
    module = guest.new_module(MODULE, f"{MODULE}.py", supplied)
    peer = SolutionPeer(channel, is_guarded=False, namespace=module.__dict__)
    try:
        peer.send({"loaded": _load(job, module)})
        printed = _Printed()
        sys.stdout, peer.take_output = printed, printed.take
        while True:
            peer.answer(peer.receive())
    except ProgramGone:
        return 0


def _load(job: dict[str, Any], module: types.ModuleType) -> str:
    """The task's own code, then the program: empty, or the last line of why it did not load."""
    kept, sys.stderr = sys.stderr, io.StringIO()
    try:
        if job["prelude"]:
            guest.execute(job["prelude"], module, "prelude.py")
        status = guest.execute(job["source"], module, f"{MODULE}.py")
        said = sys.stderr.getvalue().strip()
    finally:
        sys.stderr = kept
    if status == 0:
        return ""
    return said.splitlines()[-1][:300] if said else f"it exited with status {status}"


def call_all(payload: bytes, channel: int) -> int:
    """Call one function with each set of arguments; one JSON line a result to `channel`.

    The results are compared by the host, which alone knows what they should be.
    """
    job = marshal.loads(payload)
    guest.write_files(job["files"])
    guest.open_standard_streams()
    sys.argv = [f"{MODULE}.py"]
    supplied = prelude.names_in(job["prelude"], job["source"])
    module = guest.new_module(MODULE, f"{MODULE}.py", supplied)
    problem = _load(job, module)
    _write(channel, {"loaded": problem})
    if problem:
        return 1
    for args, kwargs in marshal.loads(job["calls"]):
        _limit_seconds(job["seconds_per_call"])
        _write(channel, _call(module.__dict__, job["function"], args, kwargs))
    return 0


def _call(names: dict[str, Any], function: str, args: Any, kwargs: Any) -> dict[str, Any]:
    try:
        found = find_function(names, function)
        return {"value": Encoder(refuse).encode(found(*args, **kwargs))}
    except BaseException as error:
        return {"raised": f"{type(error).__name__}: {error}"[:300]}


def find_function(names: dict[str, Any], function: str) -> Any:
    """The named function: of a class `Solution`, as LeetCode has it, or of the module."""
    solution = names.get("Solution")
    if isinstance(solution, type) and hasattr(solution, function):
        return getattr(solution(), function)
    if function in names:
        return names[function]
    raise NameError(f"the program does not define {function!r}")


def _limit_seconds(seconds: float) -> None:
    """A courtesy that ends endless loops early; a program that gets round it meets the host's."""
    signal.signal(signal.SIGALRM, lambda *_: os._exit(124))
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _write(channel: int, message: dict[str, Any]) -> None:
    data = memoryview(json.dumps(message).encode() + b"\n")
    while data:
        data = data[os.write(channel, data) :]
