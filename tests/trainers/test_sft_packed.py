"""Packing changes no number: each sample sees itself alone, from its own first position."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from aha.data.conversations import TokenSample
from aha.model.decoder import Decoder
from aha.trainers.packed import packed_batch, packed_hidden
from aha.trainers.sft import sum_loss
from tests.trainers.tiny import WORDS, tiny_model

LENGTHS = (3, 17, 16, 15, 9, 2, 30, 9)


def samples(lengths=LENGTHS) -> list[TokenSample]:
    rng = np.random.default_rng(0)
    return [
        TokenSample(
            id=f"sample {n}",
            group=str(n),
            tokens=rng.integers(2, len(WORDS), length).astype(np.int32),
            is_trained=np.arange(length) >= max(1, length // 3),
        )
        for n, length in enumerate(lengths)
    ]


def models() -> dict[str, Decoder]:
    tiny = tiny_model()
    kinds = {
        "llama": tiny.config,
        "window": replace(tiny.config, windows=(4, None)),
        "no rotation, norms": replace(tiny.config, rope_layers=(True, False), qk_norm=True),
    }
    made = {name: Decoder(config) for name, config in kinds.items()}
    for model in made.values():
        for name, parameter in tiny.named_parameters():
            model.get_parameter(name).data.copy_(parameter)
    return made


def naive_loss(model: Decoder, sample: TokenSample) -> torch.Tensor:
    """Cross-entropy of one sample alone, by the plain forward pass."""
    tokens = torch.from_numpy(sample.tokens).long()
    logits = model(tokens[None])[0] @ model.head_weight.T
    losses = F.cross_entropy(logits[:-1], tokens[1:], reduction="none")
    return losses[torch.from_numpy(sample.is_trained[1:])].sum()


@pytest.mark.parametrize("name", models())
def test_hidden_states_are_those_of_each_sample_alone(name):
    model = models()[name]
    batch = packed_batch(samples())
    hidden = packed_hidden(model, batch)
    by_id = {sample.id: sample for sample in samples()}
    start, order = 0, iter(batch.ids)
    for rows, length in batch.blocks:
        for _ in range(rows):
            sample = by_id[next(order)]
            alone = model(torch.from_numpy(sample.tokens).long()[None])[0]
            torch.testing.assert_close(
                hidden[start : start + sample.num_tokens], alone, rtol=1.3e-6, atol=1e-5
            )
            start += length
    assert start == len(batch.tokens_N)


@pytest.mark.parametrize("name", models())
def test_loss_and_gradient_are_those_of_the_samples_alone(name):
    packed, alone = models()[name], models()[name]
    denominator = sum(sample.num_trained for sample in samples())
    loss = sum_loss(packed, samples()) / denominator
    loss.backward()
    naive = sum(naive_loss(alone, sample) for sample in samples()) / denominator
    naive.backward()
    assert loss.item() == pytest.approx(naive.item(), abs=1e-6)
    for (key, mine), theirs in zip(packed.named_parameters(), alone.parameters(), strict=True):
        assert (mine.grad - theirs.grad).abs().max() < 1e-6, key


def test_a_changed_sample_changes_nothing_in_the_others():
    model, first = tiny_model(), samples((9, 9, 9))
    second = [*first[:2], samples((9,) * 4)[3]]
    losses = [[sum_loss(model, [s]).item() for s in batch] for batch in (first, second)]
    together = [sum_loss(model, batch).item() for batch in (first, second)]
    assert losses[0][:2] == losses[1][:2] and losses[0][2] != losses[1][2]
    for parts, whole in zip(losses, together, strict=True):
        assert whole == pytest.approx(sum(parts), rel=1e-6)


def test_every_trained_token_is_counted_once_and_padding_never():
    batch = packed_batch(samples())
    assert int(batch.is_trained_N.sum()) == sum(s.num_trained for s in samples())
    assert sum(rows * length for rows, length in batch.blocks) == len(batch.tokens_N)
    assert sum(rows for rows, _ in batch.blocks) == len(LENGTHS)
    assert len(batch.tokens_N) < 1.18 * sum(LENGTHS)
