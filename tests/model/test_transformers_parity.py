"""Against transformers where it is installed: logits, and folders in both directions."""

import json

import pytest
import torch

from aha.model.config import ModelConfig
from aha.model.decoder import Decoder
from aha.model.hf_folder import load_model, save_model
from tests.model.checkpoints import CASES, fill, raw_config, tokens
from tests.model.test_hf_folder import word_tokenizer

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures("transformers"),
]


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers", minversion="5")


def reference(transformers, case):
    raw = raw_config(case)
    config = transformers.AutoConfig.for_model(raw.pop("model_type"), **raw)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    fill(model)
    return model.eval()


@pytest.mark.parametrize("case", CASES)
def test_logits_equal_from_the_old_and_the_new_config(transformers, case, tmp_path):
    theirs = reference(transformers, case)
    theirs.save_pretrained(tmp_path)
    new = json.loads((tmp_path / "config.json").read_text())
    with torch.no_grad():
        expected = theirs(tokens()).logits
        for raw in (raw_config(case), new):
            ours = Decoder(ModelConfig.from_hf(raw))
            ours.load_state_dict(theirs.state_dict(), strict=False)
            assert (ours.logits(ours(tokens())) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("case", CASES)
def test_a_saved_folder_loads_in_transformers(transformers, case, tmp_path):
    ours = Decoder(ModelConfig.from_hf(raw_config(case)))
    fill(ours)
    save_model(tmp_path / "model", ours, word_tokenizer())
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    with torch.no_grad():
        assert (theirs(tokens()).logits - ours.logits(ours(tokens()))).abs().max() < 1e-4


def test_their_folder_through_ours_is_identical(transformers, tmp_path):
    theirs = reference(transformers, "qwen2")
    theirs.save_pretrained(tmp_path / "theirs")
    word_tokenizer().write(tmp_path / "theirs")
    loaded = load_model(tmp_path / "theirs")
    save_model(tmp_path / "ours", loaded.model, loaded.tokenizer)
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_the_tokenizer_loads_in_transformers(transformers, tmp_path):
    word_tokenizer(chat_template="{{ messages[0].content }}").write(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert theirs("w5 w7 <end>").input_ids == word_tokenizer().encode("w5 w7 <end>")
    assert theirs.eos_token == "<end>"
    assert theirs.chat_template == "{{ messages[0].content }}"
