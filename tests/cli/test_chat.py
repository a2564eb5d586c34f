"""`aha chat`: its options reach the model. A word of this model is a whole response."""

import io

import pytest
import torch
from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers

from aha.cli.main import invoke
from aha.model.hf_folder import save_model
from aha.model.tokenizer import Tokenizer
from tests.trainers.tiny import tiny_model

WORDS = ["<end>", "?", *(f"<think>because{i}</think><answer>{i}</answer>" for i in range(14))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chat") / "model"
    backend = Backend(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="?"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    model = tiny_model()
    with torch.no_grad():
        model.model.embed_tokens.weight[0] = 0.0  # ties: the end is never the likeliest
    save_model(folder, model, Tokenizer(backend, eos_token="<end>"))
    return str(folder)


@pytest.fixture
def chat(folder, monkeypatch, capsys):
    """(status, stdout, stderr) of a chat whose input is one question."""

    def chat(*options):
        monkeypatch.setattr("sys.stdin", io.StringIO("how many\n"))
        status = invoke(["chat", folder, *options])
        return status, *capsys.readouterr()

    return chat


GREEDY = ("--template", "none", "--temperature", "0", "--max-new-tokens")


def test_options_reach_the_model(chat):
    status, shown, _ = chat(*GREEDY, "1")
    assert status == 0 and shown.count("because") == 1
    assert chat(*GREEDY, "1")[1] == shown
    number = shown.split("because")[1].split()[0]
    assert shown.split() == [f"because{number}", number]
    assert chat(*GREEDY, "1", "--no-thinking")[1].split() == [number]
    assert len(chat(*GREEDY, "6")[1]) > len(shown)
    drawn = {chat("--template", "none", "--temperature", "5", "--max-new-tokens", "1")[1]
             for _ in range(8)}  # fmt: skip
    assert len(drawn) > 1


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (["--template", "r1-zer"], "unknown prompt template 'r1-zer'", "did you mean 'r1-zero'?"),
        (["--template", "chat"], "no chat template", "'r1-zero'"),
        (["--temperature", "5.5"], "--temperature", "see aha chat --help"),
        (["--max-new-tokens", "0"], "--max-new-tokens", "see aha chat --help"),
        (["--thinkin"], "--thinkin", "did you mean --thinking?"),
    ],
)
def test_faulty_options_are_named_before_the_first_question(chat, options, message, hint):
    status, out, err = chat(*options)
    assert status == 2 and not out
    error, told = err.strip().splitlines()
    assert message in error and hint in told
