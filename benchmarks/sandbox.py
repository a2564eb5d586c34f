"""Programs judged per second: the sandbox's warm forks against a sandbox that is spawned per call.

    python -m benchmarks.sandbox --seconds 10 --workers 2

Ours is `aha.rewards.code.judge`. The other is what reward servers do: for each test a new
interpreter in new namespaces, through bubblewrap where it is installed, else `unshare`. Both judge
the same small programs with the same tests, in turns; the ratio is of the medians of the turns.
Writes benchmarks/results/sandbox.json.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aha.rewards import sandbox
from aha.rewards.code import CodeTests, judge
from benchmarks.common import machine, publish

STDIN_PROGRAM = "n = int(input())\nprint(sum(i * i for i in range(n)))"
FUNCTION_PROGRAM = "def total(n):\n    return sum(i * i for i in range(n))"
NUM_TURNS = 5


def squares(n: int) -> int:
    return sum(i * i for i in range(n))


def ours_stdin(n: int) -> bool:
    tests = CodeTests.parse([{"input": f"{n}\n", "output": f"{squares(n)}\n"}])
    return judge(STDIN_PROGRAM, tests).verdict.is_correct


def ours_asserts(n: int) -> bool:
    tests = CodeTests.parse([f"assert total({n + i}) == {squares(n + i)}" for i in range(3)])
    return judge(FUNCTION_PROGRAM, tests).verdict.is_correct


def spawned(program: str, given: str) -> str:
    """One program in a sandbox of its own, started for it."""
    done = subprocess.run(
        [*wrapper(), sys.executable, "-I", "-c", program],
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout


def wrapper() -> list[str]:
    if shutil.which("bwrap"):
        options = ["--unshare-all", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
        return ["bwrap", *options, "--die-with-parent"]
    return ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc"]


def theirs_stdin(n: int) -> bool:
    return spawned(STDIN_PROGRAM, f"{n}\n").strip() == str(squares(n))


def theirs_asserts(n: int) -> bool:
    """The program and its asserts in one interpreter, as most harnesses do."""
    asserts = "\n".join(f"assert total({n + i}) == {squares(n + i)}" for i in range(3))
    return spawned(f"{FUNCTION_PROGRAM}\n{asserts}\nprint('passed')", "").strip() == "passed"


def rate(judge_one: Callable[[int], bool], seconds: float, workers: int) -> float:
    """Programs per second of one turn; every one has to be judged right."""
    end = time.monotonic() + seconds
    start = time.monotonic()

    def work(first: int) -> int:
        count = 0
        while time.monotonic() < end:
            assert judge_one(first + count % 50)
            count += 1
        return count

    with ThreadPoolExecutor(workers) as threads:
        count = sum(threads.map(work, range(workers)))
    return count / (time.monotonic() - start)


def latency(judge_one: Callable[[int], bool], count: int) -> float:
    """Median milliseconds of one judgement with nothing beside it."""
    times = []
    for n in range(count):
        start = time.perf_counter()
        assert judge_one(n)
        times.append(time.perf_counter() - start)
    return round(1000 * statistics.median(times), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each side in all")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--dry", action="store_true", help="write no file")
    arguments = parser.parse_args()
    sides = {
        "stdin": (ours_stdin, theirs_stdin),
        "asserts": (ours_asserts, theirs_asserts),
    }
    turn = arguments.seconds / NUM_TURNS
    result: dict[str, Any] = {
        "machine": machine(),
        "spawned_by": wrapper()[0],
        "backend": sandbox.backend(),
        "workers": arguments.workers,
        "ratios": {},
    }
    for name, (ours, theirs) in sides.items():
        assert ours(1) and theirs(1)  # warm
        rates = [
            (rate(ours, turn, arguments.workers), rate(theirs, turn, arguments.workers))
            for _ in range(NUM_TURNS)
        ]
        ratio = statistics.median(a / b for a, b in rates)
        result["ratios"][f"{name}_vs_spawn"] = round(ratio, 2)
        result[name] = {
            "ours_per_second": round(statistics.median(a for a, _ in rates), 1),
            "spawned_per_second": round(statistics.median(b for _, b in rates), 1),
            "ours_median_ms": latency(ours, 50),
            "spawned_median_ms": latency(theirs, 50),
        }
    publish("sandbox", result, dry=arguments.dry)


if __name__ == "__main__":
    main()
