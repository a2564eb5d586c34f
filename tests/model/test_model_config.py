"""config.json in and out."""

import pytest

from aha.errors import UserError
from aha.model.config import ModelConfig
from tests.model.checkpoints import CASES, LLAMA3, raw_config


@pytest.mark.parametrize("case", CASES)
def test_to_hf_says_the_same(case):
    config = ModelConfig.from_hf(raw_config(case))
    assert ModelConfig.from_hf(config.to_hf()) == config


def test_rope_in_the_style_of_transformers_5():
    old = raw_config("llama-llama3")
    new = {k: v for k, v in old.items() if not k.startswith("rope")}
    new["rope_parameters"] = {**LLAMA3, "rope_theta": 5e5}
    assert ModelConfig.from_hf(new) == ModelConfig.from_hf(old)
    assert ModelConfig.from_hf(new).rope.theta == 5e5


@pytest.mark.parametrize(
    ("case", "windows"),
    [
        ("qwen2-window", (None, None, 7, 7)),
        ("qwen3-window", (None, 7, 7, 7)),
        ("mistral", (9, 9, 9, 9)),
        ("mistral-full", (None,) * 4),
        ("smollm3-window", (None, 7, None, 7)),
        ("qwen2", (None,) * 4),
    ],
)
def test_windows(case, windows):
    assert ModelConfig.from_hf(raw_config(case)).windows == windows


def test_layer_types_decide_over_the_family_rule():
    kinds = ["sliding_attention", "full_attention"] * 2
    raw = {**raw_config("qwen2-window"), "layer_types": kinds}
    assert ModelConfig.from_hf(raw).windows == (7, None, 7, None)


def test_every_fourth_layer_of_smollm3_is_not_rotated():
    assert ModelConfig.from_hf(raw_config("smollm3")).rope_layers == (True, True, True, False)


def test_what_changes_nothing_is_written_back():
    raw = {**raw_config("llama"), "use_cache": False, "note": {"a": 1}}
    out = ModelConfig.from_hf(raw).to_hf()
    assert out["use_cache"] is False and out["note"] == {"a": 1}


def test_one_and_several_eos_ids():
    raw = {**raw_config("llama"), "eos_token_id": [2, 7]}
    assert ModelConfig.from_hf(raw).eos_token_ids == (2, 7)
    assert ModelConfig.from_hf(raw).to_hf()["eos_token_id"] == [2, 7]
    assert ModelConfig.from_hf({**raw, "eos_token_id": None}).to_hf()["eos_token_id"] is None


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        ({"model_type": "qwen2_moe"}, "model_type 'qwen2_moe'", "'qwen2'"),
        ({"model_type": None}, "model_type None", "llama"),
        ({"hidden_act": "gelu"}, "'gelu'", "silu"),
        ({"quantization_config": {"bits": 4}}, "quantized", "unquantized"),
        ({"rope_scaling": {"rope_type": "yarm"}}, "'yarm'", "'yarn'"),
        ({"partial_rotary_factor": 0.5}, "0.5", None),
        ({"num_key_value_heads": 3}, "4 attention heads", "multiple"),
        ({"layer_types": ["full_attention"], "sliding_window": 4}, "4 layers", None),
    ],
)
def test_what_we_cannot_compute_is_refused(change, message, hint):
    with pytest.raises(UserError, match=message) as caught:
        ModelConfig.from_hf({**raw_config("mistral"), **change})
    assert hint is None or hint in caught.value.hint


def test_a_missing_key_is_named():
    raw = raw_config("llama")
    del raw["hidden_size"]
    with pytest.raises(UserError, match="'hidden_size'"):
        ModelConfig.from_hf(raw)
