"""The architecture of one dense decoder: the Llama, Qwen2, Qwen3, Mistral and SmolLM family."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from aha.errors import UserError, nearest
from aha.model.rope import ROPE_KINDS, RopeConfig, RopeKind

MODEL_TYPES: Mapping[str, str] = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "smollm3": "SmolLM3ForCausalLM",
}
_HANDLED = frozenset(
    (
        *("model_type", "architectures", "vocab_size", "hidden_size", "intermediate_size"),
        *("num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim"),
        *("max_position_embeddings", "rms_norm_eps", "rope_theta", "rope_scaling"),
        *("rope_parameters", "attention_bias", "mlp_bias", "tie_word_embeddings"),
        *("sliding_window", "use_sliding_window", "max_window_layers", "layer_types"),
        *("no_rope_layers", "no_rope_layer_interval", "initializer_range", "hidden_act"),
        *("bos_token_id", "eos_token_id", "pad_token_id", "dtype", "torch_dtype"),
    )
)
_ROPE_NUMBERS = tuple(
    f.name for f in dataclasses.fields(RopeConfig) if f.name not in ("theta", "kind")
)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything that decides the function the weights compute. Lengths are in tokens."""

    model_type: str = "llama"
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    max_positions: int
    norm_eps: float = 1e-5
    rope: RopeConfig = field(default_factory=RopeConfig)
    qkv_bias: bool = False
    o_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
    tie_embeddings: bool = True
    windows: tuple[int | None, ...] = ()
    """Per layer: a token sees itself and the window - 1 tokens before it; None sees all."""
    rope_layers: tuple[bool, ...] = ()
    """Per layer: whether queries and keys are rotated (SmolLM3 leaves every fourth layer out)."""
    initializer_range: float = 0.02
    bos_token_id: int | None = None
    eos_token_ids: tuple[int, ...] = ()
    pad_token_id: int | None = None
    dtype: str = "float32"
    """Of the weights in the folder this came from."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Keys of config.json that change nothing here and are written back as they were."""

    def __post_init__(self) -> None:
        if not self.windows:
            object.__setattr__(self, "windows", (None,) * self.num_layers)
        if not self.rope_layers:
            object.__setattr__(self, "rope_layers", (True,) * self.num_layers)
        self._check()

    def _check(self) -> None:
        if self.model_type not in MODEL_TYPES:
            raise _unknown_architecture(self.model_type)
        if self.num_heads % self.num_kv_heads:
            raise UserError(
                f"{self.num_heads} attention heads cannot share {self.num_kv_heads} key heads",
                hint="num_attention_heads must be a multiple of num_key_value_heads",
            )
        if len(self.windows) != self.num_layers or len(self.rope_layers) != self.num_layers:
            raise UserError(f"per-layer settings do not cover the {self.num_layers} layers")
        if self.head_dim % 2:
            raise UserError(f"head_dim {self.head_dim} is odd: rotary embedding needs pairs")

    @property
    def group_size(self) -> int:
        """Query heads that share one key head."""
        return self.num_heads // self.num_kv_heads

    @classmethod
    def from_hf(cls, raw: Mapping[str, Any]) -> "ModelConfig":
        """Read the content of a config.json, of transformers 4 or 5. Raises UserError."""
        model_type = raw.get("model_type")
        if model_type not in MODEL_TYPES:
            raise _unknown_architecture(model_type)
        _refuse_unsupported(raw)
        try:
            return cls(**_fields(raw, str(model_type)))
        except KeyError as missing:
            raise UserError(
                f"config.json has no {missing.args[0]!r}",
                hint="the folder must hold the config.json of a causal language model",
            ) from missing

    def to_hf(self) -> dict[str, Any]:
        """The content of a config.json that transformers 4 and 5, vLLM and llama.cpp read."""
        eos = list(self.eos_token_ids)
        out: dict[str, Any] = {
            "architectures": [MODEL_TYPES[self.model_type]],
            "model_type": self.model_type,
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads,
            "num_key_value_heads": self.num_kv_heads,
            "head_dim": self.head_dim,
            "max_position_embeddings": self.max_positions,
            "rms_norm_eps": self.norm_eps,
            "hidden_act": "silu",
            "tie_word_embeddings": self.tie_embeddings,
            "initializer_range": self.initializer_range,
            "bos_token_id": self.bos_token_id,
            "eos_token_id": eos[0] if len(eos) == 1 else eos or None,
            "pad_token_id": self.pad_token_id,
            "dtype": self.dtype,
            "torch_dtype": self.dtype,
        }
        return {**self.extra, **out, **_rope_to_hf(self.rope), **_family_to_hf(self)}


def _unknown_architecture(model_type: object) -> UserError:
    near = nearest(str(model_type), MODEL_TYPES)
    guess = f"; did you mean {near!r}?" if near else ""
    return UserError(
        f"unsupported architecture: model_type {model_type!r}",
        hint=f"the built-in decoder knows {', '.join(sorted(MODEL_TYPES))}{guess}",
    )


def _refuse_unsupported(raw: Mapping[str, Any]) -> None:
    if raw.get("hidden_act", "silu") not in ("silu", "swish"):
        raise UserError(
            f"unsupported hidden_act {raw['hidden_act']!r} in config.json",
            hint="the built-in decoder computes silu only",
        )
    if raw.get("quantization_config"):
        raise UserError(
            "the weights are quantized (quantization_config in config.json)",
            hint="use the unquantized checkpoint: training needs float weights",
        )
    rope = _rope_dict(raw)
    partial = rope.get("partial_rotary_factor", raw.get("partial_rotary_factor"))
    if partial not in (None, 1, 1.0):
        raise UserError(f"unsupported partial_rotary_factor {partial} in config.json")


def _fields(raw: Mapping[str, Any], model_type: str) -> dict[str, Any]:
    num_layers, num_heads = int(raw["num_hidden_layers"]), int(raw["num_attention_heads"])
    biased = bool(raw.get("attention_bias", False)) and model_type != "mistral"
    return {
        "model_type": model_type,
        "vocab_size": int(raw["vocab_size"]),
        "hidden_size": int(raw["hidden_size"]),
        "intermediate_size": int(raw["intermediate_size"]),
        "num_layers": num_layers,
        "num_heads": num_heads,
        "num_kv_heads": int(raw.get("num_key_value_heads") or num_heads),
        "head_dim": int(raw.get("head_dim") or int(raw["hidden_size"]) // num_heads),
        "max_positions": int(raw["max_position_embeddings"]),
        "norm_eps": float(raw.get("rms_norm_eps", 1e-6)),
        "rope": _rope_from_hf(raw),
        "qkv_bias": biased or model_type == "qwen2",
        "o_bias": biased and model_type != "qwen2",
        "mlp_bias": bool(raw.get("mlp_bias", False)) and model_type in ("llama", "smollm3"),
        "qk_norm": model_type == "qwen3",
        "tie_embeddings": bool(raw.get("tie_word_embeddings", model_type == "smollm3")),
        "rope_layers": _rope_layers(raw, model_type, num_layers),
        "windows": _windows(raw, model_type, num_layers),
        "initializer_range": float(raw.get("initializer_range", 0.02)),
        "bos_token_id": raw.get("bos_token_id"),
        "eos_token_ids": token_id_list(raw.get("eos_token_id")),
        "pad_token_id": raw.get("pad_token_id"),
        "dtype": str(raw.get("dtype") or raw.get("torch_dtype") or "float32"),
        "extra": {key: value for key, value in raw.items() if key not in _HANDLED},
    }


def token_id_list(value: int | list[int] | None) -> tuple[int, ...]:
    """HF writes one id, several, or null."""
    if value is None:
        return ()
    return (value,) if isinstance(value, int) else tuple(value)


def _rope_dict(raw: Mapping[str, Any]) -> dict[str, Any]:
    return dict(raw.get("rope_parameters") or raw.get("rope_scaling") or {})


def _rope_from_hf(raw: Mapping[str, Any]) -> RopeConfig:
    scaling = _rope_dict(raw)
    kind = scaling.get("rope_type") or scaling.get("type") or "default"
    if kind not in get_args(RopeKind):
        near = nearest(str(kind), ROPE_KINDS)
        raise UserError(
            f"unsupported rope_type {kind!r} in config.json",
            hint=f"known: {', '.join(ROPE_KINDS)}" + (f"; did you mean {near!r}?" if near else ""),
        )
    numbers = {key: scaling[key] for key in _ROPE_NUMBERS if scaling.get(key) is not None}
    original = raw.get("original_max_position_embeddings")
    if original is not None:
        numbers.setdefault("original_max_position_embeddings", int(original))
    if kind == "yarn" and "factor" not in numbers:
        base = numbers.get("original_max_position_embeddings", raw["max_position_embeddings"])
        numbers["factor"] = raw["max_position_embeddings"] / base
    usual = 2_000_000.0 if raw["model_type"] == "smollm3" else 10_000.0
    theta = scaling.get("rope_theta", raw.get("rope_theta", usual))
    return RopeConfig(theta=float(theta), kind=cast(RopeKind, kind), **numbers)


def _rope_to_hf(rope: RopeConfig) -> dict[str, Any]:
    """Both spellings: rope_theta with rope_scaling (transformers 4), rope_parameters (5)."""
    if rope.kind == "default":
        new = {"rope_type": "default", "rope_theta": rope.theta}
        return {"rope_theta": rope.theta, "rope_scaling": None, "rope_parameters": new}
    defaults = RopeConfig()
    needed = {"llama3": {"low_freq_factor", "high_freq_factor"}}.get(rope.kind, set())
    scaling: dict[str, Any] = {"rope_type": rope.kind, "factor": rope.factor}
    for key in _ROPE_NUMBERS:
        value = getattr(rope, key)
        if value is not None and (key in needed or value != getattr(defaults, key)):
            scaling[key] = value
    new = {**scaling, "rope_theta": rope.theta}
    return {"rope_theta": rope.theta, "rope_scaling": scaling, "rope_parameters": new}


def _rope_layers(raw: Mapping[str, Any], model_type: str, num_layers: int) -> tuple[bool, ...]:
    if model_type != "smollm3":
        return (True,) * num_layers
    if raw.get("no_rope_layers"):
        return tuple(bool(flag) for flag in raw["no_rope_layers"])
    interval = int(raw.get("no_rope_layer_interval") or 4)
    return tuple((layer + 1) % interval != 0 for layer in range(num_layers))


def _windows(raw: Mapping[str, Any], model_type: str, num_layers: int) -> tuple[int | None, ...]:
    """Which layers see a window only: layer_types decides where given, else the family's rule."""
    window = raw.get("sliding_window", None if model_type == "smollm3" else 4096)
    switch = raw.get("use_sliding_window", model_type == "mistral")
    if model_type == "llama" or window is None or not switch:
        return (None,) * num_layers
    kinds = raw.get("layer_types")
    if kinds:
        return tuple(int(window) if kind == "sliding_attention" else None for kind in kinds)
    if model_type == "mistral":
        return (int(window),) * num_layers
    if model_type == "smollm3":
        rotated = _rope_layers(raw, model_type, num_layers)
        return tuple(None if flag else int(window) for flag in rotated)
    first = int(raw.get("max_window_layers", 28))
    return tuple(int(window) if layer >= first else None for layer in range(num_layers))


def _family_to_hf(config: ModelConfig) -> dict[str, Any]:
    """The keys that only some families have."""
    out: dict[str, Any] = {}
    if config.model_type != "mistral":
        out["attention_bias"] = config.qkv_bias
    if config.model_type in ("llama", "smollm3"):
        out["mlp_bias"] = config.mlp_bias
    window = next((w for w in config.windows if w is not None), None)
    if config.model_type == "llama":
        return out
    out["sliding_window"] = window
    if config.model_type != "mistral":
        out["use_sliding_window"] = window is not None
        out["layer_types"] = [
            "full_attention" if w is None else "sliding_attention" for w in config.windows
        ]
    if config.model_type in ("qwen2", "qwen3"):
        full = [layer for layer, w in enumerate(config.windows) if w is None]
        out["max_window_layers"] = full[-1] + 1 if full else 0
    if config.model_type == "smollm3":
        out["no_rope_layers"] = [int(flag) for flag in config.rope_layers]
    return out
