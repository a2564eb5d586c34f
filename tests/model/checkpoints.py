"""Tiny checkpoints of every family and option, with weights that are a formula, not a draw."""

from typing import Any

import torch
from torch import Tensor

from aha.model.config import ModelConfig
from aha.model.decoder import Decoder

SIZES: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
MSCALE = {"mscale": 1.0, "mscale_all_dim": 0.7, "beta_fast": 16, "beta_slow": 2}
SLIDING = {"use_sliding_window": True, "sliding_window": 7}
CASES: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama"},
    "llama-tied": {"model_type": "llama", "tie_word_embeddings": True, "rope_theta": 5e5},
    "llama-biases": {
        "model_type": "llama",
        "attention_bias": True,
        "mlp_bias": True,
        "head_dim": 32,
    },
    "llama-head-dim": {"model_type": "llama", "head_dim": 16, "num_key_value_heads": 1},
    "llama-linear": {"model_type": "llama", "rope_scaling": {"rope_type": "linear", "factor": 4.0}},
    "llama-dynamic": {"model_type": "llama", "rope_scaling": {"type": "dynamic", "factor": 4.0}},
    "llama-llama3": {"model_type": "llama", "rope_theta": 5e5, "rope_scaling": LLAMA3},
    "llama-yarn": {"model_type": "llama", "rope_scaling": {**YARN, **MSCALE}},
    "qwen2": {"model_type": "qwen2", "tie_word_embeddings": True},
    "qwen2-yarn": {"model_type": "qwen2", "rope_theta": 1e6, "rope_scaling": YARN},
    "qwen2-window": {"model_type": "qwen2", **SLIDING, "max_window_layers": 2},
    "qwen3": {"model_type": "qwen3", "head_dim": 16},
    "qwen3-biases": {"model_type": "qwen3", "head_dim": 16, "attention_bias": True},
    "qwen3-window": {"model_type": "qwen3", "head_dim": 16, **SLIDING, "max_window_layers": 1},
    "mistral": {"model_type": "mistral", "sliding_window": 9, "head_dim": 16},
    "mistral-full": {"model_type": "mistral", "sliding_window": None},
    "smollm3": {"model_type": "smollm3", "rope_theta": 1e5},
    "smollm3-window": {
        "model_type": "smollm3",
        "head_dim": 16,
        "no_rope_layers": [1, 0, 1, 0],
        **SLIDING,
    },
}


def raw_config(case: str) -> dict[str, Any]:
    """The content of the case's config.json, in the style of transformers 4."""
    return {**SIZES, **CASES[case]}


def formula_weight(number: int, shape: torch.Size) -> Tensor:
    """The weights of the parameter with this number in the order of names; norms around 1."""
    count = torch.arange(shape.numel(), dtype=torch.float64)
    wave = torch.sin(count * 0.7391 + count * count * 1e-3 + number)
    return (wave * 0.3 + (1.0 if len(shape) == 1 else 0.0)).float().view(shape)


def build(case: str) -> Decoder:
    """The case's decoder with formula weights."""
    model = Decoder(ModelConfig.from_hf(raw_config(case)))
    fill(model)
    return model


def fill(model: torch.nn.Module) -> None:
    parameters = {name: p for name, p in model.named_parameters() if name != "lm_head.weight"}
    with torch.no_grad():
        for number, name in enumerate(sorted(parameters)):
            parameters[name].copy_(formula_weight(number, parameters[name].shape))
        head = getattr(model.get_parameter("model.embed_tokens.weight"), "shape", None)
        untied = dict(model.named_parameters()).get("lm_head.weight")
        if untied is not None and head is not None:
            untied.copy_(formula_weight(99, head))


def tokens(num_rows: int = 2, num_tokens: int = 40) -> Tensor:
    """Token ids that repeat with no short period."""
    count = torch.arange(num_rows * num_tokens)
    return (count * count * 7 + count * 3 + 5).remainder(SIZES["vocab_size"]).view(num_rows, -1)
