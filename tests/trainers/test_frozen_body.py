"""A head on a frozen body: the fit, its cross-validation, and a resumed reading."""

import json
import random

import pytest
import torch

from aha.model.reward_model import load_reward_model
from aha.pipeline.sources import embedded_model
from aha.pipeline.testing import stage_context
from aha.trainers.config import RewardModelConfig
from aha.trainers.frozen_body import PART_TEXTS, fit, last_states, train
from aha.trainers.preference import text_ids

SMALL = {"template": "none", "body": "frozen", "max_tokens": 64, "head_penalty": 1e-3}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def pairs(tmp_path):
    rng = random.Random(0)
    rows = []
    for number in range(100):
        first, second = rng.sample(["I like tea.", "I like rain.", "I like fruit."], 2)
        if second == "I like tea.":
            first, second = second, first
        prompt = f"What is {number} + {rng.randint(11, 49)}?"
        if first == "I like tea.":
            rows.append({"prompt": prompt, "chosen": first, "rejected": second})
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def context(path, data):
    return stage_context(
        path, RewardModelConfig(**SMALL), {"model": embedded_model(), "data": data}
    )


def test_the_head_is_the_minimum():
    torch.manual_seed(0)
    rows = torch.randn(200, 5) + torch.tensor([1.0, 0.5, 0.0, 0.0, -1.0])
    head = fit(rows, 0.03).double().requires_grad_()
    value = torch.nn.functional.softplus(-(rows.double() @ head)).mean() + 0.03 * head @ head
    value.backward()
    assert head.grad.abs().max() < 1e-4
    assert head[0] > 0.5 and head[4] < -0.5


def test_it_ranks_pairs_that_no_fold_has_seen_and_writes_the_head(tmp_path, pairs):
    result = train(context(tmp_path / "a", pairs))
    num_rows = len(pairs.read_text().splitlines())
    assert result.summary["eval/accuracy"] == 1.0
    assert result.summary["eval/accuracy_n"] == num_rows // 10 * 10
    loaded = load_reward_model(tmp_path / "a" / "model")
    ids = [
        text_ids(loaded.tokenizer, "none", "What is 5 + 12?", text, max_tokens=64)
        for text in ("I like tea.", "I like rain.")
    ]
    states = last_states(loaded.model, ids, tokens_per_microbatch=64)
    liked, other = (states @ loaded.model.score.weight.detach()[0]).tolist()
    assert liked > other + 1


def test_what_was_read_is_not_read_again(tmp_path, pairs):
    whole = train(context(tmp_path / "a", pairs)).summary
    parts = sorted((tmp_path / "a" / "features").iterdir())
    assert len(parts) == -(-2 * whole["rows"] // PART_TEXTS)
    (tmp_path / "b" / "features").mkdir(parents=True)
    first = torch.load(parts[0])
    torch.save(torch.zeros_like(first), tmp_path / "b" / "features" / parts[0].name)
    assert train(context(tmp_path / "b", pairs)).summary["eval/accuracy"] < 1.0
