"""Runs hostile programs by the thousand: counts escapes, hangs and lost verdicts.

    python -m benchmarks.hostile --count 10000 --workers 2

Every attack of `aha.rewards.code.hostile`, in turn, against a bait on this machine: a file, an
environment variable, a listening socket. After each hundred a right program has to be judged
right. Ends with status 1 when anything got through.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from aha.rewards import sandbox
from aha.rewards.code import CodeTests, Rules, judge
from aha.rewards.code.hostile import (
    ATTACKS,
    FORGERIES,
    FORGERY_TESTS,
    MARK,
    RIGHT_PROGRAM,
    Attack,
)

LIMIT_SECONDS = 0.4
SLACK_SECONDS = 20.0
"""A verdict later than the limit and this is a hang: generous, since machines are shared."""


@dataclass
class Bait:
    """Things of this machine that no program may reach."""

    secret: str
    file: Path
    listener: socket.socket
    connections: int = 0

    @classmethod
    def lay(cls, folder: Path) -> "Bait":
        secret = f"bait-{os.urandom(16).hex()}"
        file = folder / "bait.txt"
        file.write_text(secret)
        os.environ["AHA_BAIT_SECRET"] = secret
        return cls(secret, file, socket.create_server(("127.0.0.1", 0)))

    @property
    def targets(self) -> dict[str, str]:
        port = str(self.listener.getsockname()[1])
        folder = str(self.file.parent)
        return {"bait": str(self.file), "port": port, "pid": str(os.getpid()), "folder": folder}

    def problem(self) -> str:
        """What happened to the bait, empty when nothing did."""
        if self.file.read_text() != self.secret or self.file.stat().st_nlink != 1:
            return "the bait was changed"
        if [path.name for path in self.file.parent.iterdir()] != [self.file.name]:
            return "there are new files beside the bait"
        self.listener.setblocking(False)
        try:
            self.listener.accept()
        except BlockingIOError:
            return ""
        return "a program connected"


@dataclass
class Tally:
    kinds: Counter[str] = field(default_factory=Counter)
    escapes: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def attack_once(attack: Attack, bait: Bait, tally: Tally) -> None:
    """Judge one attack in the form that it is made for."""
    start = time.monotonic()
    source = attack.aimed(bait.targets)
    rules = Rules(timeout_seconds=LIMIT_SECONDS, memory_bytes=512 << 20)
    printed = ""
    if attack in FORGERIES:
        verdict = judge(source, CodeTests.parse(list(FORGERY_TESTS)), rules=rules).verdict
        kind = verdict.kind
        printed = verdict.reason
    else:
        outcome = sandbox.run_python(source, limits=rules.limits)
        kind = "wrong"
        printed = (outcome.stdout[:100_000] + outcome.stderr[:100_000]).decode(errors="replace")
    seconds = time.monotonic() - start
    with tally.lock:
        tally.kinds[kind] += 1
        tally.seconds[attack.name] = max(seconds, tally.seconds.get(attack.name, 0.0))
        if kind == "correct" or MARK in printed or bait.secret in printed:
            tally.escapes.append(f"{attack.name}: {printed[:200]}")
        if kind not in ("wrong", "correct"):
            tally.lost.append(f"{attack.name}: {kind} {printed[:200]}")
        if seconds > LIMIT_SECONDS * 6 + SLACK_SECONDS:
            tally.hangs.append(f"{attack.name}: {seconds:.1f} s")


def is_still_right() -> bool:
    tests = CodeTests.parse(list(FORGERY_TESTS))
    whole = CodeTests.parse([{"input": "3", "output": "9"}])
    return (
        judge(RIGHT_PROGRAM, tests).verdict.is_correct
        and judge("print(int(input()) ** 2)", whole).verdict.is_correct
    )


def sweep(count: int, workers: int) -> dict[str, object]:
    attacks = [*ATTACKS, *FORGERIES]
    tally = Tally()
    wrong_rights = 0
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as threads:
        bait = Bait.lay(Path(folder))
        for first in range(0, count, 100):
            batch = [attacks[n % len(attacks)] for n in range(first, min(count, first + 100))]
            list(threads.map(lambda attack: attack_once(attack, bait, tally), batch))
            if problem := bait.problem():
                tally.escapes.append(problem)
            wrong_rights += not is_still_right()
            seconds = time.monotonic() - start
            rate = (first + len(batch)) / seconds
            print(f"{first + len(batch)} programs, {rate:.1f}/s", file=sys.stderr)
        bait.listener.close()
    seconds = time.monotonic() - start
    sandbox.close()
    return {
        "count": count,
        "kinds_of_attack": len(attacks),
        "verdicts": dict(tally.kinds),
        "escapes": tally.escapes,
        "hangs": tally.hangs,
        "lost_verdicts": tally.lost,
        "right_programs_judged_wrong": wrong_rights,
        "left_processes": left_processes(),
        "seconds": round(seconds, 1),
        "programs_per_second": round(count / seconds, 1),
        "slowest": dict(sorted(tally.seconds.items(), key=lambda item: -item[1])[:5]),
    }


def left_processes() -> int:
    """Children of this process, after the sandbox was closed."""
    listed = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "comm="], capture_output=True, text=True
    )
    return sum(name.strip() not in ("", "ps") for name in listed.stdout.splitlines())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    result = sweep(arguments.count, arguments.workers)
    print(json.dumps(result, indent=1))
    failed = ("escapes", "hangs", "lost_verdicts", "right_programs_judged_wrong", "left_processes")
    sys.exit(1 if any(result[name] for name in failed) else 0)


if __name__ == "__main__":
    main()
