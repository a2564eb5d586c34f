"""The process of the tests: runs them against a program that lives in another process.

The program cannot see the expected values, end this process, or put its own functions in the place
of `abs`, `print` or the harness: names that the tests import or that are Python's own are this
process's. The results go to the host over a descriptor that only this process has.
"""

import builtins
import json
import marshal
import os
import signal
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

from aha.rewards.code.inside import collect, pytest_shim
from aha.rewards.code.inside.names import wanted_names
from aha.rewards.code.inside.peer import Peer, ProgramGone
from aha.rewards.code.inside.remote import TRUSTED, make_proxy
from aha.rewards.sandbox.inside import guest, prelude

SOLUTION_NAMES = (
    "solution", "main", "candidate", "submission", "your_module", "program", "module", "answer",
)  # fmt: skip
"""Modules that tests import the program from."""


ALIASES = {"np": "numpy", "pd": "pandas", "dt": "datetime"}


class TestTimeout(BaseException):
    """A test went over its time; the program is taken to hang."""


class Broken(Exception):
    """The tests themselves cannot run: an error of the data, not of the program."""


def judge(payload: bytes, channel: int) -> int:
    """Run all tests; JSON lines to the results descriptor: one a test, then `done`."""
    job = marshal.loads(payload)
    results = channel + 1
    guest.open_standard_streams()
    supplied = prelude.names_in(job["prelude"], job["setup"], *job["tests"])
    names: dict[str, Any] = {**supplied, "__name__": "tests"}
    peer = Peer(channel, is_guarded=True, namespace=names)
    peer.make_remote = make_proxy
    peer.show_output = lambda text: sys.stdout.write(text)
    try:
        problem = peer.receive().get("loaded")
    except ProgramGone:
        problem = "it ended while it was loaded"
    try:
        if problem:
            _report(results, {"unloadable": str(problem)})
        else:
            _run(job, peer, names, results)
    except Broken as error:
        _report(results, {"broken": str(error)})
    _report(results, {"done": True})
    return 0


def _run(job: dict[str, Any], peer: Peer, names: dict[str, Any], results: int) -> None:
    setup = _compile(job["setup"], "setup.py")
    codes = [_compile(source, f"test_{n}.py") for n, source in enumerate(job["tests"])]
    before = dict(names)
    _trusted_code(job["prelude"], names)
    given = {name for name in names if names[name] is not before.get(name)}
    wanted = wanted_names(
        [job["setup"], *job["tests"]],
        supplied=prelude.SUPPLIED.keys(),
        given=given,
        entry_point=job["entry_point"],
    )
    names[TRUSTED] = wanted.needed
    _take_names(peer, wanted.needed, names)
    _take_names(peer, wanted.if_defined, names, is_optional=True)
    _install_modules(peer, names)
    _guarded(lambda: exec(setup, names), peer, 0)
    number = 0
    for source, code in zip(job["tests"], codes, strict=True):
        for label, test in _tests_of(code, source, job, names):
            failure = _attempt(test, peer, job["seconds_per_test"])
            _report(results, {"test": number, "failure": failure, "label": label})
            number += 1
            if failure and (peer.is_gone or not job["run_all"]):
                return


def _tests_of(
    code: types.CodeType, source: str, job: dict[str, Any], names: dict[str, Any]
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """One assert, one script, or the test functions that a module defines."""
    if not job["is_module"]:
        yield (
            source.strip().splitlines()[0][:120] if source.strip() else "",
            lambda: exec(code, names),
        )
        return
    outcome: list[BaseException] = []
    found = collect.run_module(code, names, outcome, job["entry_point"])
    if outcome:
        yield "test module", _raiser(outcome[0])
        return
    yield from found if found else [("test module", lambda: None)]


def _raiser(error: BaseException) -> Callable[[], Any]:
    def fail() -> None:
        raise error

    return fail


def _attempt(test: Callable[[], Any], peer: Peer, seconds: float) -> str:
    """Empty, or in words why the test failed."""
    try:
        _guarded(test, peer, seconds)
    except Broken:
        raise
    except TestTimeout:
        peer.is_gone = True
        return "timeout"
    except ProgramGone:
        return "the program ended"
    except pytest_shim.Skipped:
        return ""
    except BaseException as error:
        _blame(error)
        text = str(error).splitlines()
        return f"{type(error).__name__}: {text[0]}"[:300] if text else type(error).__name__
    return "the program ended" if peer.is_gone else ""


def _guarded(work: Callable[[], Any], peer: Peer, seconds: float) -> None:
    """Run within a time; `seconds` 0 leaves the clock to the host."""

    def ring(*_: Any) -> None:
        raise TestTimeout

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        work()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _blame(error: BaseException) -> None:
    """Raises Broken where the tests need a module that is not installed."""
    if isinstance(error, ModuleNotFoundError) and error.name not in (None, *SOLUTION_NAMES):
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        raise Broken(f"the tests need the module {error.name!r}") from None


def _compile(source: str, file: str) -> types.CodeType:
    try:
        return compile(source, file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Broken(f"the tests do not compile: {error}") from None


def _trusted_code(source: str, names: dict[str, Any]) -> None:
    """Helpers that the task gave to the program as well, run here from the task's own text."""
    if source.strip():
        code = _compile(source, "prelude.py")
        try:
            exec(code, names)
        except BaseException as error:
            raise Broken(f"the task's own code raised {type(error).__name__}: {error}") from None


def _take_names(
    peer: Peer, wanted: set[str], names: dict[str, Any], *, is_optional: bool = False
) -> None:
    """Bind the program's names here; modules and standard things are this process's own.

    `is_optional`: only what the program itself defines.
    """
    if not wanted:
        return
    order = sorted(wanted)
    try:
        taken = peer.ask("take", None, "", order)
    except ProgramGone:
        return
    for name, (said, value) in zip(order, taken, strict=False):
        kind, _, detail = str(said).partition(":")
        if is_optional and kind not in ("own", "exception"):
            continue
        if is_optional:
            names[TRUSTED].add(name)
        if kind == "exception":
            names[name] = type(peer.exception(detail.split(","), ()))
        elif kind == "own" or (kind == "standard" and not hasattr(builtins, name)):
            names[name] = value
        elif kind == "module" and detail == ALIASES.get(name, name) and detail in sys.modules:
            names[name] = sys.modules[detail]


class _SolutionModule(types.ModuleType):
    """`from solution import name` in a test."""

    def __init__(self, name: str, peer: Peer, names: dict[str, Any]):
        super().__init__(name)
        self.__dict__["_take"] = lambda wanted: _take_names(peer, {wanted}, names)
        self.__dict__["_names"] = names
        self.__dict__["__all__"] = sorted(names[TRUSTED] & names.keys())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self._names[TRUSTED].add(name)
        kept = self._names.pop(name, None)
        self._take(name)
        if name not in self._names:
            if kept is not None:
                self._names[name] = kept
            raise AttributeError(f"the program does not define {name!r}")
        return self._names[name]


def _install_modules(peer: Peer, names: dict[str, Any]) -> None:
    for name in SOLUTION_NAMES:
        sys.modules[name] = _SolutionModule(name, peer, names)
    pytest_shim.install()


def _report(results: int, message: dict[str, Any]) -> None:
    os.write(results, json.dumps(message).encode() + b"\n")
