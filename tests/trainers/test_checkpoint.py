"""A checkpoint gives back every bit."""

import shutil

import pytest
import torch

from aha.errors import UserError
from aha.model.hf_folder import load_model
from aha.trainers.checkpoint import STATE_FILE, load_checkpoint, save_checkpoint
from aha.trainers.optim import adamw, muon_with_adamw
from tests.trainers.tiny import tiny_model, tiny_tokenizer

TOKENS = torch.tensor([[2, 3, 4, 5, 6]])
KINDS = {
    "adamw": lambda model: adamw(model, lr=1e-2, beta2=0.95, weight_decay=0.1),
    "muon": lambda model: muon_with_adamw(model, lr=2e-2, embedding_lr=4e-3),
}


def train(model, optimizers, steps):
    for _ in range(steps):
        model.logits(model(TOKENS)).logsumexp(-1).sum().backward()
        optimizers.step(0.5)


@pytest.fixture
def saved(tmp_path):
    model = tiny_model()
    optimizers = KINDS["adamw"](model)
    train(model, optimizers, 2)
    (tmp_path / "step-000002").mkdir()
    save_checkpoint(tmp_path / "step-000002", model, tiny_tokenizer(), optimizers)
    return tmp_path / "step-000002"


@pytest.mark.parametrize("kind", KINDS)
def test_training_continues_bit_for_bit(tmp_path, kind):
    model, extra = tiny_model(), {"position": 17, "reference": tiny_model(seed=3).state_dict()}
    optimizers = KINDS[kind](model)
    train(model, optimizers, 3)
    save_checkpoint(tmp_path, model, tiny_tokenizer(), optimizers, extra)
    resumed = tiny_model(seed=9)
    resumed_optimizers = KINDS[kind](resumed)
    loaded = load_checkpoint(tmp_path, resumed, resumed_optimizers)
    assert loaded["position"] == 17
    assert all(torch.equal(loaded["reference"][k], v) for k, v in extra["reference"].items())
    train(model, optimizers, 3)
    train(resumed, resumed_optimizers, 3)
    for left, right in zip(model.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(left, right)


def test_a_checkpoint_is_a_model_folder(saved):
    loaded = load_model(saved)
    assert loaded.tokenizer.encode("a b") == [2, 3]
    assert loaded.model.num_parameters == tiny_model().num_parameters


def test_the_policy_object_stays_the_one_that_engine_and_optimizer_hold(saved):
    model = tiny_model(seed=9)
    before = [id(p) for p in model.parameters()]
    load_checkpoint(saved, model, KINDS["adamw"](model))
    assert [id(p) for p in model.parameters()] == before
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("damage", ["cut off", "garbage", "empty", "missing"])
def test_a_damaged_state_is_the_users_error(saved, damage):
    file = saved / STATE_FILE
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(
            {"cut off": content[: len(content) // 2], "garbage": b"hello", "empty": b""}[damage]
        )
    model = tiny_model()
    with pytest.raises(UserError, match=r"cannot read .*trainer\.pt") as info:
        load_checkpoint(saved, model, KINDS["adamw"](model))
    assert "delete" in info.value.hint


def test_a_damaged_model_is_the_users_error(saved):
    weights = saved / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    model = tiny_model()
    with pytest.raises(UserError, match="cannot read"):
        load_checkpoint(saved, model, KINDS["adamw"](model))
    shutil.rmtree(saved)
