"""One token a step with the cache equals the whole forward at every position."""

import copy

import pytest
import torch

from aha.engine import native
from aha.engine.block_cache import BlockCache, block_tokens
from aha.engine.cache import Cache
from aha.engine.decode import Stepper
from aha.engine.native_cache import NativeCache
from aha.model import kernels
from aha.model.config import ModelConfig
from tests.model.checkpoints import CASES, build, tokens

CPU = torch.device("cpu")


@pytest.fixture(params=["compiled", "operators"])
def kind(request) -> type[Cache]:
    if request.param == "operators":
        return BlockCache
    if native.library() is None:
        pytest.skip("no compiler")
    return NativeCache


def make(kind: type[Cache], config: ModelConfig, num_slots: int) -> Cache:
    if kind is NativeCache and config.head_dim % 16:
        pytest.skip("the library takes whole vectors")
    return kind(config, num_slots=num_slots, capacity_tokens=48, device=CPU)


def decode_all(stepper: Stepper, cache: Cache, rows: torch.Tensor, lengths: list[int], shared: int):
    """Hidden states from each row's prompt length on, [B, steps, D], fed with the rows' tokens."""
    with torch.inference_mode():
        prefix = None
        if shared:
            prefix = stepper.prefill(rows[:1, :shared], torch.tensor([shared]))
        cache.set_prefix(prefix)
        own = torch.tensor(lengths) - shared
        prompts = stepper.prefill(rows[:, shared : max(lengths)], own, prefix)
        index = torch.arange(len(rows))
        cache.fill(index, prompts, index, own)
        states, position = [prompts.hidden_ND], own.clone()
        for step in range(rows.shape[1] - max(lengths)):
            fed = rows[index, torch.tensor(lengths) + step]
            states.append(stepper.step(fed, position, cache, int(position.max()) + 1))
            position += 1
        return torch.stack(states, dim=1)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shared", [0, 9])
def test_cached_steps_equal_the_whole_forward(case, shared, kind):
    model, rows, lengths = build(case), tokens(9, 50), [11, 15, 10] * 3
    rows[:, :shared] = rows[0, :shared]
    cache = make(kind, model.config, len(rows))
    states = decode_all(Stepper(model), cache, rows, lengths, shared)
    with torch.no_grad():
        whole = model(rows)
    for row, length in enumerate(lengths):
        expected = whole[row, length - 1 : length - 1 + states.shape[1]]
        assert (states[row] - expected).abs().max() < 3e-5


def test_plain_kernels_give_the_same_states(monkeypatch):
    model, rows = build("qwen3-biases"), tokens(9, 30)
    cache = make(BlockCache, model.config, 9)
    fused = decode_all(Stepper(model), cache, rows, [6] * 9, 0)
    monkeypatch.setattr(kernels, "onednn", lambda: None)
    monkeypatch.setattr(native, "library", lambda: None)
    plain = decode_all(Stepper(model), cache, rows, [6] * 9, 0)
    assert (plain - fused).abs().max() < 3e-5


def test_bfloat16_steps_stay_near_the_bfloat16_forward(kind):
    model, rows = copy.deepcopy(build("mistral")).bfloat16(), tokens(9, 30)
    states = decode_all(Stepper(model), make(kind, model.config, 9), rows, [6] * 9, 0)
    with torch.no_grad():
        whole = model(rows)[:, 5:-1]
    assert states.dtype == torch.float32
    assert (states[:, : whole.shape[1]] - whole).norm() / whole.norm() < 0.03


def test_moved_rows_go_on_as_before(kind):
    model, rows = build("llama-biases"), tokens(4, 20)
    stepper, index, cache = Stepper(model), torch.arange(4), make(kind, model.config, 4)
    with torch.inference_mode():
        cache.set_prefix(None)
        prompts = stepper.prefill(rows, torch.tensor([20, 20, 17, 19]))
        cache.fill(index, prompts, index, torch.tensor([20, 20, 17, 19]))
        fed, position = torch.tensor([5, 6, 7, 8]), torch.tensor([20, 20, 17, 19])
        stepper.step(fed, position, cache, 21)
        cache.move(torch.tensor([3]), torch.tensor([1]), 20)
        again = torch.tensor([9, 9, 9])
        states = stepper.step(again, torch.tensor([21, 20, 18]), cache, 22)
        texts = [[*rows[0].tolist(), 5, 9], [*rows[3, :19].tolist(), 8, 9]]
        texts.append([*rows[2, :17].tolist(), 7, 9])
        for state, text in zip(states, texts, strict=True):
            assert (state - model(torch.tensor([text]))[0, -1]).abs().max() < 3e-5


@pytest.mark.parametrize("capacity", [1, 31, 33, 400, 5000, 40000])
def test_blocks_cover_the_capacity(capacity):
    width = block_tokens(capacity)
    assert 32 <= width <= 1024
    assert width == 32 or -(-capacity // width) <= 40
