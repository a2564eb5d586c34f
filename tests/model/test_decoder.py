"""The forward pass: golden logits of every family, causality, padding, the shared prefix."""

import copy
import json
from pathlib import Path

import pytest
import torch

from aha.model.config import ModelConfig
from aha.model.decoder import Decoder, PrefixedDecoder
from tests.model.checkpoints import CASES, build, raw_config, tokens

GOLDEN = json.loads(Path(__file__).with_name("golden_logits.json").read_text())


@pytest.mark.parametrize("case", CASES)
def test_logits_equal_those_of_transformers(case):
    model = build(case)
    with torch.no_grad():
        logits = model.logits(model(tokens()))
    assert (logits[-1, [20, 39], :9] - torch.tensor(GOLDEN[case])).abs().max() < 1e-4


@pytest.mark.parametrize("case", ["llama", "mistral", "qwen3-window"])
def test_later_tokens_and_padding_change_nothing_before_them(case):
    model, rows = build(case), tokens()
    changed = rows.clone()
    changed[:, 25:] = 0
    with torch.no_grad():
        assert (model(rows)[:, :25] - model(changed)[:, :25]).abs().max() < 1e-5
        assert (model(rows[:, :25]) - model(rows)[:, :25]).abs().max() < 1e-5


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("num_prefix", [1, 13])
def test_a_shared_prefix_gives_the_same_states_and_gradients(case, num_prefix):
    model, rows = build(case), tokens(3, 33)
    rows[:, :num_prefix] = rows[0, :num_prefix]
    weights = torch.sin(torch.arange(97.0))
    whole = model(rows)[:, num_prefix:]
    grads = torch.autograd.grad((model.logits(whole) @ weights).sum(), list(model.parameters()))
    shared = model(rows[:, num_prefix:], prefix=rows[0, :num_prefix])
    again = torch.autograd.grad((model.logits(shared) @ weights).sum(), list(model.parameters()))
    assert (whole - shared).abs().max() < 2e-5
    for (name, _), one, other in zip(model.named_parameters(), grads, again, strict=True):
        assert (one - other).abs().max() <= 2e-5 * one.abs().max() + 1e-6, name


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("num_prefix", [0, 13])
def test_a_prefix_that_runs_once_gathers_the_gradients_of_several_passes(case, num_prefix):
    model, rows = build(case), tokens(4, 33)
    rows[:, :num_prefix] = rows[0, :num_prefix]
    weights = torch.sin(torch.arange(97.0))
    (model.logits(model(rows)[:, num_prefix:]) @ weights).sum().backward()
    expected = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    behind = PrefixedDecoder(model, rows[0, :num_prefix])
    for part in (rows[:1], rows[1:]):
        (model.logits(behind(part[:, num_prefix:])) @ weights).sum().backward()
    behind.backward()
    for (name, p), grad in zip(model.named_parameters(), expected, strict=True):
        assert (p.grad - grad).abs().max() <= 2e-5 * grad.abs().max() + 1e-6, name


def test_an_empty_prefix_is_no_prefix():
    model, rows = build("llama"), tokens()
    assert torch.equal(model(rows, prefix=torch.zeros(0, dtype=torch.long)), model(rows))


def test_parameter_names_are_those_of_the_checkpoints():
    names = set(dict(build("qwen3-biases").named_parameters()))
    parts = ["q_proj.weight", "q_proj.bias", "o_proj.bias", "q_norm.weight", "k_norm.weight"]
    assert {f"model.layers.3.self_attn.{part}" for part in parts} <= names
    assert {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"} <= names
    assert "lm_head.weight" not in dict(build("llama-tied").named_parameters())


def test_fresh_weights_have_the_stated_scale_and_follow_the_generator():
    config = ModelConfig.from_hf({**raw_config("llama"), "hidden_size": 256})
    models = [Decoder(config), Decoder(config)]
    for model in models:
        model.init_weights(torch.Generator().manual_seed(3))
    first, second = (dict(model.named_parameters()) for model in models)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert first["model.embed_tokens.weight"].std().item() == pytest.approx(0.02, rel=0.02)
    down = first["model.layers.0.mlp.down_proj.weight"].std()
    assert down.item() == pytest.approx(0.02 / 8**0.5, rel=0.02)
    assert bool((first["model.norm.weight"] == 1).all())


def test_bfloat16_products_stay_near_the_float32_model_and_train_float32_weights():
    exact = build("llama")
    fast = Decoder(exact.config, linear_dtype=torch.bfloat16)
    fast.load_state_dict(exact.state_dict())
    reference, near = exact(tokens()), fast(tokens())
    assert near.dtype == torch.float32
    error = (reference - near).norm() / reference.norm()
    assert 1e-5 < error < 0.05
    near.square().mean().backward()
    trained = [p.grad for p in fast.parameters() if p is not fast.head_weight]
    assert all(grad is not None and grad.dtype == torch.float32 for grad in trained)


def test_bfloat16_weights_keep_a_float32_residual():
    exact = build("qwen2")
    half = copy.deepcopy(exact).bfloat16()
    reference, near = exact.logits(exact(tokens())), half.logits(half(tokens()))
    assert near.dtype == torch.float32
    assert (reference - near).norm() / reference.norm() < 0.05


def test_a_copy_is_independent():
    model = build("llama")
    other = copy.deepcopy(model)
    before = model(tokens())
    with torch.no_grad():
        other.head_weight.zero_()
        for parameter in other.parameters():
            parameter.zero_()
    assert torch.equal(model(tokens()), before)
