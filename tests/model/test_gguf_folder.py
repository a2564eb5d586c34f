"""GGUF to HF folder: weights, order of rows, quantized blocks, tokenizer, and what is refused."""

import struct

import numpy as np
import pytest
import torch
from tokenizers import pre_tokenizers

from aha.errors import UserError
from aha.model import Decoder, ModelConfig, load_model
from aha.model.gguf_folder import convert_gguf, gguf_tokenizer
from aha.model.rope import RopeConfig

gguf = pytest.importorskip("gguf")

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
MERGED = ["\u0120\u0120", "\u0120a", "12"]  # \u0120 is a space in byte-level BPE
TOKENS = SPECIAL + BYTES + MERGED
MERGES = ["\u0120 \u0120", "\u0120 a", "1 2"]
CHAT = "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}"
CONFIG = ModelConfig(
    vocab_size=len(TOKENS),
    hidden_size=64,
    intermediate_size=96,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    head_dim=16,
    max_positions=128,
    norm_eps=1e-5,
    rope=RopeConfig(theta=100_000.0),
)


def interleaved(weight, num_heads):
    """llama.cpp's order, row by row: of every head 0, d/2, 1, d/2 + 1, ..."""
    d = len(weight) // num_heads
    rows = [
        h * d + half * d // 2 + i
        for h in range(num_heads)
        for i in range(d // 2)
        for half in (0, 1)
    ]
    return weight[rows]


def gguf_name(name):
    """The reverse of the mapping under test, spelled out."""
    parts = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
        "model.layers": "blk",
        "model.embed_tokens": "token_embd",
        "model.norm": "output_norm",
        "lm_head": "output",
    }
    for hf, short in parts.items():
        name = name.replace(hf, short)
    return name


def write_gguf(path, model, *, kind="F32", metadata=(), extra_tensors=(), drop=()):
    """A file as llama.cpp's converter makes it, matrices in `kind`."""
    config, quant = model.config, gguf.GGMLQuantizationType[kind]
    writer = gguf.GGUFWriter(path, "llama")
    numbers = {
        "block_count": config.num_layers,
        "context_length": config.max_positions,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_heads,
        "attention.head_count_kv": config.num_kv_heads,
        "rope.dimension_count": config.head_dim,
    }
    for key, value in numbers.items():
        if key not in drop:
            writer.add_uint32(f"llama.{key}", value)
    writer.add_float32("llama.rope.freq_base", config.rope.theta)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", config.norm_eps)
    for key, value in tokenizer_metadata().items():
        add = (
            writer.add_array
            if isinstance(value, list)
            else (writer.add_uint32 if isinstance(value, int) else writer.add_string)
        )
        add(key, value)
    for key, value in metadata:
        writer.add_string(key, value)
    heads = {"attn_q": config.num_heads, "attn_k": config.num_kv_heads}
    for name, parameter in model.named_parameters():
        values, short = parameter.detach().numpy(), gguf_name(name)
        for part, count in heads.items():
            values = interleaved(values, count) if f".{part}." in short else values
        if short in drop:
            continue
        dtype = quant if values.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(
            short, gguf.quantize(np.ascontiguousarray(values), dtype), raw_dtype=dtype
        )
    for name in extra_tensors:
        writer.add_tensor(name, np.zeros(8, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tokenizer_metadata(pre="smollm"):
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": TOKENS,
        "tokenizer.ggml.token_type": [3] * len(SPECIAL) + [1] * (len(TOKENS) - len(SPECIAL)),
        "tokenizer.ggml.merges": MERGES,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.padding_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.chat_template": CHAT,
    }


@pytest.fixture
def model():
    torch.manual_seed(3)
    return Decoder(CONFIG)


def converted(tmp_path, model, **options):
    file, folder = tmp_path / "model.gguf", tmp_path / "folder"
    write_gguf(file, model, **options)
    folder.mkdir()
    convert_gguf(file, folder)
    return load_model(folder)


def test_the_folder_computes_what_the_model_computed(tmp_path, model):
    loaded = converted(tmp_path, model)
    assert loaded.config.rope == CONFIG.rope and loaded.config.norm_eps == CONFIG.norm_eps
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(dict(loaded.model.named_parameters())[name], parameter)
    tokens = torch.randint(len(TOKENS), (2, 40))
    with torch.no_grad():
        expected, got = model.logits(model(tokens)), loaded.model.logits(loaded.model(tokens))
    torch.testing.assert_close(got, expected, rtol=0, atol=0)


def test_an_untied_head_is_kept(tmp_path):
    torch.manual_seed(4)
    untied = Decoder(ModelConfig(**{**vars(CONFIG), "tie_embeddings": False}))
    loaded = converted(tmp_path, untied)
    assert not loaded.config.tie_embeddings
    torch.testing.assert_close(loaded.model.head_weight, untied.head_weight)


def q4_1_by_hand(block):
    """20 bytes to 32 numbers: scale d and minimum m in float16, then 16 bytes of two digits."""
    d, m = struct.unpack("<ee", block[:4])
    low, high = [b & 15 for b in block[4:]], [b >> 4 for b in block[4:]]
    return [np.float32(d) * digit + np.float32(m) for digit in low + high]


def test_quantized_blocks_by_hand(tmp_path, model):
    loaded = converted(tmp_path, model, kind="Q4_1")
    weight = model.model.layers[1].mlp.down_proj.weight.detach().numpy()
    raw = gguf.quantize(weight, gguf.GGMLQuantizationType.Q4_1)
    blocks = raw.reshape(-1, 20)
    expected = np.array([q4_1_by_hand(block.tobytes()) for block in blocks], np.float32)
    got = loaded.model.model.layers[1].mlp.down_proj.weight.detach().numpy()
    np.testing.assert_array_equal(got, expected.reshape(weight.shape))
    assert 0 < np.abs(got - weight).max() < 0.02


def test_quantized_queries_are_put_back_in_order(tmp_path, model):
    loaded = converted(tmp_path, model, kind="Q8_0")
    got, want = (m.model.layers[0].self_attn.k_proj.weight for m in (loaded.model, model))
    torch.testing.assert_close(got, want, rtol=0, atol=0.001)


def ids(tokens):
    return [TOKENS.index(token) for token in tokens]


def test_smollm_cuts_digits_before_everything_else():
    tokenizer = gguf_tokenizer(tokenizer_metadata())
    assert tokenizer.encode("a  12 a") == ids(["a", "\u0120\u0120", "1", "2", "\u0120a"])
    gpt2 = gguf_tokenizer(tokenizer_metadata(pre="gpt-2"))
    assert gpt2.encode("a  12 a") == ids(["a", "\u0120", "\u0120", "12", "\u0120a"])


def test_special_tokens_and_any_text(tmp_path, model):
    tokenizer = converted(tmp_path, model).tokenizer
    assert tokenizer.encode("<|im_start|>1<|im_end|>") == [1, TOKENS.index("1"), 2]
    assert tokenizer.eos_token_ids == (2,) and tokenizer.special_token("unk_token") == SPECIAL[0]
    assert tokenizer.chat_template == CHAT and not tokenizer.adds_bos
    text = "\u4f60\u597d \U0001f600\n\t  x\u00bd 0123 \u0120"
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metadata": [("llama.rope.scaling.type", "yarn")]}, "rotary"),
        ({"extra_tensors": ["rope_freqs.weight"]}, "rope_freqs.weight"),
        ({"extra_tensors": ["blk.0.attn_q.bias"]}, "attn_q.bias"),
        ({"drop": ["block_count"]}, "llama.block_count"),
        ({"drop": ["blk.1.ffn_up.weight"]}, "lacks 1 tensors.*layers.1.mlp.up_proj"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path, model, options, words):
    with pytest.raises(UserError, match=words) as caught:
        converted(tmp_path, model, **options)
    assert caught.value.hint


def test_other_tokenizers_are_refused():
    with pytest.raises(UserError, match="gpt2/llama-bpe"):
        gguf_tokenizer(tokenizer_metadata(pre="llama-bpe"))


def test_a_damaged_file_is_named(tmp_path, model):
    whole = tmp_path / "whole.gguf"
    write_gguf(whole, model)
    data = whole.read_bytes()
    for number, size in enumerate([0, 3, 20, 1000, 3000, len(data) // 2, len(data) - 1]):
        folder = tmp_path / str(number)
        folder.mkdir()
        file = folder / "damaged.gguf"
        file.write_bytes(data[:size])
        with pytest.raises(UserError, match=r"damaged\.gguf"):
            convert_gguf(file, folder)


def test_a_file_that_is_no_gguf(tmp_path):
    file = tmp_path / "model.gguf"
    file.write_bytes(b"PK\x03\x04 a zip file" * 100)
    with pytest.raises(UserError, match="cannot read"):
        convert_gguf(file, tmp_path)
