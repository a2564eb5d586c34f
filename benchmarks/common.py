"""What the comparisons share: processes that take turns, the machine, and the result file."""

import json
import os
import platform
import queue
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
DONE, DIED = "done", "died"


class Worker:
    """A process that does one piece of work, says `done`, and goes on at every line it reads.

    The first piece is its warm-up and is over when the constructor returns. `patience` (seconds)
    bounds every piece: more threads than free cores can be a hundred times slower. TimeoutError.
    """

    def __init__(self, module: str, *options: str, threads: int, patience: float | None = None):
        self.patience = patience
        single = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (as long as the process)
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *options, "--threads", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env={**os.environ, **single, "TOKENIZERS_PARALLELISM": "0", "HF_HUB_OFFLINE": "1"},
            cwd=ROOT,
            text=True,
        )
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self._wait()
        except TimeoutError:
            self.stop()
            raise

    def seconds(self) -> float:
        """Let it do one piece of work; returns the time it took."""
        assert self.process.stdin is not None
        started = time.perf_counter()
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self._wait()
        return time.perf_counter() - started

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.strip())
        self.lines.put(DIED)

    def _wait(self) -> None:
        deadline = None if self.patience is None else time.monotonic() + self.patience
        line = ""
        while line != DONE:  # libraries print what they like before it
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                line = self.lines.get(timeout=left)
            except queue.Empty:
                raise TimeoutError(f"over {self.patience:.0f} s") from None
            if line == DIED:
                self.errors.seek(0)
                tail = self.errors.read().strip().splitlines()[-5:]
                raise SystemExit("\n".join(["error: a worker died", *tail]))

    def stop(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()
        self.errors.close()


def wait_for_turn() -> None:
    """In a worker: say that a piece of work is done and wait for the next; ends with the parent."""
    print(DONE, flush=True)
    if not sys.stdin.readline():
        raise SystemExit(0)


def machine(*packages: str) -> dict[str, Any]:
    """What figures depend on: processor, load, and the versions of these packages."""
    from importlib.metadata import version

    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def cpu_name() -> str:
    """As the kernel calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def publish(name: str, result: dict[str, Any], *, dry: bool) -> None:
    """Print a result and, unless `dry`, write benchmarks/results/NAME.json."""
    text = json.dumps(result, indent=2) + "\n"
    if not dry:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(text)
    print(text, end="")
