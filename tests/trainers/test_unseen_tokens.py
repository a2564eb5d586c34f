"""Tokens that pre-training never saw are found and told apart; the others stay as they are."""

import torch

from aha.model.hf_folder import load_model
from aha.pipeline.sources import embedded_model
from aha.trainers.unseen_tokens import alike_tokens, spread
from tests.trainers.tiny import tiny_model


def collapsed_model():
    """Tokens 3, 7 and 12 of sixteen have one direction, as if they had never been seen."""
    model = tiny_model()
    table = model.model.embed_tokens.weight
    with torch.no_grad():
        table[3] = torch.linspace(-1, 1, table.shape[1])
        table[7] = 2 * table[3]
        table[12] = table[3] + 1e-4
    return model


def test_only_embeddings_with_a_twin_are_found():
    table = collapsed_model().model.embed_tokens.weight
    assert alike_tokens(table).nonzero()[:, 0].tolist() == [3, 7, 12]
    assert not alike_tokens(tiny_model().model.embed_tokens.weight).any()


def test_the_noise_has_the_asked_length_and_leaves_seen_tokens_alone():
    model = collapsed_model()
    before = model.model.embed_tokens.weight.detach().clone()
    assert spread(model, 0.5, seed=1) == 3
    after = model.model.embed_tokens.weight.detach()
    length = (after - before).norm(dim=1)
    moved = [3, 7, 12]
    assert torch.allclose(length[moved], 0.5 * before[moved].norm(dim=1), rtol=1e-5)
    assert length.count_nonzero() == 3
    assert not alike_tokens(after).any()
    again = collapsed_model()
    spread(again, 0.5, seed=1)
    assert torch.equal(again.model.embed_tokens.weight, after)
    assert spread(model, 0.5, seed=1) == 0


def test_the_embedded_model_has_many_and_knows_its_own_words():
    loaded = load_model(embedded_model())
    alike = alike_tokens(loaded.model.model.embed_tokens.weight)
    assert 600 < int(alike.sum()) < 700
    known, unknown = " Let me think. Wait, check: 小明 正确", "偷打骗教"
    assert not alike[loaded.tokenizer.encode(known)].any()
    assert alike[loaded.tokenizer.encode(unknown)].float().mean() > 0.7
