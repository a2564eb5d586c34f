"""One token a step with the cache equals the whole forward at every position."""

import copy

import pytest
import torch

from aha.engine.cache import KVCache, block_tokens
from aha.engine.decode import Stepper
from aha.model import kernels
from tests.model.checkpoints import CASES, build, tokens

CPU = torch.device("cpu")


def decode_all(stepper: Stepper, rows: torch.Tensor, lengths: list[int], num_shared: int):
    """Hidden states from each row's prompt length on, [B, steps, D], fed with the rows' tokens."""
    with torch.inference_mode():
        prefix = None
        if num_shared:
            prefix = stepper.prefill(rows[:1, :num_shared], torch.tensor([num_shared]))
        own = torch.tensor(lengths) - num_shared
        prompts = rows[:, num_shared : max(lengths)]
        prompt = stepper.prefill(prompts, own, prefix)
        cache = KVCache(stepper.config, num_slots=len(rows), capacity_tokens=48, device=CPU)
        index = torch.arange(len(rows))
        cache.fill(index, prompt.keys, prompt.values, index, own)
        states, position = [prompt.hidden_ND], own.clone()
        for step in range(rows.shape[1] - max(lengths)):
            fed = rows[index, torch.tensor(lengths) + step]
            longest = int(position.max()) + 1
            states.append(stepper.step(fed, position, cache, prefix, longest))
            position += 1
        return torch.stack(states, dim=1)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("num_shared", [0, 9])
def test_cached_steps_equal_the_whole_forward(case, num_shared):
    model, rows, lengths = build(case), tokens(9, 50), [11, 15, 10] * 3
    rows[:, :num_shared] = rows[0, :num_shared]
    states = decode_all(Stepper(model), rows, lengths, num_shared)
    with torch.no_grad():
        whole = model(rows)
    for row, length in enumerate(lengths):
        expected = whole[row, length - 1 : length - 1 + states.shape[1]]
        assert (states[row] - expected).abs().max() < 3e-5


def test_plain_kernels_give_the_same_states(monkeypatch):
    model, rows = build("qwen3-biases"), tokens(9, 30)
    fused = decode_all(Stepper(model), rows, [6] * 9, 0)
    monkeypatch.setattr(kernels, "onednn", lambda: None)
    assert (decode_all(Stepper(model), rows, [6] * 9, 0) - fused).abs().max() < 3e-5


def test_bfloat16_steps_stay_near_the_bfloat16_forward():
    model, rows = copy.deepcopy(build("qwen2")).bfloat16(), tokens(9, 30)
    states = decode_all(Stepper(model), rows, [6] * 9, 0)
    with torch.no_grad():
        whole = model(rows)[:, 5:-1]
    assert states.dtype == torch.float32
    assert (states[:, : whole.shape[1]] - whole).norm() / whole.norm() < 0.03


def test_moved_rows_go_on_as_before():
    model, rows = build("llama-biases"), tokens(4, 20)
    stepper, index = Stepper(model), torch.arange(4)
    with torch.inference_mode():
        prompt = stepper.prefill(rows, torch.full((4,), 20))
        cache = KVCache(model.config, num_slots=4, capacity_tokens=40, device=CPU)
        cache.fill(index, prompt.keys, prompt.values, index, torch.full((4,), 20))
        cache.move(torch.tensor([3]), torch.tensor([1]), 20)
        fed = torch.tensor([5, 5, 5])
        states = stepper.step(fed, torch.full((3,), 20), cache, None, 21)
        ends = torch.cat((rows[[0, 3, 2]], fed[:, None]), dim=1)
        assert (states - model(ends)[:, -1]).abs().max() < 3e-5


@pytest.mark.parametrize("capacity", [1, 31, 33, 400, 5000, 40000])
def test_blocks_cover_the_capacity(capacity):
    width = block_tokens(capacity)
    assert 32 <= width <= 1024
    assert width == 32 or -(-capacity // width) <= 40
