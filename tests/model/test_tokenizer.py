"""Encoding adds nothing, special tokens are found where HF puts them."""

import json

import pytest
from tokenizers import processors

from aha.errors import UserError
from aha.model.tokenizer import Tokenizer
from tests.model.test_hf_folder import word_tokenizer


def test_encode_and_decode_leave_special_tokens_alone():
    tokenizer = word_tokenizer()
    assert tokenizer.encode("w5 w7 w96") == [5, 7, 96]
    assert tokenizer.encode("w5 <end>") == [5, 2]
    assert tokenizer.decode([1, 5, 7, 2]) == "w5 w7"
    assert tokenizer.decode([5, 2], skip_special_tokens=False) == "w5 <end>"
    assert (tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id) == (2, 1, 0)
    assert tokenizer.vocab_size == 97
    assert tokenizer.token_to_id("w9") == 9 and tokenizer.token_to_id("zebra") is None


@pytest.mark.parametrize("policy", [True, False, None])
def test_bos_follows_the_config_and_else_the_template(policy):
    tokenizer = word_tokenizer(settings={} if policy is None else {"add_bos_token": policy})
    expected = [1, 5] if policy else [5]
    assert tokenizer.encode("w5", with_bos=True) == expected
    assert tokenizer.encode("w5") == [5]
    backend = tokenizer.backend
    backend.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", 1)]
    )
    templated = Tokenizer(backend, bos_token="<bos>", settings=tokenizer.settings)
    expected = [5] if policy is False else [1, 5]
    assert templated.encode("w5", with_bos=True) == expected
    assert templated.encode("<bos> w5", with_bos=True) == [1, 5]


def test_eos_ids_of_tokenizer_generation_config_and_caller_are_joined():
    tokenizer = word_tokenizer(generation={"eos_token_id": [7, 2]}, eos_token_ids=(9, 7))
    assert tokenizer.eos_token_ids == (2, 7, 9)
    assert tokenizer.eos_token_id == 2


def test_writing_and_reading_keeps_everything(tmp_path):
    generation = {"eos_token_id": [2, 7], "temperature": 0.6}
    tokenizer = word_tokenizer(chat_template="{{ x }}", generation=generation)
    tokenizer.write(tmp_path)
    again = Tokenizer.from_folder(tmp_path)
    assert again.eos_token_ids == (2, 7)
    assert again.chat_template == "{{ x }}"
    assert again.generation["temperature"] == 0.6
    assert again.encode("w5 <end>") == [5, 2]
    again.write(tmp_path / "..")
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        assert (tmp_path / name).read_bytes() == (tmp_path / ".." / name).read_bytes()


NAMED = [{"name": "tools", "template": "t"}, {"name": "default", "template": "{{ a }}"}]


@pytest.mark.parametrize("stored", ["{{ a }}", NAMED])
def test_chat_templates_in_the_config_and_in_their_own_file(tmp_path, stored):
    word_tokenizer().write(tmp_path)
    token = {"content": "<end>", "lstrip": False}
    settings = {"chat_template": stored, "eos_token": token}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    read = Tokenizer.from_folder(tmp_path)
    assert read.chat_template == "{{ a }}"
    assert read.special_token("eos_token") == "<end>" and read.eos_token_id == 2
    (tmp_path / "chat_template.jinja").write_text("{{ b }}")
    assert Tokenizer.from_folder(tmp_path).chat_template == "{{ b }}"


def test_damage_is_named(tmp_path):
    word_tokenizer().write(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(UserError, match=r"tokenizer_config\.json"):
        Tokenizer.from_folder(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{}")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match=r"tokenizer\.json"):
        Tokenizer.from_folder(tmp_path)
