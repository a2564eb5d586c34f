"""The verifier service: worker processes that are killed and replaced when a call goes wrong.

A verifier that hangs inside C code cannot be stopped by its own process: signals reach the main
thread only, between two bytecodes, and a thread cannot be killed at all. So calls run in worker
processes (`aha.rewards.worker`), and whoever calls waits for the reply with a clock of its own: any
thread may call, no signal handler is set. A worker over its time or memory is killed with its
process group and replaced, so the next call finds a working one.

Differs from a process pool of the standard library: there a time-out gives up waiting and leaves
the worker to its endless loop, and one that dies breaks the pool.
"""

import atexit
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import LifoQueue
from typing import Any, TypeVar

from aha.rewards import worker
from aha.rewards.process import Reply, Spawner, WorkerProcess
from aha.rewards.verdict import Verdict

Item = TypeVar("Item")
Result = TypeVar("Result")

DEFAULT_TIMEOUT_SECONDS = 5.0
DEFAULT_MEMORY_BYTES = 2 << 30
MOST_DEFAULT_WORKERS = 16


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a verifier: `function` is "module:name", `args` can be pickled."""

    function: str
    args: tuple[Any, ...] = ()
    timeout_seconds: float | None = None
    """None: the pool's own."""


@dataclass(slots=True)
class PoolStats:
    """What a pool has been through since it was made."""

    num_calls: int = 0
    num_timeouts: int = 0
    num_errors: int = 0
    """Calls that ended in an error: raised, out of memory, or the worker died."""
    num_restarts: int = 0
    """Workers that were killed or died, and were replaced."""


class VerifierPool:
    """Worker processes, started when they are first needed. Safe to use from any thread.

    A worker imports a verifier before the clock of its first call starts; a module may have more to
    make ready (`aha.rewards.worker.Verifier`). In a worker itself calls run in place, under the
    clock of whoever called that worker.
    """

    def __init__(
        self,
        *,
        num_workers: int = 2,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        queue_size: int = 256,
    ):
        if num_workers < 1 or queue_size < 1 or timeout_seconds <= 0 or memory_bytes <= 0:
            raise ValueError("the numbers of a verifier pool are all above 0")
        self.num_workers = num_workers
        self.timeout_seconds = timeout_seconds
        self.memory_bytes = memory_bytes
        self.queue_size = queue_size
        self._spawner: Spawner | None = None
        self._is_closed = False
        self._begin()

    def run(self, function: str, *args: Any, timeout_seconds: float | None = None) -> Verdict:
        """The verdict of one call; waits for it. Time-outs and failures are verdicts too."""
        return self._verdict(Call(function, args, timeout_seconds))

    def map(self, calls: Iterable[Call]) -> Iterator[Verdict]:
        """Verdicts of many calls, in order, each as soon as it is there.

        At most `queue_size` calls are taken from `calls` ahead of the verdicts that were read.
        """
        return in_order(
            self._verdict, calls, num_threads=self.num_workers, queue_size=self.queue_size
        )

    def call(self, call: Call) -> Reply:
        """What a function returns in a worker, of whatever type; waits for it."""
        if worker.is_worker:
            return _call_in_place(call)
        if self._pid != os.getpid():
            self._begin()
        module, _, name = call.function.partition(":")
        body = worker.frame(worker.CALL, (module, name, call.args))
        reply = self._with_worker(body, call.timeout_seconds or self.timeout_seconds)
        with self._lock:
            self.stats.num_calls += 1
            if reply.failure is not None:
                self.stats.num_timeouts += reply.failure.kind == "timeout"
                self.stats.num_errors += reply.failure.kind == "error"
        return reply

    def close(self) -> None:
        """End the workers. Calls under way, and later ones, end as errors."""
        if self._is_closed or self._pid != os.getpid():
            return
        self._is_closed = True
        assert self._spawner is not None
        self._spawner.close()
        for _ in range(self.num_workers):  # a call under way ends now that its worker has
            process = self._idle.get()
            if process is not None:
                process.close_pipes()
        for _ in range(self.num_workers):
            self._idle.put(None)

    def __enter__(self) -> "VerifierPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> None:
        """Without workers: a new pool, or its copy in a forked process."""
        if self._spawner is not None:
            self._spawner.forget()
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._is_closed = False
        self._spawner = Spawner(self.memory_bytes)
        self._idle: LifoQueue[WorkerProcess | None] = LifoQueue()
        for _ in range(self.num_workers):
            self._idle.put(None)
        self.stats = PoolStats()

    def _verdict(self, call: Call) -> Verdict:
        reply = self.call(call)
        if reply.failure is not None:
            return reply.failure
        if not isinstance(reply.value, Verdict):
            return Verdict.error(f"{call.function} returned {type(reply.value).__name__}")
        return reply.value

    def _with_worker(self, body: bytes, limit_seconds: float) -> Reply:
        """The reply of the next idle worker.

        A worker that dies may have been hurt by the call before: then a fresh one gets a try.
        """
        process = self._idle.get()
        try:
            for _ in range(2):
                process = self._usable(process)
                if process is None:
                    return Reply(failure=Verdict.error("the verifier pool is closed"))
                reply = process.call(body, limit_seconds)
                if not reply.worker_died or process.num_calls == 1:
                    break
            return reply
        finally:
            self._idle.put(process)

    def _usable(self, process: WorkerProcess | None) -> WorkerProcess | None:
        """The worker, or another in its place; None when the pool is closed."""
        if process is not None and process.has_ended:
            process.close_pipes()
            with self._lock:
                self.stats.num_restarts += 1
            process = None
        if self._is_closed:
            return None
        assert self._spawner is not None
        return process or self._spawner.start()


def in_order(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    num_threads: int,
    queue_size: int = 256,
) -> Iterator[Result]:
    """`map` on several threads: results in order, at most `queue_size` items taken ahead."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(num_threads, thread_name_prefix="aha-verify") as threads:
        try:
            for item in items:
                waiting.append(threads.submit(function, item))
                if len(waiting) >= queue_size:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # the reader has gone, or a call raised: nobody waits for the rest
            threads.shutdown(wait=False, cancel_futures=True)


def default_workers(num_cores: int | None = None, world_size: int | None = None) -> int:
    """Workers of one process: its share of the usable cores among the ranks of a run, 1 to 16."""
    from aha.pipeline.machine import usable_cores

    share = (num_cores or usable_cores()) // (world_size or _world_size())
    return max(1, min(share, MOST_DEFAULT_WORKERS))


_default: VerifierPool | None = None
_default_lock = threading.Lock()


def default_pool() -> VerifierPool:
    """The pool of this process: made at its first use, ended with the process."""
    global _default
    with _default_lock:
        if _default is None:
            _default = VerifierPool(num_workers=default_workers())
            atexit.register(_default.close)
        return _default


def _after_fork() -> None:
    """The lock may have been held by a thread that the fork left behind."""
    global _default_lock
    _default_lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def _world_size() -> int:
    """Processes of this run; without torch there is one."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return 1
    size: int = distributed.get_world_size()
    return size


def _call_in_place(call: Call) -> Reply:
    module, _, name = call.function.partition(":")
    try:
        return Reply(worker.call_in_place(module, name, call.args))
    except Exception as error:
        return Reply(failure=Verdict.error(worker.failure_of(error, name).reason))
