"""The zygotes of this process: lent to one caller at a time, started when first needed."""

import atexit
import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from aha.errors import UserError
from aha.rewards.sandbox.host import Answer, Job, Zygote
from aha.rewards.sandbox.types import Limits, SandboxFailure

UNSAFE_VARIABLE = "AHA_UNSAFE_CODE"
BACKEND_VARIABLE = "AHA_SANDBOX"
BACKENDS = ("direct", "bwrap")
HINT = (
    "programs run on Linux with user namespaces: in Docker add --security-opt seccomp=unconfined, "
    "on Ubuntu install bubblewrap; --unsafe-code (AHA_UNSAFE_CODE=1) runs them without isolation"
)
PROBE_PROCESSES = 6


@dataclass
class Pool:
    """Idle zygotes, and how many exist; at most one a core works at a time."""

    backend: str
    size: int

    def __post_init__(self) -> None:
        self._places = threading.BoundedSemaphore(self.size)
        self._lock = threading.Lock()
        self._idle: list[Zygote] = []
        self._pid = os.getpid()

    def give(self, zygote: Zygote) -> None:
        with self._lock:
            self._idle.append(zygote)

    @contextmanager
    def lend(self) -> Iterator[Zygote]:
        """A zygote; one whose use fails is ended, and the next caller gets a new one."""
        with self._places:
            zygote = self._take_living() or Zygote.start(self.backend)
            try:
                yield zygote
            except BaseException:
                zygote.close()
                raise
            self.give(zygote)

    def _take_living(self) -> Zygote | None:
        with self._lock:
            while self._idle:
                zygote = self._idle.pop()
                if zygote.process.poll() is None:
                    return zygote
                zygote.close()
        return None

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for zygote in idle:
            if os.getpid() == self._pid:
                zygote.close()


_lock = threading.RLock()
_pool: Pool | None = None
_reason: str | None = None
_is_unsafe_allowed = False


def allow_unsafe(allowed: bool = True) -> None:
    """Run programs without isolation where it cannot be had; what `--unsafe-code` sets."""
    global _is_unsafe_allowed, _reason
    with _lock:
        _is_unsafe_allowed = allowed
        _reason = None
        if _pool is not None and _pool.backend == "unsafe" and not allowed:
            close()


def is_unsafe_allowed() -> bool:
    return _is_unsafe_allowed or os.environ.get(UNSAFE_VARIABLE, "") not in ("", "0")


def is_available() -> str | None:
    """Why programs cannot be isolated here, or None when they can. Starts a zygote to find out."""
    with _lock:
        if _pool is not None and _pool.backend != "unsafe":
            return None
        _try_backends()
        return None if _pool is not None and _pool.backend != "unsafe" else _reason


def backend() -> str:
    """`direct`, `bwrap` or `unsafe`. Raises UserError as `run` does."""
    return _get().backend


def execute(
    jobs: Sequence[Job],
    *,
    timeout_seconds: float,
    preload: Sequence[str] = (),
    is_linked: bool = False,
) -> Answer:
    """Run jobs together until the first ends, in a zygote of this process's pool.

    A zygote that dies under its job is replaced and the jobs are run once more, since they may
    have had no part in it. Raises UserError where isolation cannot be had and `allow_unsafe` was
    not called; SandboxFailure when the sandbox failed twice.
    """
    pool = _get()
    for is_last in (False, True):
        try:
            with pool.lend() as zygote:
                return zygote.run(
                    jobs, timeout_seconds=timeout_seconds, preload=preload, is_linked=is_linked
                )
        except SandboxFailure:
            if is_last:
                raise
    raise AssertionError


def close() -> None:
    """End this process's zygotes; the next call starts new ones."""
    global _pool
    with _lock:
        if _pool is not None:
            _pool.close()
        _pool = None


def _get() -> Pool:
    global _pool
    with _lock:
        if _pool is None:
            _try_backends()
        if _pool is None:
            if not is_unsafe_allowed() or sys.platform != "linux":
                raise UserError(f"programs cannot be isolated here: {_reason}", hint=HINT)
            _pool = Pool("unsafe", _num_places())
        return _pool


def _try_backends() -> None:
    """Set the pool to the first backend whose walls hold, or say why none does."""
    global _pool, _reason
    if _reason is not None or (_pool is not None and _pool.backend != "unsafe"):
        return
    if sys.platform != "linux":
        _reason = f"the sandbox needs Linux, this is {sys.platform}"
        return
    problems = []
    wanted = os.environ.get(BACKEND_VARIABLE)
    if wanted and wanted not in BACKENDS:
        raise UserError(
            f"{BACKEND_VARIABLE}={wanted} names no sandbox", hint=f"one of {', '.join(BACKENDS)}"
        )
    for name in [wanted] if wanted else BACKENDS:
        try:
            zygote = Zygote.start(name)
        except SandboxFailure as failure:
            problems.append(f"{name}: {failure}")
            continue
        problem = check_walls(zygote)
        if problem is None:
            pool = Pool(name, _num_places())
            pool.give(zygote)
            _pool = pool
            return
        zygote.close()
        problems.append(f"{name}: {problem}")
    _reason = "; ".join(problems)


def check_walls(zygote: Zygote) -> str | None:
    """What a job could do that it must not, or None: a fresh zygote is tested, not trusted."""
    kept = {path.split("/")[2] for path in zygote.kept}
    limits = Limits(timeout_seconds=30.0, processes=PROBE_PROCESSES)
    payload = json.dumps({"processes": PROBE_PROCESSES, "kept": sorted(kept)}).encode()
    job = Job(entry="aha.rewards.sandbox.inside.probe:probe", payload=payload, limits=limits)
    try:
        answer = zygote.run([job], timeout_seconds=30.0)
        facts = json.loads(answer.jobs[0].stdout)
    except (SandboxFailure, ValueError) as error:
        return f"a first job failed: {error}"
    if facts["process_id"] != 1:
        return "a job is not the first process of its namespace"
    for what in ("network", "namespaces", "tracing", "write_root", "write_system", "capabilities"):
        if facts[what]:
            return f"a job got through: {what}"
    if facts["private_tmp"] or facts["private_folders"]:
        return f"a job sees files of the host: {facts['private_tmp'] + facts['private_folders']}"
    if facts["processes"] > PROBE_PROCESSES:
        return "the number of processes is not limited, as for root under bubblewrap"
    return None


def _num_places() -> int:
    return max(1, len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1)


def _forget() -> None:
    """In a forked child: the zygotes are the parent's."""
    global _pool, _lock
    _lock = threading.RLock()
    if _pool is not None:
        for zygote in _pool._idle:
            zygote.abandon()
    _pool = None


atexit.register(close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
