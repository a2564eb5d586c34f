"""Rollouts are judged by worker processes where a task's code could hang; the run goes on."""

import json
import time

import pytest

from aha.errors import HealthError
from aha.pipeline.testing import stage_context
from aha.rewards.service import VerifierPool
from aha.trainers.grpo import train
from tests.trainers.tiny import TASK_FILE, tiny_config, tiny_folder

HANGING = TASK_FILE.replace(
    "task = Letters()",
    "timeout_seconds = 0.3\ntask = Letters()",
).replace(
    "first = response.split()[:1]",
    "first = response.split()[:1]\n        while first and first[0] in HANGS: pass",
)


@pytest.fixture
def context(tmp_path):
    def context(hangs, name="stage", ranks=None, **values):
        path = tmp_path / "letters.py"
        path.write_text(HANGING.replace("LETTERS =", f"HANGS = {hangs!r}\nLETTERS ="))
        config = tiny_config(path, **({"num_steps": 2, "eval_every": None} | values))
        model = tmp_path / "model"
        inputs = {"model": model if model.exists() else tiny_folder(model)}
        return stage_context(tmp_path / name, config, inputs, ranks)

    return context


def metrics(ctx):
    return [json.loads(line) for line in (ctx.directory / "metrics.jsonl").read_text().splitlines()]


def test_a_score_that_hangs_now_and_then_is_counted_and_the_run_goes_on(context):
    ctx = context(("h",), sample_every=1)
    train(ctx)
    rows = metrics(ctx)[1:]
    samples = [
        json.loads(line)
        for file in sorted((ctx.directory / "samples").iterdir())
        for line in file.read_text().splitlines()
    ]
    hung = [row for row in samples if row["text"].split()[:1] == ["h"]]
    assert 0 < len(hung) < 0.2 * len(samples)
    assert {(row["verdict"], row["reason"]) for row in hung} == {
        ("timeout", "no verdict within 0.3 s")
    }
    assert {row["advantage"] for row in hung} == {0.0}
    assert sum(row["verdict"] == "timeout" for row in samples) == len(hung)
    assert sum(row["rollout/unscored"] for row in rows) * 16 == pytest.approx(len(hung))


def test_a_score_that_always_hangs_stops_the_run_with_a_diagnosis(context):
    started = time.monotonic()
    with pytest.raises(HealthError, match=r"no verdict on \d+ of 16 responses of step 1: no verd"):
        train(context(("a", "b", "c", "d", "e", "f", "g", "h", "0", "1", "2", "3", "4", "5", "?")))
    assert time.monotonic() - started < 60


def test_the_number_of_workers_changes_no_byte(context, monkeypatch):
    seen = []
    for num_workers in (1, 4):
        with VerifierPool(num_workers=num_workers) as pool:
            monkeypatch.setattr("aha.trainers.rollouts.default_pool", lambda pool=pool: pool)
            monkeypatch.setattr("aha.tasks.isolated.default_pool", lambda pool=pool: pool)
            ctx = context((), f"workers-{num_workers}", sample_every=1)
            train(ctx)
            assert pool.stats.num_calls == 32
        folder = ctx.directory
        kept = [folder / "metrics.jsonl", *sorted((folder / "samples").iterdir())]
        seen.append([file.read_bytes() for file in kept])
    assert seen[0] == seen[1]
