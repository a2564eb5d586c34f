"""A worker process of the verifier service: `python -m aha.rewards.worker PARENT MEMORY_BYTES`.

It reads calls from its stdin and writes results to its stdout, each a frame: one letter, 8 bytes of
length, a pickle. Before the first line of a verifier runs, both pipes move to other descriptors, so
that nothing a verifier prints or reads can get between the frames. Letters: `C` a call (module,
function, args); `S` the function is imported, its clock starts now; `P` it calls another one, whose
imports stop the clock until the next `S`; `R` the value it returned; `E` what it raised, in words.
"""

import contextlib
import importlib
import logging
import os
import pickle
import struct
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO, NamedTuple

from aha.errors import UserError

HEADER = struct.Struct("<cQ")
CALL, PREPARING, STARTED, RETURNED, RAISED = b"C", b"P", b"S", b"R", b"E"
MAX_REASON_CHARS = 500

is_worker = False
"""True in a worker process: there the service runs calls in place, under the caller's clock."""


class Failure(NamedTuple):
    """What a verifier raised."""

    reason: str
    ends_worker: bool
    """Memory ran out, or the verifier wanted to exit: the process is not used again."""


def frame(letter: bytes, value: object) -> bytes:
    """A frame as it goes over the pipe. Raises what pickle raises for what cannot be sent."""
    body = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return HEADER.pack(letter, len(body)) + body


class Verifier:
    """An imported function.

    What its module makes ready happens before the clock of a call starts: `warm_up()`, if there is
    one, at the import, and `prepare(*args)` before each call.
    """

    def __init__(self, module: str, function: str):
        loaded = importlib.import_module(module)
        self.function: Callable[..., Any] = getattr(loaded, function)
        self._prepare = getattr(loaded, "prepare", None)
        warm_up = getattr(loaded, "warm_up", None)
        if warm_up is not None:
            warm_up()

    def prepare(self, args: tuple[Any, ...]) -> None:
        if self._prepare is not None:
            self._prepare(*args)


def failure_of(error: BaseException, function: str) -> Failure:
    """In words; never raises, whatever the exception's own text does."""
    try:
        text = str(error)[:MAX_REASON_CHARS]
    except Exception:
        text = "(its text cannot be shown)"
    if isinstance(error, MemoryError):
        return Failure(f"{function} ran out of memory", True)
    if isinstance(error, UserError):
        return Failure(text + (f" ({error.hint})" if error.hint else ""), False)
    says = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return Failure(f"{function} raised {says}", not isinstance(error, Exception))


def main() -> None:
    """Serve calls until the pipe is closed."""
    global is_worker, _tell
    is_worker = True
    calls, replies = _take_pipes()
    _die_with(int(sys.argv[1]))
    _limit_memory(int(sys.argv[2]))
    logging.lastResort = None  # libraries' warnings about a model's text are not for the terminal
    _tell = partial(_write, replies)
    while (call := _read_call(calls)) is not None:
        replies.write(_answer(call))
        replies.flush()


def call_in_place(module: str, function: str, args: tuple[Any, ...]) -> Any:
    """A call by a verifier in this worker: under the same clock, but for imports."""
    if (module, function) not in _verifiers:
        _tell(PREPARING)
        try:
            _verifier(module, function)
        finally:
            _tell(STARTED)
    return _verifier(module, function).function(*args)


_verifiers: dict[tuple[str, str], Verifier] = {}


def _verifier(module: str, function: str) -> Verifier:
    if (module, function) not in _verifiers:
        _verifiers[module, function] = Verifier(module, function)
    return _verifiers[module, function]


def _answer(call: bytes) -> bytes:
    name = "the call"
    try:
        module, name, args = pickle.loads(call)
        verifier = _verifier(module, name)
        verifier.prepare(args)
        _tell(STARTED)
        return frame(RETURNED, verifier.function(*args))
    except BaseException as error:  # a verifier may even exit: its failure is a verdict
        return frame(RAISED, failure_of(error, name))


def _tell(letter: bytes) -> None:
    """Say how far a call is; nobody listens outside of a worker."""


def _write(replies: BinaryIO, letter: bytes) -> None:
    replies.write(frame(letter, None))
    replies.flush()


def _read_call(calls: BinaryIO) -> bytes | None:
    header = calls.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    _, size = HEADER.unpack(header)
    body = calls.read(size)
    return body if len(body) == size else None


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep the pipes for ourselves; a verifier reads nothing and prints to stderr."""
    calls = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return calls, replies


def _die_with(parent: int) -> None:
    from aha.pipeline.processes import die_with_parent

    die_with_parent(parent)


def _limit_memory(num_bytes: int) -> None:
    """An allocation beyond the limit raises MemoryError. No-op where the system cannot do it.

    RLIMIT_DATA counts memory that may be written, not address space: libraries that reserve much
    and use little (torch, node) still start. The service watches the resident size besides. If the
    machine itself runs out, the kernel is to end a worker and not the training.
    """
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")
    try:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        soft = num_bytes if hard == resource.RLIM_INFINITY else min(num_bytes, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    except (ImportError, OSError, ValueError):
        return


if __name__ == "__main__":
    # Under the module's real name, so that `is_worker` is the flag the service reads.
    importlib.import_module("aha.rewards.worker").main()
