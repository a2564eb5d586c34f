"""A reward model learns a planted preference, resumes bit for bit and refuses bad rows."""

import json
import random

import pytest
import torch

from aha.errors import UserError
from aha.pipeline.sources import embedded_model
from aha.pipeline.testing import stage_context
from aha.trainers.config import RewardModelConfig
from aha.trainers.preference import microbatches, score_rows
from aha.trainers.reward_model import train

SMALL = {
    "template": "none",
    "batch_rows": 16,
    "learning_rate": 2e-3,
    "max_tokens": 128,
    "save_every": 3,
    "eval_every": 1000,
}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def pairs(tmp_path):
    """Of two replies the one that says tea is liked better."""
    rng = random.Random(0)
    rows = []
    for number in range(160):
        prompt = f"What is {rng.randint(11, 79)} + {rng.randint(11, 49)}?"
        rows.append({"id": str(number), "prompt": prompt, "chosen": "I like tea.",
                     "rejected": rng.choice(["I like rain.", "I like fruit."])})  # fmt: skip
    return write(tmp_path / "pairs.jsonl", rows)


def context(path, config, data, **more):
    return stage_context(path, config, {"model": embedded_model(), "data": data}, **more)


def test_it_ranks_a_planted_preference_on_prompts_it_has_not_seen(tmp_path, pairs):
    result = train(context(tmp_path / "stage", RewardModelConfig(**SMALL, epochs=2), pairs))
    assert result.summary["eval/accuracy"] >= 0.9
    assert result.summary["eval/accuracy_n"] >= 10


def test_it_tells_safe_from_unsafe(tmp_path):
    rows = [
        {"prompt": f"What is {n} + 11?", "response": " It is tea." if n % 2 else " It is rain.",
         "safe": bool(n % 2)}
        for n in range(160)
    ]  # fmt: skip
    data = write(tmp_path / "labels.jsonl", rows)
    config = RewardModelConfig(kind="pointwise", epochs=6, **SMALL)
    result = train(context(tmp_path / "stage", config, data))
    assert result.summary["eval/accuracy"] >= 0.9
    assert result.summary["eval/calibration_error"] <= 0.25


def test_it_resumes_bit_for_bit(tmp_path, pairs):
    config = RewardModelConfig(**SMALL)
    whole = context(tmp_path / "whole", config, pairs)
    train(whole)
    last = sorted((tmp_path / "whole" / "checkpoints").iterdir())[-1]
    again = context(tmp_path / "again", config, pairs)
    resumed = type(again)(**{**vars(again), "resume_from": last})
    train(resumed)
    weights = [
        (tmp_path / n / "model" / "model.safetensors").read_bytes() for n in ("whole", "again")
    ]
    assert weights[0] == weights[1]


def test_a_row_without_its_keys_is_named(tmp_path):
    data = write(tmp_path / "pairs.jsonl", [{"prompt": "a", "chosen": "b"}] * 10)
    with pytest.raises(UserError, match="line 1: no 'rejected'"):
        train(context(tmp_path / "stage", RewardModelConfig(**SMALL), data))


def test_microbatches_hold_every_row_once_and_keep_the_limit():
    rows = [[0] * n for n in (5, 9, 1, 7, 30, 2)]
    batches = microbatches(rows, max_tokens=18)
    assert sorted(i for batch in batches for i in batch) == list(range(6))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(len(rows[i]) for i in batch) <= 18


def test_scores_come_back_in_the_order_of_the_rows():
    from aha.model.reward_model import reward_model_of

    model = reward_model_of(embedded_model()).model
    torch.nn.init.normal_(model.score.weight, generator=torch.Generator().manual_seed(0))
    rows = [[5, 6, 7], [9], [3, 4, 5, 6, 7, 8], [11, 12]]
    together = score_rows(model, rows, tokens_per_microbatch=64)
    split = score_rows(model, rows, tokens_per_microbatch=1)
    assert torch.allclose(together, split, atol=1e-4)
