"""The bytes that are counted are those of the tensors that are there."""

import pytest
import torch

from aha.pipeline.testing import stage_context
from aha.trainers import grpo, ppo
from aha.trainers.memory import measured, trained_bytes, training_bytes
from aha.trainers.optim import adamw
from aha.trainers.ppo_config import PpoConfig
from tests.trainers.tiny import tiny_config, tiny_folder, tiny_model, tiny_task_file


def tensors_bytes(tensors) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_gradients_and_adams_state(dtype):
    model = tiny_model().to(dtype)
    optimizers = adamw(model, lr=1e-3, beta2=0.95, weight_decay=0.0)
    sum(p.float().sum() for p in model.parameters()).backward()
    counted = trained_bytes(model)
    assert counted.gradients == tensors_bytes(p.grad for p in model.parameters())
    optimizers.step(1.0)
    states = optimizers.parts[0].state.values()
    moments = tensors_bytes(t for state in states for t in state.values())
    copies = tensors_bytes(getattr(optimizers.parts[0], "masters", []))
    assert counted.optimizer == moments + copies
    assert counted.weights == tensors_bytes(model.parameters())


def test_ppo_holds_a_critic_more_and_a_reference_is_weights_alone(tmp_path):
    model, one = tiny_folder(tmp_path / "model"), trained_bytes(tiny_model())
    alone = training_bytes(tiny_config(kl_coef=None), model)
    assert alone == one
    with_reference = training_bytes(tiny_config(), model)
    assert with_reference.weights == 2 * one.weights
    assert (with_reference.gradients, with_reference.optimizer) == (one.gradients, one.optimizer)
    with_critic = training_bytes(PpoConfig(**tiny_config(kl_coef=None).table()), model)
    head = 32 * 4
    assert with_critic.gradients == 2 * one.gradients + head - untied_bytes()
    assert with_critic.weights == 2 * one.weights + head - untied_bytes()


def untied_bytes() -> int:
    """The output matrix, which a critic has not."""
    lm_head = tiny_model().lm_head
    return 0 if lm_head is None else lm_head.weight.numel() * 4


def test_a_stage_says_what_it_took(tmp_path):
    model, task = tiny_folder(tmp_path / "model"), tiny_task_file(tmp_path)
    config = tiny_config(task, num_steps=1, eval_every=None)
    for name, train, kind in (("g", grpo.train, config), ("p", ppo.train, None)):
        made = kind or PpoConfig(**config.table())
        summary = measured(stage_context(tmp_path / name, made, {"model": model}), train).summary
        assert summary["steps"] == 1
        assert summary["tensor_bytes"] == sum(
            summary[f"{part}_bytes"] for part in ("weight", "gradient", "optimizer")
        )
        assert len(summary["peak_memory_bytes"]) == 1
        assert summary["peak_memory_bytes"][0] >= summary["start_memory_bytes"][0] > 10_000_000
