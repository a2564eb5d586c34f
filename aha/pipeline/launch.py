"""Data-parallel ranks on one machine: this process is rank 0 and starts the others.

Rank 0 works in the caller's process; ranks 1.. are `python -m aha.pipeline.launch ENTRY ARGUMENT`.
They die with rank 0, even by kill -9. When one fails, all end and its error is the one shown.
"""

import contextlib
import ctypes
import importlib
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aha.errors import UserError
from aha.pipeline.processes import die_with_parent, exit_status, ignore_interrupts
from aha.pipeline.ranks import Ranks

POLL_SECONDS = 0.1
GRACE_SECONDS = 2.0
"""How long rank 0 may take to notice, in a collective, that another rank is gone."""
SETTLE_SECONDS = 2.0
"""How long an error of rank 0 waits for the news that another rank failed first."""
FAREWELL_SECONDS = 60.0
COLLECTIVE_TIMEOUT_HOURS = 48
LOG_TAIL_CHARS = 4_000
MALLOC_SETTINGS = {-1: 2**31 - 1, -2: 2**26, -3: 2**30}
"""glibc's M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD, in bytes."""

Worker = Callable[[str, Ranks], None]


class RankError(Exception):
    """A rank above 0 failed with an error of ours; the text ends with its traceback."""


@dataclass(frozen=True)
class Failure:
    """How a rank failed, as it wrote it down itself."""

    error: BaseException
    seconds: float
    is_consequence: bool
    """It only lost the connection to a rank that failed first."""


@dataclass
class _Children:
    """The processes of ranks 1.. and a thread that watches them."""

    folder: Path
    processes: list[subprocess.Popen[bytes]]
    on_failure: Callable[[BaseException], None]
    has_ended: threading.Event = field(default_factory=threading.Event)
    failure: Failure | None = None

    def watch(self) -> None:
        """End everything when a rank fails. Runs in its own thread."""
        while not self.has_ended.wait(POLL_SECONDS):
            if any(process.poll() not in (None, 0) for process in self.processes):
                time.sleep(POLL_SECONDS)  # ranks that fail together: let them write down why
                self.failure = self._first_failure()
                self.kill()
                if not self.has_ended.wait(GRACE_SECONDS):
                    self.on_failure(self.failure.error)
                    os._exit(exit_status(self.failure.error))

    def kill(self) -> None:
        """Kill what still lives and wait for it."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()

    def wait(self) -> None:
        """Wait for all ranks to end well."""
        for process in self.processes:
            process.wait(FAREWELL_SECONDS)
        if any(process.returncode for process in self.processes):
            raise self._first_failure().error

    def settled_failure(self) -> BaseException | None:
        """The failure of another rank that caused an error of rank 0, if one did."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while self.failure is None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return self.failure.error if self.failure and not self.failure.is_consequence else None

    def _first_failure(self) -> Failure:
        reports = []
        for rank, process in enumerate(self.processes, 1):
            report = self.folder / f"rank-{rank}.error"
            if report.exists():
                reports.append(_read_failure(report))
            elif process.poll():
                text = f"rank {rank} was killed (exit status {process.returncode})"
                hint = (
                    "out of memory? lower tokens_per_microbatch or max_batch_rows, or set ranks=1"
                )
                reports.append(Failure(UserError(text + self._tail(rank), hint=hint), 0.0, False))
        return min(reports, key=lambda report: (report.is_consequence, report.seconds))

    def _tail(self, rank: int) -> str:
        log = (self.folder / f"rank-{rank}.log").read_text(errors="replace").strip()
        return ": " + log.splitlines()[-1][:300] if log else ""


@contextmanager
def launched(
    entry: str,
    argument: str,
    world_size: int,
    *,
    on_failure: Callable[[BaseException], None] = lambda failure: None,
) -> Iterator[Ranks]:
    """Start the other ranks, yield rank 0's `Ranks`, and end them all together.

    `entry` is "module:function", called on the other ranks with (argument, ranks). `on_failure` is
    called just before the process is ended because rank 0 hangs after another rank's failure.
    """
    _one_thread()
    if world_size == 1:
        yield Ranks()
        return
    with tempfile.TemporaryDirectory(prefix="aha-ranks-") as name:
        folder = Path(name)
        processes = [_start(entry, argument, r, world_size, folder) for r in range(1, world_size)]
        children = _Children(folder, processes, on_failure)
        watcher = threading.Thread(target=children.watch, daemon=True)
        watcher.start()
        try:
            with _joined(Ranks(0, world_size), folder) as ranks:
                yield ranks
            children.wait()
        except (UserError, KeyboardInterrupt):
            raise
        except Exception:
            failure = children.settled_failure()
            if failure is not None:
                raise failure from None
            raise
        finally:
            children.has_ended.set()
            watcher.join()
            children.kill()


def main() -> None:
    """A rank above 0: run ENTRY(ARGUMENT, ranks); write down why it failed."""
    ignore_interrupts()
    die_with_parent(int(os.environ["AHA_PARENT"]))
    folder = Path(os.environ["AHA_RANKS_FOLDER"])
    ranks = Ranks(int(os.environ["AHA_RANK"]), int(os.environ["AHA_WORLD_SIZE"]))
    module, _, function = sys.argv[1].partition(":")
    try:
        worker: Worker = getattr(importlib.import_module(module), function)
        with _joined(ranks, folder):
            worker(sys.argv[2], ranks)
    except BaseException as error:
        _write_failure(folder / f"rank-{ranks.rank}.error", error, ranks.rank)
        os._exit(1)  # at once: threads of gloo may still wait for the others


def _start(
    entry: str, argument: str, rank: int, world_size: int, folder: Path
) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "AHA_RANK": str(rank),
        "AHA_WORLD_SIZE": str(world_size),
        "AHA_RANKS_FOLDER": str(folder),
        "AHA_PARENT": str(os.getpid()),
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
    }
    command = [sys.executable, "-m", "aha.pipeline.launch", entry, argument]
    with open(folder / f"rank-{rank}.log", "wb") as log:
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )


@contextmanager
def _joined(ranks: Ranks, folder: Path) -> Iterator[Ranks]:
    """Join the process group through a file, without a port; gloo talks over the loopback."""
    import datetime

    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    _one_thread()
    import torch.distributed as dist

    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=ranks.rank,
        world_size=ranks.world_size,
        timeout=datetime.timedelta(hours=COLLECTIVE_TIMEOUT_HOURS),
    )
    try:
        yield ranks
        dist.barrier()
    finally:
        dist.destroy_process_group()


def _one_thread() -> None:
    """One thread a rank, whether torch is imported already or not; results depend on it."""
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Let glibc keep large freed buffers instead of handing them back and faulting them in again.

    One update of the demo on one core: 2.93 s without, 2.35 s with. No-op without glibc.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in MALLOC_SETTINGS.items():
            mallopt(parameter, value)


def _write_failure(path: Path, error: BaseException, rank: int) -> None:
    if not isinstance(error, UserError):
        text = "".join(traceback.format_exception(error))[-LOG_TAIL_CHARS:]
        summary = f"rank {rank} failed: {type(error).__name__}: {error}"
        shown: BaseException = RankError(f"{summary}\n{text}")
    else:
        shown = error
    is_consequence = "gloo" in str(error).lower() or "connection" in str(error).lower()
    partial = path.with_suffix(".partial")
    partial.write_bytes(pickle.dumps(Failure(shown, time.time(), is_consequence)))
    partial.replace(path)


def _read_failure(path: Path) -> Failure:
    failure: Failure = pickle.loads(path.read_bytes())
    return failure


if __name__ == "__main__":
    # Under the module's real name, so that what is pickled here is known to rank 0.
    importlib.import_module("aha.pipeline.launch").main()
