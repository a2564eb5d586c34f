"""GGUF files of Llama models to plain HF folders.

The container and the arithmetic of the quantized types are those of the `gguf` package (extra
`smollm2`); the names, the order of the rows and the tokenizer are mapped here. A tensor or a
setting that is not understood is an error: a model that is almost right is the worst outcome.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from safetensors.numpy import save_file
from tokenizers import decoders, models, pre_tokenizers

from aha.errors import UserError
from aha.model.config import ModelConfig
from aha.model.rope import RopeConfig
from aha.model.tokenizer import Tokenizer

Metadata = Mapping[str, Any]

_TOP = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_LAYER = {
    "attn_norm.weight": "input_layernorm.weight",
    "attn_q.weight": "self_attn.q_proj.weight",
    "attn_k.weight": "self_attn.k_proj.weight",
    "attn_v.weight": "self_attn.v_proj.weight",
    "attn_output.weight": "self_attn.o_proj.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "ffn_gate.weight": "mlp.gate_proj.weight",
    "ffn_up.weight": "mlp.up_proj.weight",
    "ffn_down.weight": "mlp.down_proj.weight",
}
_CONTROL, _USER_DEFINED = 3, 4
"""Values of tokenizer.ggml.token_type."""
_OTHER_FILE = "give a GGUF file of a Llama model made by llama.cpp"


def convert_gguf(file: Path, folder: Path) -> None:
    """Fill an existing folder with the HF files of a GGUF file, weights in float32.

    Raises UserError for a damaged file and for anything but a Llama model with a byte-level BPE.
    """
    reader, metadata = _open(file)
    try:
        tokenizer = gguf_tokenizer(metadata)
        config = gguf_config(
            metadata, is_tied=not _has(reader, "output.weight"), tokenizer=tokenizer
        )
    except KeyError as missing:
        raise UserError(f"{file} has no {missing.args[0]}", hint=_OTHER_FILE) from None
    tensors = dict(_tensors(reader, config, file))
    _check_complete(tensors, config, file)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    text = json.dumps(config.to_hf(), indent=2, ensure_ascii=False)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")
    tokenizer.write(folder)


def _open(file: Path) -> tuple[Any, Metadata]:
    """The package's reader, and all metadata as plain values."""
    try:
        import gguf
    except ImportError:
        hint = "pip install 'aha-rl[smollm2]'"
        raise UserError("reading GGUF files needs the package gguf", hint=hint) from None
    try:
        reader = gguf.GGUFReader(file)
        return reader, {name: field.contents() for name, field in reader.fields.items()}
    except (ValueError, IndexError, KeyError, OverflowError, OSError) as broken:
        raise UserError(f"cannot read {file}: {broken}", hint="copy or install it again") from None


def _has(reader: Any, name: str) -> bool:
    return any(tensor.name == name for tensor in reader.tensors)


def gguf_config(metadata: Metadata, *, is_tied: bool, tokenizer: Tokenizer) -> ModelConfig:
    """The architecture. KeyError for a missing key, UserError for one that is not supported."""
    architecture = metadata["general.architecture"]
    if architecture != "llama":
        raise UserError(f"GGUF files of {architecture!r} models are not read", hint=_OTHER_FILE)
    if metadata.get("llama.rope.scaling.type", "none") != "none":
        raise UserError("GGUF files with a scaled rotary embedding are not read", hint=_OTHER_FILE)
    num_heads = metadata["llama.attention.head_count"]
    head_dim = metadata["llama.embedding_length"] // num_heads
    for key in ("attention.key_length", "attention.value_length", "rope.dimension_count"):
        if metadata.get(f"llama.{key}", head_dim) != head_dim:
            raise UserError(f"llama.{key} other than {head_dim} is not read", hint=_OTHER_FILE)
    return ModelConfig(
        vocab_size=len(metadata["tokenizer.ggml.tokens"]),
        hidden_size=metadata["llama.embedding_length"],
        intermediate_size=metadata["llama.feed_forward_length"],
        num_layers=metadata["llama.block_count"],
        num_heads=num_heads,
        num_kv_heads=metadata.get("llama.attention.head_count_kv", num_heads),
        head_dim=head_dim,
        max_positions=metadata["llama.context_length"],
        norm_eps=_shortest(metadata["llama.attention.layer_norm_rms_epsilon"]),
        rope=RopeConfig(theta=_shortest(metadata.get("llama.rope.freq_base", 10_000.0))),
        tie_embeddings=is_tied,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_ids=tokenizer.eos_token_ids,
        pad_token_id=tokenizer.pad_token_id,
    )


def _shortest(value: float) -> float:
    """The number that was meant: a float32 read back as 9.99999974e-06 is 1e-05."""
    return float(str(np.float32(value)))


def _tensors(reader: Any, config: ModelConfig, file: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Every tensor under its HF name, float32."""
    import gguf

    heads = {"attn_q.weight": config.num_heads, "attn_k.weight": config.num_kv_heads}
    for tensor in reader.tensors:
        name, part = _hf_name(tensor.name)
        if name is None:
            raise UserError(f"{file} has the unknown tensor {tensor.name}", hint=_OTHER_FILE)
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
        if part in heads:
            values = unpermuted(values, heads[part])
        yield name, np.ascontiguousarray(values, dtype=np.float32)


def _check_complete(names: Iterable[str], config: ModelConfig, file: Path) -> None:
    wanted = {_TOP["token_embd.weight"], _TOP["output_norm.weight"]}
    for layer in range(config.num_layers):
        wanted |= {f"model.layers.{layer}.{part}" for part in _LAYER.values()}
    missing = sorted(wanted.difference(names))
    if missing:
        message = f"{file} lacks {len(missing)} tensors, the first is {missing[0]}"
        raise UserError(message, hint="copy or install it again")


def _hf_name(name: str) -> tuple[str | None, str]:
    """`blk.3.attn_q.weight` to its HF name and the part after the layer number."""
    if name in _TOP:
        return _TOP[name], name
    _, _, rest = name.partition("blk.")
    number, _, part = rest.partition(".")
    known = number.isdecimal() and part in _LAYER
    return (f"model.layers.{number}.{_LAYER[part]}" if known else None), part


def unpermuted(weight: np.ndarray, num_heads: int) -> np.ndarray:
    """Rows [heads * d, ...] in HF's order: the first of every rotary pair, then the second.

    llama.cpp stores queries and keys of Llama models with the pairs side by side.
    """
    pairs = weight.reshape(num_heads, -1, 2, *weight.shape[1:])
    return pairs.swapaxes(1, 2).reshape(weight.shape)


def _smollm() -> pre_tokenizers.PreTokenizer:
    digits = pre_tokenizers.Digits(individual_digits=True)
    return pre_tokenizers.Sequence([digits, _gpt2()])


def _gpt2() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


_PRE_TOKENIZERS: Mapping[str, Callable[[], pre_tokenizers.PreTokenizer]] = {
    "smollm": _smollm,
    "gpt-2": _gpt2,
}


def gguf_tokenizer(metadata: Metadata) -> Tokenizer:
    """The byte-level BPE of the file, with its special tokens and chat template.

    `tokenizer.ggml.pre` says how text is cut before the merges. (transformers 5.23 ignores it: for
    SmolLM2 it splits two spaces before a digit where the model's own tokenizer does not.)
    """
    kind, pre = metadata["tokenizer.ggml.model"], metadata.get("tokenizer.ggml.pre", "gpt-2")
    if kind != "gpt2" or pre not in _PRE_TOKENIZERS:
        raise UserError(f"GGUF tokenizers of type {kind}/{pre} are not read", hint=_OTHER_FILE)
    tokens = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    backend = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    backend.pre_tokenizer = _PRE_TOKENIZERS[pre]()
    backend.decoder = decoders.ByteLevel()
    for token, kind in zip(tokens, metadata["tokenizer.ggml.token_type"], strict=True):
        if kind in (_CONTROL, _USER_DEFINED):
            added = tokenizers.AddedToken(token, special=kind == _CONTROL, normalized=False)
            (backend.add_special_tokens if kind == _CONTROL else backend.add_tokens)([added])

    def special(name: str) -> str | None:
        index = metadata.get(f"tokenizer.ggml.{name}_token_id")
        return None if index is None else tokens[index]

    return Tokenizer(
        backend,
        bos_token=special("bos"),
        eos_token=special("eos"),
        pad_token=special("padding"),
        chat_template=metadata.get("tokenizer.chat_template"),
        settings={
            "unk_token": special("unknown"),
            "add_bos_token": metadata.get("tokenizer.ggml.add_bos_token", False),
            "clean_up_tokenization_spaces": False,
        },
    )
