"""GRPO has to learn what a bandit could: a tiny random model finds the word that is rewarded."""

import json

import pytest

from aha.pipeline.testing import stage_context
from aha.trainers.grpo import train
from tests.trainers.tiny import tiny_config, tiny_folder

BANDIT = """
problems = [{"question": f"a {digit}", "answer": "e"} for digit in range(6)]

def score(problem, response):
    return response.split()[:1] == ["e"]
"""
CONTEXT_MATTERS = """
problems = [
    {"question": f"{letter} {digit}", "answer": letter} for letter in "abcd" for digit in range(6)
]

def score(problem, response):
    return response.split()[:1] == [problem.gold]
"""


def learning_curve(tmp_path, task, **values):
    tiny_folder(tmp_path / "model", width=64, layers=1)
    (tmp_path / "task.py").write_text(task)
    config = tiny_config(
        tmp_path / "task.py",
        prompts_per_step=8,
        samples_per_prompt=16,
        max_new_tokens=3,
        eval_every=None,
        save_every=1000,
        sample_every=1000,
        **({"minibatches": 1} | values),
    )
    ctx = stage_context(tmp_path / "stage", config, {"model": tmp_path / "model"})
    train(ctx)
    rows = [json.loads(row) for row in (ctx.directory / "metrics.jsonl").read_text().splitlines()]
    return [row["rollout/accuracy"] for row in rows[1:]]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"clip_low": 10.0, "clip_high": 10.0, "kl_coef": 1e-3, "advantage_scale": "group_std"},
        {"minibatches": 2, "ratio_level": "sequence", "loss_aggregation": "sequence"},
        {"surrogate": "cispo", "clip_low": 1.0, "clip_high": 4.0},
    ],
    ids=["modern", "r1", "gspo", "cispo"],
)
def test_a_rewarded_word_is_found(tmp_path, values):
    curve = learning_curve(tmp_path, BANDIT, num_steps=16, **values)
    assert curve[0] < 0.3
    assert sum(curve[-3:]) / 3 > 0.8


def test_the_answer_may_depend_on_the_question(tmp_path):
    curve = learning_curve(tmp_path, CONTEXT_MATTERS, num_steps=40, learning_rate=5e-3)
    assert sum(curve[:3]) / 3 < 0.3
    assert sum(curve[-3:]) / 3 > 0.8
