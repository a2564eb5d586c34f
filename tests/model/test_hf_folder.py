"""Folders in and out: what is written is what was read, and damage is named."""

import errno
import json
import os

import pytest
import safetensors.torch
import torch
from tokenizers import AddedToken, models, pre_tokenizers
from tokenizers import Tokenizer as Backend

from aha.errors import UserError
from aha.model.config import ModelConfig
from aha.model.decoder import Decoder
from aha.model.hf_folder import load_config, load_model, replaced_folder, save_model
from aha.model.tokenizer import Tokenizer
from tests.model.checkpoints import CASES, build, raw_config, tokens


def word_tokenizer(**options) -> Tokenizer:
    """Ids 0 to 96: <pad>, <bos>, <end>, then w3 to w96."""
    words = {"<pad>": 0, "<bos>": 1, "<end>": 2, **{f"w{i}": i for i in range(3, 97)}}
    backend = Backend(models.WordLevel(words, unk_token="<pad>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens([AddedToken(t, special=True) for t in ("<pad>", "<bos>", "<end>")])
    return Tokenizer(backend, eos_token="<end>", pad_token="<pad>", bos_token="<bos>", **options)


@pytest.fixture
def folder(tmp_path):
    save_model(tmp_path / "model", build("qwen2"), word_tokenizer())
    return tmp_path / "model"


@pytest.mark.parametrize("case", CASES)
def test_round_trip_keeps_every_bit_and_the_config(case, tmp_path):
    model = build(case)
    save_model(tmp_path / "a", model, word_tokenizer())
    loaded = load_model(tmp_path / "a")
    save_model(tmp_path / "b", loaded.model, loaded.tokenizer)
    first, second = (tmp_path / x / "model.safetensors" for x in "ab")
    assert first.read_bytes() == second.read_bytes()
    assert loaded.config == model.config
    assert torch.equal(loaded.model(tokens()), model(tokens()))
    texts = [{p.name: p.read_text() for p in (tmp_path / x).glob("*.json")} for x in "ab"]
    assert texts[0] == texts[1] and len(texts[0]) == 4


def test_dtype_follows_the_checkpoint_or_the_request(folder, tmp_path):
    loaded = load_model(folder)
    save_model(tmp_path / "half", loaded.model, loaded.tokenizer, dtype=torch.bfloat16)
    stored = load_model(tmp_path / "half", dtype=None)
    assert stored.config.dtype == "bfloat16"
    assert stored.model.head_weight.dtype == torch.bfloat16
    assert load_model(tmp_path / "half").model.head_weight.dtype == torch.float32
    half = loaded.model.head_weight.bfloat16()
    assert torch.equal(stored.model.head_weight, half)


def test_a_sharded_checkpoint_reads_like_a_single_file(folder):
    whole = safetensors.torch.load_file(folder / "model.safetensors")
    names = sorted(whole)
    index = {n: f"model-{1 + (i % 2)}.safetensors" for i, n in enumerate(names)}
    for shard in set(index.values()):
        part = {n: whole[n] for n in names if index[n] == shard}
        safetensors.torch.save_file(part, folder / shard)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    os.remove(folder / "model.safetensors")
    loaded = load_model(folder)
    for name, parameter in loaded.model.named_parameters():
        assert torch.equal(parameter, whole[name])
    os.remove(folder / "model-2.safetensors")
    with pytest.raises(UserError, match=r"model-2\.safetensors"):
        load_model(folder)


def test_missing_pieces_are_named(tmp_path, folder):
    with pytest.raises(UserError, match="no model folder"):
        load_model(tmp_path / "nowhere")
    (folder / "tokenizer.json").rename(folder / "away")
    with pytest.raises(UserError, match=r"no tokenizer\.json"):
        load_model(folder)
    (folder / "away").rename(folder / "tokenizer.json")
    os.remove(folder / "model.safetensors")
    with pytest.raises(UserError, match=r"no model\.safetensors"):
        load_model(folder)
    os.remove(folder / "config.json")
    with pytest.raises(UserError, match=r"no config\.json"):
        load_model(folder)


def test_truncated_weights_are_named(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"model\.safetensors") as caught:
        load_model(folder)
    assert "copy" in caught.value.hint


@pytest.mark.parametrize("damage", ["lost", "shape", "extra", "integer"])
def test_wrong_tensors_are_named(folder, damage):
    name = "model.layers.1.mlp.up_proj.weight"
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    if damage == "lost":
        del tensors[name]
    elif damage == "shape":
        tensors[name] = tensors[name][:-1].clone()
    elif damage == "integer":
        tensors[name] = tensors[name].to(torch.int8)
    else:
        name = "model.layers.0.mlp.experts.weight"
        tensors[name] = torch.zeros(3)
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    with pytest.raises(UserError, match=name.replace(".", r"\.")) as caught:
        load_model(folder)
    assert caught.value.hint


def test_harmless_leftovers_are_ignored(folder):
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(6)
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    loaded = load_model(folder)
    assert "lm_head.weight" not in dict(loaded.model.named_parameters())


def test_damaged_json_is_named(folder):
    (folder / "config.json").write_text('{"model_type": "qwen2",')
    with pytest.raises(UserError, match=r"config\.json"):
        load_config(folder)
    (folder / "config.json").write_text("[1]")
    with pytest.raises(UserError, match="no JSON object"):
        load_config(folder)


def test_a_tokenizer_larger_than_the_model_is_refused(tmp_path):
    config = ModelConfig.from_hf({**raw_config("llama"), "vocab_size": 50})
    save_model(tmp_path / "model", Decoder(config), word_tokenizer())
    with pytest.raises(UserError, match="97 ids in the tokenizer, 50 in the model"):
        load_model(tmp_path / "model")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_the_old_folder(folder, monkeypatch, number):
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def full(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="disk full") as caught:
        save_model(folder, build("llama"), word_tokenizer())
    assert "space" in caught.value.hint
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert os.listdir(folder.parent) == ["model"]


def test_an_error_in_the_block_leaves_the_old_folder(folder):
    before = sorted(os.listdir(folder))
    with pytest.raises(ZeroDivisionError), replaced_folder(folder) as temporary:
        (temporary / "half").write_text("x")
        raise ZeroDivisionError
    assert sorted(os.listdir(folder)) == before
    assert os.listdir(folder.parent) == ["model"]


def test_saving_replaces_the_folder_and_leaves_nothing_beside_it(folder):
    (folder / "stale.txt").write_text("old")
    save_model(folder, build("llama"), word_tokenizer())
    assert load_config(folder).model_type == "llama"
    assert not (folder / "stale.txt").exists()
    assert os.listdir(folder.parent) == ["model"]


def test_saving_over_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("keep")
    with pytest.raises(UserError, match="is a file"):
        save_model(tmp_path / "file", build("llama"), word_tokenizer())
    assert (tmp_path / "file").read_text() == "keep"
