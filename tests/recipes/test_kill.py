"""`kill -9` at random moments and `--resume`: the same bytes as a run that was left alone."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SETTINGS = {
    "num_steps": "9",
    "save_every": "2",
    "eval_every": "3",
    "eval_problems": "8",
    "prompts_per_step": "4",
    "samples_per_prompt": "4",
    "max_new_tokens": "48",
    "evaluate.problems": "8",
    "evaluate.cons_problems": "4",
    "ranks": "2",
}
NUM_KILLS = 3


def command(out: Path, *more: str) -> list[str]:
    overrides = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    start = [sys.executable, "-m", "aha.cli.main", "run", "zero", "--preset", "tiny"]
    return [*start, *overrides, "--out", str(out), *more]


def contents(run: Path) -> dict[str, bytes]:
    """What must not depend on interruptions: metrics, samples, weights, results."""
    names = ("*/metrics.jsonl", "*/samples/*.jsonl", "*/model/*", "*/result.json")
    files = (file for name in names for file in (run / "stages").glob(name))
    return {str(file.relative_to(run)): file.read_bytes() for file in files}


def run_until_killed(out: Path, seconds: float) -> bool:
    """Start or resume the run; True when it was still going and the whole group was killed."""
    process = subprocess.Popen(
        command(out, "--resume"), start_new_session=True, stderr=subprocess.DEVNULL
    )
    try:
        process.wait(timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_three_kills_leave_no_trace(tmp_path, seed):
    started = time.monotonic()
    subprocess.run(command(tmp_path / "alone"), check=True, stderr=subprocess.DEVNULL)
    whole = time.monotonic() - started
    rng = random.Random(seed)
    kills = sum(
        run_until_killed(tmp_path / "killed", rng.uniform(0.35, 0.9) * whole)
        for _ in range(NUM_KILLS)
    )
    subprocess.run(command(tmp_path / "killed", "--resume"), check=True, stderr=subprocess.DEVNULL)
    assert kills >= 1
    assert contents(tmp_path / "killed") == contents(tmp_path / "alone")
