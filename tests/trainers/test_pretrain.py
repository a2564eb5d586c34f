"""Pre-training of a model that is far too small, for a few steps."""

import json
from dataclasses import replace

import pytest
import torch

from aha.model.hf_folder import load_model
from aha.pipeline.files import truncate_jsonl
from aha.pipeline.testing import stage_context
from aha.tasks.embedded.vocabulary import build_tokenizer
from aha.trainers.config import PretrainConfig
from aha.trainers.pretrain import Rows, build_model, next_token_loss, train
from tests.trainers.tiny import (
    Interrupted,
    InterruptingProgress,
    on_ranks,
    tiny_model,
    tiny_tokenizer,
)

CONFIG = PretrainConfig(
    width=16,
    layers=1,
    heads=2,
    kv_heads=2,
    mlp_width=32,
    vocab_size=512,
    context_tokens=64,
    batch_rows=6,
    row_tokens=64,
    num_tokens=6 * 64 * 12,
    embedding_learning_rate=0.02,
    warmup_steps=2,
    save_every=4,
    eval_every=6,
)


def metrics(ctx) -> list[dict]:
    return [json.loads(line) for line in (ctx.directory / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    ctx = stage_context(tmp_path_factory.mktemp("pretrain") / "stage", CONFIG)
    train(ctx)
    return ctx


def test_it_learns_and_says_so(undisturbed):
    rows = metrics(undisturbed)
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert rows[0]["loss/next_token"] == pytest.approx(6.24, abs=0.1)  # log 512
    assert rows[-1]["loss/next_token"] < rows[0]["loss/next_token"] - 0.3
    assert rows[-1]["eval/loss"] < rows[5]["eval/loss"]


def test_the_output_is_a_model_folder_of_bfloat16_numbers(undisturbed):
    loaded = load_model(undisturbed.directory / "model")
    assert loaded.config.vocab_size == loaded.tokenizer.vocab_size == 512
    for parameter in loaded.model.parameters():
        assert torch.equal(parameter, parameter.bfloat16().float())
    assert loaded.tokenizer.eos_token_id in loaded.config.eos_token_ids


def test_a_resumed_run_is_byte_equal(undisturbed, tmp_path):
    ctx = stage_context(tmp_path / "stage", CONFIG)
    with pytest.raises(Interrupted):
        train(replace(ctx, log=InterruptingProgress(9)))
    again = stage_context(tmp_path / "stage", CONFIG)
    assert again.resume_step == 8
    truncate_jsonl(again.directory / "metrics.jsonl", last_step=8)
    train(again)
    for name in ("metrics.jsonl", "model/model.safetensors", "model/tokenizer.json"):
        there, here = (ctx.directory / name for ctx in (undisturbed, again))
        assert here.read_bytes() == there.read_bytes(), name


def test_two_ranks_train_on_the_same_data(undisturbed, tmp_path):
    def on(ranks):
        ctx = stage_context(tmp_path / "stage", CONFIG, ranks=ranks)
        train(ctx)
        return ctx

    shared, _ = on_ranks(2, on)
    for left, right in zip(metrics(undisturbed), metrics(shared), strict=True):
        assert left["loss/next_token"] == pytest.approx(right["loss/next_token"], abs=1e-3)


def test_rows_are_whole_documents_from_a_stream_of_their_own():
    tokenizer = build_tokenizer(0, vocab_size=512)
    rows = Rows(tokenizer, 0, 64)
    batch = rows.batch(3, range(4))
    assert batch.shape == (4, 65)
    assert torch.equal(rows.batch(3, range(2, 4)), batch[2:])
    assert not torch.equal(rows.batch(4, range(4)), batch)
    assert tokenizer.eos_token_id in batch.flatten().tolist()


def test_the_loss_is_divided_by_the_tokens_of_the_whole_step():
    model = tiny_model()
    tokens = torch.tensor([[2, 3, 4, 5], [5, 4, 3, 2]])
    logp = model.logits(model(tokens[:, :-1])).log_softmax(-1)
    expected = -logp.gather(-1, tokens[:, 1:, None]).sum() / 60
    assert next_token_loss(model, tokens, denominator=60).item() == pytest.approx(expected.item())


def test_the_seed_names_the_weights():
    tokenizer = tiny_tokenizer()
    first, second, other = (
        build_model(CONFIG.replace(seed=seed), tokenizer).head_weight for seed in (0, 0, 1)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
