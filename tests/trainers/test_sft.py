"""Supervised fine-tuning, from a file to a model that has learnt it."""

import json
from dataclasses import replace
from io import StringIO

import pytest
import torch

from aha.chat.templates import PLAIN_CHAT_TEMPLATE, render_prompt
from aha.engine.engine import Engine
from aha.engine.types import SamplingParams
from aha.errors import HealthError, UserError
from aha.model.hf_folder import load_model, save_model
from aha.pipeline.files import truncate_jsonl
from aha.pipeline.progress import Progress
from aha.pipeline.sources import resolve_model
from aha.pipeline.testing import stage_context
from aha.trainers.config import SftConfig
from aha.trainers.sft import train
from tests.trainers.tiny import (
    Interrupted,
    InterruptingProgress,
    on_ranks,
    tiny_folder,
    tiny_model,
    tiny_tokenizer,
)

ROWS = [
    {
        "id": f"row {n}",
        "prompt": f"{'abcdefgh'[n % 8]} {n % 6}",
        "response": " ".join("abc"[: n % 4]),
    }
    for n in range(48)
    if n % 4
]
CONFIG = SftConfig(
    epochs=3,
    batch_samples=8,
    row_tokens=16,
    tokens_per_microbatch=64,
    learning_rate=0.01,
    warmup_fraction=0.2,
    validation_fraction=0.1,
    save_every=4,
)


def write_data(path, rows=ROWS):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    return {"model": tiny_folder(folder / "model"), "data": write_data(folder / "data.jsonl")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, inputs):
    ctx = stage_context(tmp_path_factory.mktemp("sft") / "stage", CONFIG, inputs)
    return ctx, train(ctx)


def read(ctx, file="metrics.jsonl") -> list[dict]:
    return [json.loads(line) for line in (ctx.directory / file).read_text().splitlines()]


def test_it_learns_and_says_so(undisturbed):
    ctx, result = undisturbed
    rows = read(ctx)
    counts = {key: result.summary[key] for key in ("samples", "validation_samples", "steps")}
    assert counts["samples"] + counts["validation_samples"] == len(ROWS)
    assert [row["step"] for row in rows] == list(range(counts["steps"] + 1))
    assert rows[-1]["loss/sft"] < 0.5 * rows[1]["loss/sft"]
    assert result.summary["eval_loss"] == rows[-1]["eval/loss"] < 0.5 * rows[0]["eval/loss"]
    per_epoch = -(-counts["samples"] // 8)
    assert counts["steps"] == 3 * per_epoch
    assert [r["step"] for r in rows if "eval/loss" in r] == [0, *range(per_epoch, 99, per_epoch)][
        :4
    ]
    assert len(read(ctx, "timing.jsonl")) == counts["steps"]
    assert all(row["tokens_per_second"] > 0 for row in read(ctx, "timing.jsonl"))


def test_the_learning_rate_warms_up_and_falls_to_a_tenth(undisturbed):
    rates = [row["optim/lr"] for row in read(undisturbed[0])[1:]]
    peak = rates.index(max(rates))
    assert max(rates) == CONFIG.learning_rate and peak + 1 == round(0.2 * len(rates))
    assert rates[0] == pytest.approx(CONFIG.learning_rate / (peak + 1))
    assert rates[-1] == pytest.approx(CONFIG.learning_rate / 10)
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_every_epoch_trains_on_every_token_once(undisturbed):
    ctx, result = undisturbed
    rows = read(ctx)
    assert rows[-1]["tokens"] == result.summary["tokens"]
    steps = result.summary["steps"]
    first, last = rows[steps // 3], rows[-1]
    assert last["tokens"] == 3 * first["tokens"]
    assert last["trained_tokens"] == 3 * first["trained_tokens"]
    assert first["epoch"] == 1 and last["epoch"] == 3
    assert all(0 <= row["padding_fraction"] < 0.6 for row in rows[1:])


def test_a_resumed_run_is_byte_equal(undisturbed, inputs, tmp_path):
    ctx = stage_context(tmp_path / "stage", CONFIG, inputs)
    with pytest.raises(Interrupted):
        train(replace(ctx, log=InterruptingProgress(10)))
    again = stage_context(tmp_path / "stage", CONFIG, inputs)
    assert again.resume_step == 8
    truncate_jsonl(again.directory / "metrics.jsonl", last_step=8)
    result = train(again)
    assert result.summary == undisturbed[1].summary
    for name in ("metrics.jsonl", "mask.txt", "model/model.safetensors", "model/config.json"):
        there, here = (ctx.directory / name for ctx in (undisturbed[0], again))
        assert here.read_bytes() == there.read_bytes(), name


def test_a_resumed_run_wants_the_same_data(inputs, tmp_path):
    ctx = stage_context(tmp_path / "stage", CONFIG, inputs)
    with pytest.raises(Interrupted):
        train(replace(ctx, log=InterruptingProgress(5)))
    other = {**inputs, "data": write_data(tmp_path / "other.jsonl", ROWS[::-1])}
    with pytest.raises(UserError, match="is not the data that"):
        train(stage_context(tmp_path / "stage", CONFIG, other))


@pytest.mark.parametrize("values", [{"tokens_per_microbatch": 10_000}, {"row_tokens": 64}])
def test_neither_micro_batches_nor_rows_change_the_result(undisturbed, inputs, tmp_path, values):
    ctx = stage_context(tmp_path / "stage", CONFIG.replace(**values), inputs)
    train(ctx)
    for left, right in zip(read(undisturbed[0])[1:4], read(ctx)[1:4], strict=True):
        for key in ("loss/sft", "grad_norm", "tokens", "trained_tokens"):
            assert left[key] == pytest.approx(right[key], rel=1e-5), key


def test_two_ranks_do_the_same_updates(undisturbed, inputs, tmp_path):
    def on(ranks):
        ctx = stage_context(tmp_path / "stage", CONFIG, inputs, ranks=ranks)
        return ctx, train(ctx)

    (shared, result), (_, other) = on_ranks(2, on)
    assert result == other
    rows, alone = read(shared), read(undisturbed[0])
    assert rows[0]["eval/loss"] == pytest.approx(alone[0]["eval/loss"], rel=1e-6)
    for left, right in zip(alone[1:4], rows[1:4], strict=True):
        for key in ("loss/sft", "grad_norm", "tokens", "trained_tokens", "optim/lr"):
            assert left[key] == pytest.approx(right[key], rel=1e-5), key
    assert rows[-1]["eval/loss"] == pytest.approx(alone[-1]["eval/loss"], rel=0.05)


def test_muon_learns_too(inputs, tmp_path):
    config = CONFIG.replace(optimizer="muon", learning_rate=0.02, embedding_learning_rate=0.01)
    ctx = stage_context(tmp_path / "stage", config, inputs)
    train(ctx)
    rows = read(ctx)
    assert rows[-1]["loss/sft"] < 0.5 * rows[1]["loss/sft"]


def test_bfloat16_products_leave_float32_weights(undisturbed, inputs, tmp_path):
    ctx = stage_context(tmp_path / "stage", CONFIG.replace(dtype="bfloat16", num_steps=2), inputs)
    train(ctx)
    first, second = (read(each)[1] for each in (undisturbed[0], ctx))
    assert first["loss/sft"] == pytest.approx(second["loss/sft"], abs=0.03)
    assert first["loss/sft"] != second["loss/sft"]
    model = load_model(ctx.directory / "model", dtype=None).model
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_num_steps_wins_over_epochs(inputs, tmp_path):
    ctx = stage_context(tmp_path / "stage", CONFIG.replace(num_steps=3), inputs)
    assert train(ctx).summary["steps"] == 3
    assert read(ctx)[-1]["optim/lr"] == pytest.approx(CONFIG.learning_rate / 10)


EXAMPLES = [
    ("Hello.", "", "Hi, how are you?"),
    ("What is 2 + 3?", "First 2 + 3 = 5.", "<answer> 5</answer>"),
    ("What is 4 + 4?", "Then 4 + 4 = 8.", "<answer> 8</answer>"),
    ("你好。", "", "你好！"),
    ("Who is the tallest?", "Maybe Tom. Nobody beats Tom.", "Tom."),
    ("Tell me a story.", "", "Once there was a small cat that liked the moon."),
    ("计算 7 + 5", "让我想想。 7 + 5 = 12。", "<answer> 12</answer>"),
    ("Thank you.", "", "You are welcome."),
]


def test_it_learns_eight_examples_by_heart_and_says_them(tmp_path):
    rows = [
        {
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": content, "reasoning_content": reasoning},
            ]
        }
        for question, reasoning, content in EXAMPLES
    ]
    config = SftConfig(
        epochs=60, batch_samples=8, row_tokens=128, learning_rate=2e-3, validation_fraction=0
    )
    model = resolve_model("embedded")
    inputs = {"model": model, "data": write_data(tmp_path / "data.jsonl", rows)}
    ctx = stage_context(tmp_path / "stage", config, inputs)
    assert train(ctx).summary["loss"] < 0.01
    loaded = load_model(tmp_path / "stage" / "model")
    tokenizer = loaded.tokenizer
    assert tokenizer.chat_template == PLAIN_CHAT_TEMPLATE
    prompts = [
        tokenizer.encode(render_prompt("chat", question, tokenizer), with_bos=True)
        for question, _, _ in EXAMPLES
    ]
    said = Engine(loaded.model, tokenizer).generate(
        prompts, SamplingParams(temperature=0, max_new_tokens=64)
    )
    for (_, reasoning, content), (completion,) in zip(EXAMPLES, said, strict=True):
        thought = f"<think> {reasoning}</think>" if reasoning else ""
        expected = [*tokenizer.encode(f"{thought} {content}"), tokenizer.eos_token_id]
        assert list(completion.token_ids) == expected
        assert completion.finish_reason == "stop"


def test_the_mask_is_shown_before_the_first_step(inputs, tmp_path):
    stream = StringIO()
    ctx = stage_context(tmp_path / "stage", CONFIG.replace(num_steps=1), inputs)
    train(replace(ctx, log=Progress(stream=stream)))
    picture = (ctx.directory / "mask.txt").read_text()
    assert "the end, <end>, is trained on too" in picture
    assert "--- row 1: 2 of 4 tokens\nb 1[[a <end>]]\n" in picture
    printed = stream.getvalue()
    assert "    | b 1[[a <end>]]" in printed
    assert printed.index("[[a <end>]]") < printed.index("1/1")
    assert printed.isascii()


@pytest.mark.parametrize(("overlong", "num_trained"), [("drop", 1), ("cut", 2)])
def test_what_is_too_long_is_counted(inputs, tmp_path, overlong, num_trained):
    rows = [ROWS[0], {"prompt": "a", "response": "b " * 30}]
    config = CONFIG.replace(overlong=overlong, validation_fraction=0.0, num_steps=1)
    data = write_data(tmp_path / "data.jsonl", rows)
    stream = StringIO()
    ctx = stage_context(tmp_path / "stage", config, {**inputs, "data": data})
    summary = train(replace(ctx, log=Progress(stream=stream))).summary
    assert summary["samples"] == num_trained and summary["overlong_samples"] == 1
    assert "1 samples too long" in stream.getvalue()
    trained = read(ctx)[-1]["trained_tokens"]
    assert trained == (2 if overlong == "drop" else 2 + 15)  # "a" and the end; 15 times "b"


def test_samples_of_one_prompt_are_held_back_together(inputs, tmp_path):
    rows = [{"prompt": p, "response": r} for p in "abcdefgh" for r in "012"]
    config = CONFIG.replace(validation_fraction=0.25, num_steps=1)
    data = write_data(tmp_path / "data.jsonl", rows)
    ctx = stage_context(tmp_path / "stage", config, {**inputs, "data": data})
    summary = train(ctx).summary
    assert (summary["samples"], summary["validation_samples"]) == (18, 6)


def test_data_without_anything_to_train_on(inputs, tmp_path):
    empty = {**inputs, "data": write_data(tmp_path / "empty.jsonl", [])}
    with pytest.raises(UserError, match=r"empty\.jsonl has no rows"):
        train(stage_context(tmp_path / "stage", CONFIG, empty))
    long = [{"prompt": "a", "response": "b " * 100}] * 3
    too_long = {**inputs, "data": write_data(tmp_path / "long.jsonl", long)}
    with pytest.raises(UserError, match=r"none of the 3 samples .* fits into 16 tokens") as info:
        train(stage_context(tmp_path / "stage", CONFIG, too_long))
    assert "raise row_tokens" in info.value.hint


def test_a_loss_that_is_not_finite_stops_before_the_update(inputs, tmp_path):
    model = tiny_model()
    with torch.no_grad():
        model.head_weight[3, 0] = float("nan")
    save_model(tmp_path / "model", model, tiny_tokenizer())
    broken = {**inputs, "model": tmp_path / "model"}
    config = CONFIG.replace(validation_fraction=0.0)
    with pytest.raises(HealthError, match=r"the loss is nan at step 1, .* row \d+"):
        train(stage_context(tmp_path / "stage", config, broken))
