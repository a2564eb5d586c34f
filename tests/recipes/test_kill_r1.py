"""`kill -9` at ten random moments of the whole of R1: the files of a run that was left alone.

Every file of every stage is compared byte for byte: weights, data, metrics, samples, tables.
Left out are clocks (`timing.jsonl`, the seconds in `DONE.json`) and checkpoints, of which a resumed
stage may keep others.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

NUM_KILLS = 10
RL = {
    "num_steps": 4,
    "save_every": 1,
    "eval_every": 2,
    "eval_problems": 4,
    "prompts_per_step": 4,
    "samples_per_prompt": 4,
    "max_new_tokens": 48,
    "sample_every": 2,
}
SAMPLED = {"problems": 192, "chunk_problems": 48, "max_new_tokens": 64}
TUNED = {"epochs": 3, "batch_samples": 8, "save_every": 2}
REWARD = {"epochs": 1, "batch_rows": 8, "eval_every": 2, "save_every": 2}
STAGES = {
    **dict.fromkeys(("zero", "dev2", "r1"), RL),
    **dict.fromkeys(("cold_start", "rejection"), SAMPLED),
    **dict.fromkeys(("dev1", "dev3"), TUNED),
    **dict.fromkeys(("helpful", "harmless"), REWARD),
    "r1.preference": {"last_steps": 2},
    "general": {"rows": 100},
    "preferences": {"problems": 16, "chunk_problems": 4, "max_new_tokens": 32},
    "evaluate": {
        "problems": 8,
        "cons_problems": 4,
        "cons_samples": 2,
        "chat_problems": 8,
        "max_new_tokens": 64,
    },
}


def command(out: Path, *more: str) -> list[str]:
    settings = [f"{s}.{key}={value}" for s, keys in STAGES.items() for key, value in keys.items()]
    overrides = [word for one in ("ranks=2", *settings) for word in ("--set", one)]
    start = [sys.executable, "-m", "aha.cli.main", "run", "r1", "--preset", "tiny"]
    return [*start, *overrides, "--out", str(out), *more]


def contents(run: Path) -> dict[str, bytes]:
    """Every file of every stage that must not depend on interruptions."""
    files = (file for file in (run / "stages").rglob("*") if file.is_file())
    found = {str(file.relative_to(run)): file for file in files if file.name != "timing.jsonl"}
    kept = {name: file for name, file in found.items() if "/checkpoints/" not in name}
    return {name: without_clock(file) for name, file in kept.items()}


def without_clock(file: Path) -> bytes:
    if file.name != "DONE.json":
        return file.read_bytes()
    done = json.loads(file.read_text(encoding="utf-8"))
    assert done.pop("seconds") >= 0
    return json.dumps(done).encode()


def progress(run: Path) -> int:
    """Files of stages, checkpoints left out: a stage writes nine or so, from its beginning on."""
    walk = os.walk(run / "stages")  # folders that vanish meanwhile are passed over
    return sum(len(files) for folder, _, files in walk if "/checkpoints" not in folder)


def run_until_killed(out: Path, target: int, delay: float) -> bool:
    """Start or resume the run; kill the whole group some seconds after it has come to `target`.

    True when it was still going.
    """
    process = subprocess.Popen(
        command(out, "--resume"), start_new_session=True, stderr=subprocess.DEVNULL
    )
    while progress(out) < target and process.poll() is None:
        time.sleep(0.02)
    time.sleep(delay)
    is_running = process.poll() is None
    if is_running:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return is_running


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1))
def test_ten_kills_of_the_whole_of_r1_leave_no_trace(tmp_path, seed):
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    subprocess.run(command(alone), check=True, stderr=subprocess.DEVNULL)
    rng = random.Random(seed)
    places = []
    for target in sorted(rng.sample(range(progress(alone) - 4), NUM_KILLS)):
        assert run_until_killed(killed, target, rng.uniform(0, 1.0)), "it ended before the kill"
        places.append(len(list((killed / "stages").glob("*/DONE.json"))))
    print("finished stages at the kills:", places)
    subprocess.run(command(killed, "--resume"), check=True, stderr=subprocess.DEVNULL)
    expected, found = contents(alone), contents(killed)
    assert len(expected) > 100 and len(set(places)) >= 5
    assert set(found) == set(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
