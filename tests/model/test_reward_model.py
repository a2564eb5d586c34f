"""The scalar head: folder in and out, padding, and the layout of transformers."""

import pytest
import torch

from aha.errors import UserError
from aha.model.hf_folder import load_model, save_model
from aha.model.reward_model import (
    load_reward_model,
    reward_model_of,
    write_reward_model,
)
from aha.pipeline.sources import embedded_model

TOKENS, LENGTHS = torch.randint(1, 1000, (3, 12)), torch.tensor([12, 5, 9])


@pytest.fixture
def folder(tmp_path):
    loaded = reward_model_of(embedded_model())
    torch.nn.init.normal_(loaded.model.score.weight, generator=torch.Generator().manual_seed(0))
    target = tmp_path / "rm"
    target.mkdir()
    write_reward_model(target, loaded.model, loaded.tokenizer)
    return target


def test_a_new_head_scores_everything_zero():
    model = reward_model_of(embedded_model()).model
    assert torch.equal(model.scores(TOKENS, LENGTHS), torch.zeros(3))


def test_the_folder_gives_the_same_scores_back(folder):
    first, second = (load_reward_model(folder).model.scores(TOKENS, LENGTHS) for _ in range(2))
    assert torch.equal(first, second) and first.abs().min() > 0


def test_padding_changes_no_score(folder):
    model = load_reward_model(folder).model
    alone = model.scores(TOKENS[1:2, :5], torch.tensor([5]))
    assert torch.allclose(model.scores(TOKENS, LENGTHS)[1], alone[0], atol=1e-5)


def test_a_language_model_is_not_taken_for_a_reward_model(tmp_path):
    loaded = load_model(embedded_model())
    save_model(tmp_path / "lm", loaded.model, loaded.tokenizer)
    with pytest.raises(UserError, match=r"lacks 1 tensors, the first is score\.weight"):
        load_reward_model(tmp_path / "lm")


def test_transformers_reads_the_folder_and_scores_alike(folder):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    ours = load_reward_model(folder).model
    with torch.no_grad():
        expected = theirs(TOKENS[:1]).logits[:, 0]
        got = ours.scores(TOKENS[:1], LENGTHS[:1])
    assert torch.allclose(got, expected, atol=1e-4)
