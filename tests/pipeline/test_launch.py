"""Two ranks: they add up, they fail together, and none outlives the first. Real processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aha.pipeline.files import read_json, read_jsonl
from aha.pipeline.ranks import Ranks
from tests.pipeline import toy

ROOT = Path(__file__).parents[2]


def start(run, *values):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.pipeline.toy", str(run), "ranks=2", *values],
        cwd=ROOT,
        text=True,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def wait_for_steps(run, count):
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if sum(len(list(read_jsonl(f))) for f in run.glob("stages/*/metrics.jsonl")) >= count:
            return
        time.sleep(0.05)
    raise AssertionError("the run did not get going")


def children_of(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_two_ranks_add_up_and_a_killed_run_leaves_nobody_behind(tmp_path):
    """kill -9 of rank 0 takes rank 1 with it, frees the run, and resuming gives the same sums."""
    run = tmp_path / "run"
    first = start(run, "seconds_per_step=0.2")
    wait_for_steps(run, 3)
    (child,) = children_of(first.pid)
    assert is_alive(child)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    deadline = time.monotonic() + 5
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(child)

    done = toy.run(run, resume=True, ranks=2, seconds_per_step=0.2)
    (metrics,) = run.glob("stages/*/metrics.jsonl")
    totals = [row["total"] for row in read_jsonl(metrics)]
    assert totals == [3 * sum(range(step + 1)) for step in range(1, 7)]
    assert done.record["headline"] == {"doubled": 126.0}


def test_ctrl_c_reaches_all_ranks_and_ends_them_in_order(tmp_path):
    """A terminal sends SIGINT to every process of the group."""
    process = start(tmp_path / "run", "seconds_per_step=0.1", "num_steps=1000")
    wait_for_steps(tmp_path / "run", 2)
    (child,) = children_of(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode in (130, -signal.SIGINT) and "rank 1" not in output
    assert not is_alive(child)
    assert read_json(tmp_path / "run" / "run.json")["status"] == "stopped"


@pytest.mark.parametrize(
    ("how", "rank", "shown"),
    [
        ("bug", 1, "rank 1 failed: ZeroDivisionError: a bug of ours"),
        pytest.param("bug", 0, "ZeroDivisionError: a bug of ours", marks=pytest.mark.slow),
    ],
)
def test_when_a_rank_fails_all_end_and_its_error_is_shown(tmp_path, how, rank, shown):
    process = start(tmp_path / "run", f"fail={how}", f"fail_rank={rank}", "fail_step=3")
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 1
    assert shown in output and "onnection closed" not in output
    record = read_json(tmp_path / "run" / "run.json")
    assert record["status"] == "failed" and shown in record["error"]


@pytest.mark.slow
def test_rank_0_does_not_hang_when_another_rank_is_gone(tmp_path):
    """Rank 0 sleeps outside any collective when rank 1 is killed: it is ended after the grace."""
    process = start(tmp_path / "run", "fail=hang-after-death", "fail_step=3", "save_every=9")
    wait_for_steps(tmp_path / "run", 2)
    (child,) = children_of(process.pid)
    os.kill(child, signal.SIGKILL)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "rank 1 was killed (exit status -9)" in output
    assert read_json(tmp_path / "run" / "run.json")["status"] == "failed"


@pytest.mark.parametrize("count", [0, 1, 2, 7, 16])
@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_shares_are_balanced_and_cover_everything_in_order(count, world):
    shares = [Ranks(rank, world).share(range(count)) for rank in range(world)]
    assert [item for share in shares for item in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_world_of_one_communicates_nothing():
    alone = Ranks()
    assert alone.sum(1.5, 2) == [1.5, 2.0]
    assert alone.gather("x") == ["x"] and alone.broadcast({"a": 1}) == {"a": 1}
