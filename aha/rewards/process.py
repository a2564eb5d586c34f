"""One worker process seen from the service: started, called with a clock, killed."""

import contextlib
import os
import pickle
import select
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aha.rewards import worker
from aha.rewards.verdict import Verdict

START_SECONDS = 300.0
"""For a worker to start and import a verifier or a user's file, on a machine that is busy."""
WATCH_SECONDS = 0.05
"""How often the memory of a worker that is busy is looked at."""
KILL_SECONDS = 10.0
MAX_REPLY_BYTES = 1 << 28
CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a call: a value, or why there is none."""

    value: Any = None
    failure: Verdict | None = None
    """Of kind timeout or error."""
    worker_died: bool = False
    """The process ended by itself, without a reply."""


class _Overrun(Exception):
    """The call ends here and its worker with it; stays in this module."""

    def __init__(self, kind: str, reason: str, *, died: bool = False):
        verdict = Verdict(kind=kind, score=0.0, reason=reason)  # type: ignore[arg-type]
        self.reply = Reply(failure=verdict, worker_died=died)


class WorkerProcess:
    """A worker and its pipes. One thread at a time."""

    def __init__(self, memory_bytes: int):
        self.memory_bytes = memory_bytes
        self.num_calls = 0
        self.has_ended = False
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        single = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": path}
        options = [str(os.getpid()), str(memory_bytes)]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "aha.rewards.worker", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **single},
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._to, False)
        os.set_blocking(self._from, False)

    def call(self, body: bytes, limit_seconds: float) -> Reply:
        """Send a call and wait for its reply; a worker that exceeds its limits is killed."""
        self.num_calls += 1
        try:
            letter, value = self._exchange(body, limit_seconds)
        except _Overrun as overrun:
            self.kill()
            return overrun.reply
        except BaseException:  # Ctrl-C: the worker is in the middle of a call
            self.kill()
            raise
        if letter == worker.RETURNED:
            return Reply(value)
        failure: worker.Failure = value
        if failure.ends_worker:
            self.kill()
        return Reply(failure=Verdict.error(failure.reason))

    def kill(self) -> None:
        """End the worker and what it started. May be called twice, and from another thread."""
        self.has_ended = True
        for pid in _descendants(self._process.pid) if self._process.poll() is None else ():
            _kill(os.kill, pid)
        if self._process.returncode is None:
            _kill(os.killpg, self._process.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(KILL_SECONDS)

    def close_pipes(self) -> None:
        """Only after `call` has returned: its numbers are given to other files."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def forget(self) -> None:
        """In a forked process: the worker is the parent's business."""
        self.has_ended = True
        self._process.returncode = 0
        self.close_pipes()

    def _exchange(self, body: bytes, limit_seconds: float) -> tuple[bytes, Any]:
        """The last frame of a call. The clock starts when the worker says that the call does."""
        poller = select.poll()
        poller.register(self._from, select.POLLIN)
        poller.register(self._to, select.POLLOUT)
        unsent, received, has_started = memoryview(body), bytearray(), False
        deadline = time.monotonic() + START_SECONDS
        while True:
            if frame := _take_frame(received):
                if frame[0] not in (worker.STARTED, worker.PREPARING):
                    return frame
                has_started = frame[0] == worker.STARTED
                allowed = limit_seconds if has_started else START_SECONDS
                deadline = time.monotonic() + allowed
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                raise _late(has_started, limit_seconds)
            ready = [fd for fd, _ in poller.poll(1 + 1000 * min(left, WATCH_SECONDS))]
            if not ready:
                self._check_memory()
            if self._from in ready:
                received += self._read()
            elif self._to in ready:
                unsent = unsent[self._write(unsent[:CHUNK_BYTES]) :]
                if not unsent:
                    poller.unregister(self._to)

    def _read(self) -> bytes:
        try:
            chunk = os.read(self._from, CHUNK_BYTES)
        except BlockingIOError:
            return b""
        if not chunk:
            raise self._died()
        return chunk

    def _write(self, data: memoryview) -> int:
        try:
            return os.write(self._to, data)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            raise self._died() from None

    def _died(self) -> _Overrun:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        status = self._process.returncode
        if status is not None and status < 0:
            how = f"by signal {-status}"
        else:
            how = f"with exit status {status}"
        return _Overrun("error", f"the verifier's process ended {how}", died=True)

    def _check_memory(self) -> None:
        resident = _resident_bytes(self._process.pid)
        if resident > self.memory_bytes:
            limit = f"{self.memory_bytes / 2**30:.3g} GiB"
            raise _Overrun("error", f"the verifier used more than {limit} of memory")


class Spawner:
    """Starts workers from a thread of its own that lives as long as the pool.

    On Linux the kernel ends a worker with the thread that started it: a thread of a caller may end
    long before the process does, and not every hanging verifier would notice a dead parent itself.
    """

    def __init__(self, memory_bytes: int):
        self._memory_bytes = memory_bytes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aha-verifiers")
        self._started: list[WorkerProcess] = []

    def start(self) -> WorkerProcess:
        """A new worker. RuntimeError when the pool is closed."""
        return self._thread.submit(self._start).result()

    def close(self) -> None:
        """End all workers."""
        self._thread.shutdown(wait=True)
        for process in self._started:
            process.kill()

    def forget(self) -> None:
        """In a forked process: leave the workers alone."""
        for process in self._started:
            process.forget()

    def _start(self) -> WorkerProcess:
        process = WorkerProcess(self._memory_bytes)
        self._started = [old for old in self._started if not old.has_ended] + [process]
        return process


def _take_frame(received: bytearray) -> tuple[bytes, Any] | None:
    """Cut the first whole frame off `received`."""
    if len(received) < worker.HEADER.size:
        return None
    letter, size = worker.HEADER.unpack_from(received)
    if size > MAX_REPLY_BYTES:
        raise _Overrun("error", f"the verifier returned {size} bytes")
    end = worker.HEADER.size + size
    if len(received) < end:
        return None
    value = pickle.loads(memoryview(received)[worker.HEADER.size : end])
    del received[:end]
    return letter, value


def _late(has_started: bool, limit_seconds: float) -> _Overrun:
    if has_started:
        return _Overrun("timeout", f"no verdict within {limit_seconds:g} s")
    return _Overrun("error", f"the verifier was not imported within {START_SECONDS:g} s")


def _resident_bytes(pid: int) -> int:
    """Memory a process has in use; 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _descendants(pid: int) -> list[int]:
    """Processes that a process started, and theirs, as far as the system tells."""
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        for file in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, file.read_text().split()):
                found += [child, *_descendants(child)]
    return found


def _kill(how: Any, pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        how(pid, signal.SIGKILL)
