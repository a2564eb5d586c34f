"""The rule by which reinforcement learning ends, and what a stage says about it."""

import json

import pytest
import torch

from aha.pipeline.testing import stage_context
from aha.trainers.convergence import how_it_ended, is_flat
from aha.trainers.grpo import train
from tests.trainers.tiny import tiny_config, tiny_folder

RIGHT = """
import aha


class Easy(aha.Task):
    name = "easy"

    def problems(self, split):
        return [aha.Problem(id=f"easy/{i}", question="a b", gold="") for i in range(8)]

    def score(self, problem, response):
        return aha.Verdict.correct("a")


task = Easy()
"""


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("accuracy", "flat"),
    [
        ([0.5] * 3, False),  # fewer than two windows
        ([0.5] * 4, True),
        ([0.5, 0.5, 0.504, 0.504], True),
        ([0.5, 0.5, 0.506, 0.506], False),
        ([0.9, 0.9, 0.2, 0.2], True),  # worse is no better
        ([0.0, 0.0, 0.5, 0.5, 0.9, 0.9], False),  # only the last two windows count
        ([0.0, 0.9, 0.5, 0.5, 0.5, 0.5], True),
    ],
)
def test_flat_is_no_better_than_the_window_before(accuracy, flat):
    assert is_flat(accuracy, window=2) == flat


def test_a_stage_ends_when_it_is_flat_and_says_so(tmp_path):
    (tmp_path / "easy.py").write_text(RIGHT)
    config = tiny_config(tmp_path / "easy.py", num_steps=9, stop_when_flat=2, eval_every=None)
    model = tiny_folder(tmp_path / "model")
    ctx = stage_context(tmp_path / "stage", config, {"model": model})
    summary = train(ctx).summary
    assert (summary["steps"], summary["converged"]) == (4, True)
    assert summary["ended"].startswith("converged at step 4: mean accuracy of the last 2 steps")
    rows = (ctx.directory / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(row)["step"] for row in rows]
    assert steps == [0, 1, 2, 3, 4]


def test_steps_that_were_used_up_are_no_convergence():
    config = tiny_config(num_steps=9, stop_when_flat=2)
    ended = how_it_ended(config, 9, converged=False)
    assert (ended["steps"], ended["converged"]) == (9, False)
    assert "9 steps" in ended["ended"]
    assert how_it_ended(tiny_config(), 4, converged=False) == {"steps": 4}
