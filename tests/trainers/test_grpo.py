"""Whole GRPO runs of a few steps on a tiny random model."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aha.errors import HealthError, UserError
from aha.model.hf_folder import load_model
from aha.pipeline.files import truncate_jsonl
from aha.pipeline.ranks import Ranks
from aha.pipeline.testing import stage_context
from aha.trainers.grpo import build_trainer, draw, refresh_reference, rollout, train
from aha.trainers.update import update_policy
from tests.trainers.tiny import (
    Interrupted,
    InterruptingProgress,
    on_ranks,
    tiny_config,
    tiny_folder,
    tiny_task_file,
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    tiny_folder(folder / "model")
    tiny_task_file(folder)
    return folder


@pytest.fixture
def context(world, tmp_path):
    """Contexts by name; values are config keys."""

    def make(name: str = "stage", *, ranks: Ranks | None = None, **values):
        config = tiny_config(world / "letters.py", **values)
        return stage_context(tmp_path / name, config, {"model": world / "model"}, ranks)

    return make


def metrics(ctx) -> list[dict]:
    return [json.loads(line) for line in (ctx.directory / "metrics.jsonl").read_text().splitlines()]


def files(directory: Path) -> dict[str, bytes]:
    """What must not depend on how often a run was interrupted."""
    kept = [
        directory / "metrics.jsonl",
        *directory.glob("model/*"),
        *directory.glob("samples/*"),
    ]
    return {str(file.relative_to(directory)): file.read_bytes() for file in kept}


def interrupt_and_resume(ctx, *, after_step: int) -> None:
    with pytest.raises(Interrupted):
        train(replace(ctx, log=InterruptingProgress(after_step)))
    again = stage_context(ctx.directory, ctx.config, ctx.inputs)
    for name in ("metrics.jsonl", "timing.jsonl"):
        truncate_jsonl(ctx.directory / name, last_step=again.resume_step)
    assert 0 < again.resume_step < after_step
    train(again)


def test_a_run_writes_what_the_report_reads(context):
    ctx = context()
    result = train(ctx)
    assert (ctx.directory / result.output / "model.safetensors").is_file()
    rows = metrics(ctx)
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 4]
    assert set(rows[0]) > {"eval/letters/pass@1", "eval/letters/pass@1_stderr"}
    assert all(("eval/letters/pass@1" in row) == (row["step"] in (0, 2, 4)) for row in rows)
    for row in rows[1:]:
        assert row["ratio_max_abs_log"] < 1e-5
        assert 0 <= row["rollout/accuracy"] <= 1
        assert row["reward/mean"] == pytest.approx(row["rollout/accuracy"])
        assert 0 < row["rollout/entropy"] < 2.8  # log 16 = 2.77
    assert rows[1]["kl"] == pytest.approx(0, abs=1e-9)
    assert rows[4]["kl"] > 0
    timing = (ctx.directory / "timing.jsonl").read_text().splitlines()
    assert len(timing) == 4
    assert json.loads(timing[0])["tokens_per_second"] > 0


def test_samples_are_written_with_rewards_that_add_up(context):
    ctx = context()
    train(ctx)
    names = sorted(file.name for file in (ctx.directory / "samples").iterdir())
    assert names == ["step-000001.jsonl", "step-000002.jsonl", "step-000004.jsonl"]
    text = (ctx.directory / "samples" / names[1]).read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    assert len(rows) == 16
    assert Counter(row["problem_id"] for row in rows).most_common(1)[0][1] == 4
    tokenizer = load_model(ctx.inputs["model"]).tokenizer
    for row in rows:
        assert row["reward"] == row["rewards"]["accuracy"]
        assert tokenizer.decode(row["token_ids"]) == row["text"]
        assert row["length_tokens"] == len(row["token_ids"])
    mean = sum(row["reward"] for row in rows) / 16
    assert metrics(ctx)[2]["reward/mean"] == pytest.approx(mean)


def test_one_seed_one_result(context):
    first, second, other = context("first"), context("second"), context("other", seed=1)
    for ctx in (first, second, other):
        train(ctx)
    assert files(first.directory) == files(second.directory)
    assert files(first.directory) != files(other.directory)


SETTINGS = {
    "plain": {},
    "reference": {"kl_coef": 0.05, "reference_refresh_every": 3},
    "dynamic": {"dynamic_sampling": True, "advantage_scale": "group_std"},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_resumed_run_is_byte_equal_to_an_undisturbed_one(context, settings):
    undisturbed = context("undisturbed", num_steps=6, **settings)
    train(undisturbed)
    interrupted = context("interrupted", num_steps=6, **settings)
    interrupt_and_resume(interrupted, after_step=5)
    assert files(interrupted.directory) == files(undisturbed.directory)


def test_two_ranks_draw_the_same_samples_and_learn_the_same(context):
    settings = {"minibatches": 1, "num_steps": 2, "learning_rate": 1e-3}
    alone = context("alone", **settings)
    train(alone)

    def on(ranks):
        ctx = context("shared", ranks=ranks, **settings)
        train(ctx)
        return ctx

    shared, _ = on_ranks(2, on)
    samples = [
        (ctx.directory / "samples" / "step-000001.jsonl").read_text() for ctx in (alone, shared)
    ]
    assert samples[0] == samples[1]
    for left, right in zip(metrics(alone), metrics(shared), strict=True):
        assert left == pytest.approx(right, abs=1e-5)
    left, right = (load_model(ctx.directory / "model").model for ctx in (alone, shared))
    for mine, theirs in zip(left.parameters(), right.parameters(), strict=True):
        # Adam makes a full step of what little gradient there is, rounding errors too: 1% of it.
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-2 * 1e-3)


def test_dynamic_sampling_replaces_groups_of_equal_rewards(context):
    plain = build_trainer(context("plain", prompts_per_step=12, samples_per_prompt=2))
    first = rollout(plain, 1)
    assert first.trained == first.drawn
    assert len(first.drawn) == 24
    assert 0 < first.equal_reward_groups < 12

    dynamic = build_trainer(
        context("dynamic", prompts_per_step=12, samples_per_prompt=2, dynamic_sampling=True)
    )
    refilled = rollout(dynamic, 1)
    assert refilled.equal_reward_groups == first.equal_reward_groups
    useful = {s.group for s in first.drawn if s.advantage}
    trained = {s.group for s in refilled.trained}
    assert trained > useful  # kept, and new ones beside them
    assert len(trained) <= 12
    assert all(s.advantage for s in refilled.trained)  # no group of equal rewards is left
    assert dynamic.problems.position > 12
    assert {s.group for s in refilled.drawn} == set(range(dynamic.problems.position))


def test_the_reference_becomes_the_policy_every_so_often(context):
    trainer = build_trainer(context(kl_coef=0.1, reference_refresh_every=2))
    samples = draw(trainer, 4, 1)
    for index, sample in enumerate(samples):
        sample.advantage = (-1.0) ** index
    update_policy(
        samples,
        policy=trainer.policy,
        reference=trainer.reference,
        optimizers=trainer.optimizers,
        config=trainer.ctx.config,
        ranks=trainer.ctx.ranks,
        step=1,
    )

    def same():
        pairs = zip(trainer.policy.parameters(), trainer.reference.parameters(), strict=True)
        return all(torch.equal(p, q) for p, q in pairs)

    assert not same()
    refresh_reference(trainer, 1)
    assert not same()
    refresh_reference(trainer, 2)
    assert same()
    assert not any(p.requires_grad for p in trainer.reference.parameters())


BROKEN_TASK = """
problems = [{"question": f"a {i}", "answer": "a"} for i in range(40)]

def score(problem, response):
    if response == "a":
        return True
    raise KeyError("no such unit")
"""


OWN_REWARD_TASK = """
import aha

problems = [{"question": f"a {i}", "answer": "a"} for i in range(40)]

def score(problem, response):
    return response.split()[:1] == ["a"]

@aha.reward(weight=0.5)
def longer(problem, response):
    return len(response.split()) / 8
"""


def test_a_reward_of_the_users_own_is_paid_with_its_weight(world, tmp_path):
    (tmp_path / "own.py").write_text(OWN_REWARD_TASK)
    config = tiny_config(tmp_path / "own.py", num_steps=1, accuracy_weight=2.0)
    ctx = stage_context(tmp_path / "stage", config, {"model": world / "model"})
    train(ctx)
    text = (ctx.directory / "samples" / "step-000001.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    for row in rows:
        assert row["rewards"]["longer"] == len(row["text"].split()) / 8
        expected = 2 * row["rewards"]["accuracy"] + 0.5 * row["rewards"]["longer"]
        assert row["reward"] == pytest.approx(expected)
    mean = sum(row["reward"] for row in rows) / len(rows)
    assert rows[0]["advantage"] != 0
    assert metrics(ctx)[1]["reward/mean"] == pytest.approx(mean)


def test_a_verifier_that_fails_stops_the_run_before_it_learns_anything(world, tmp_path):
    (tmp_path / "broken.py").write_text(BROKEN_TASK)
    config = tiny_config(tmp_path / "broken.py", eval_every=None)
    ctx = stage_context(tmp_path / "stage", config, {"model": world / "model"})
    with pytest.raises(HealthError, match=r"no verdict on 1\d of 16 .* KeyError: 'no such unit'"):
        train(ctx)
    assert [row["step"] for row in metrics(ctx)] == [0]
    assert not (ctx.directory / "model").exists()


def test_a_task_that_cannot_be_checked_is_refused(world, tmp_path):
    ctx = stage_context(tmp_path / "s", tiny_config("smalltalk"), {"model": world / "model"})
    with pytest.raises(UserError, match="no answers that can be checked"):
        train(ctx)


def test_a_language_reward_needs_languages_that_it_can_tell(world, tmp_path):
    file = tmp_path / "swahili.jsonl"
    rows = [{"question": f"1 + {i} ni ngapi?", "answer": 1 + i} for i in range(9)]
    file.write_text("\n".join(json.dumps(row | {"language": "sw"}) for row in rows))
    for weight, refused in ((0.5, True), (0.0, False)):
        config = tiny_config(file, language_weight=weight)
        ctx = stage_context(tmp_path / "s", config, {"model": world / "model"})
        if refused:
            with pytest.raises(UserError, match="no language reward for sw"):
                build_trainer(ctx)
        else:
            build_trainer(ctx)


def test_checkpoints_are_pruned_and_the_last_step_is_the_model(context):
    ctx = context(num_steps=7, save_every=1, keep_checkpoints=2, eval_every=None)
    train(ctx)
    names = sorted(folder.name for folder in (ctx.directory / "checkpoints").iterdir())
    assert names == ["step-000005", "step-000006"]
    assert (ctx.directory / "model" / "config.json").is_file()
