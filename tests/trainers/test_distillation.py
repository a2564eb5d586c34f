"""On-policy distillation: its gradient by hand, whole runs, resume, ranks, tokenizers."""

import copy
import json
from dataclasses import replace

import pytest
import torch
from tokenizers import Tokenizer as Backend
from tokenizers import models

from aha.errors import HealthError, UserError
from aha.model.hf_folder import load_model, save_model
from aha.model.tokenizer import Tokenizer
from aha.pipeline.files import truncate_jsonl
from aha.pipeline.ranks import Ranks
from aha.pipeline.testing import stage_context
from aha.trainers.batch import micro_batches
from aha.trainers.distillation import (
    DistillationMetrics,
    accumulate_gradient,
    build_student,
    train,
    update_student,
)
from aha.trainers.distillation_config import DistillationConfig
from tests.trainers.tiny import (
    EOS,
    WORDS,
    Interrupted,
    InterruptingProgress,
    on_ranks,
    sample,
    tiny_folder,
    tiny_model,
    tiny_task_file,
    tiny_tokenizer,
)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    tiny_folder(folder / "model")
    tiny_folder(folder / "teacher", seed=7, width=48)
    tiny_task_file(folder)
    return folder


@pytest.fixture
def context(world, tmp_path):
    """Contexts by name; values are config keys."""

    def make(name="stage", *, ranks: Ranks | None = None, **values):
        defaults = {
            "task": (str(world / "letters.py"),),
            "template": "none",
            "num_steps": 4,
            "prompts_per_step": 8,
            "samples_per_prompt": 2,
            "max_new_tokens": 8,
            "minibatches": 2,
            "learning_rate": 3e-3,
            "save_every": 2,
            "eval_every": 2,
            "eval_problems": 4,
            "sample_every": 2,
        }
        inputs = {"model": world / "model", "teacher": world / "teacher"}
        config = DistillationConfig(**(defaults | values))
        return stage_context(tmp_path / name, config, inputs, ranks)

    return make


def student_and_teacher(ctx):
    student, teacher = (load_model(ctx.inputs[name]) for name in ("model", "teacher"))
    return build_student(ctx, student), teacher.model.requires_grad_(False)


def responses(num=6) -> list:
    """Responses of all lengths behind prompts that share their beginning."""
    tokens = [(2, 3, 4, 5, 0), (6, 0), (7, 8, 9), (3, 3, 3, 3), (0,), (5, 4, 3, 2, 2, 2, 0)]
    prompts = [[1, 2, 3 + index % 5] for index in range(num)]
    return [sample(prompts[i], tokens[i % len(tokens)], group=i) for i in range(num)]


def gradient(student, teacher, samples, ranks: Ranks | None = None, **config) -> torch.Tensor:
    """Flat gradient of one minibatch."""
    ranks = ranks or Ranks()
    ctx = replace(student.ctx, ranks=ranks, config=student.ctx.config.replace(**config))
    mine = replace(student, ctx=ctx, policy=copy.deepcopy(student.policy))
    accumulate_gradient(mine, teacher, samples, DistillationMetrics(), 1)
    ranks.sum_gradients(mine.policy.parameters())
    return torch.cat([p.grad.flatten() for p in mine.policy.parameters()])


@pytest.mark.parametrize("temperature", [1.0, 0.8])
def test_the_gradient_is_that_of_the_mean_divergence_in_float64(context, temperature):
    student, teacher = student_and_teacher(context())
    samples = responses()
    found = gradient(student, teacher, samples, temperature=temperature)
    policy, teacher = copy.deepcopy(student.policy).double(), copy.deepcopy(teacher).double()
    total, num_tokens = torch.zeros((), dtype=torch.float64), 0
    for one in samples:
        tokens = torch.tensor([one.prompt_ids + list(one.completion.token_ids)])
        where = slice(len(one.prompt_ids) - 1, -1)
        logp, logq = (
            (model.logits(model(tokens))[0, where] / temperature).log_softmax(-1)
            for model in (policy, teacher)
        )
        kl = (logp.exp() * (logp - logq)).sum(-1)
        assert one.reward == pytest.approx(-kl.mean().item(), rel=1e-4)
        total, num_tokens = total + kl.sum(), num_tokens + len(kl)
    (total / num_tokens).backward()
    expected = torch.cat([p.grad.flatten() for p in policy.parameters()])
    assert expected.norm() > 1e-2
    assert (found - expected).norm() < 1e-4 * expected.norm()


def test_neither_micro_batches_nor_ranks_change_the_gradient(context):
    student, teacher = student_and_teacher(context())
    samples = responses(12)
    whole = gradient(student, teacher, samples, tokens_per_microbatch=10_000)
    split = gradient(student, teacher, samples, tokens_per_microbatch=64)
    assert len(list(micro_batches(samples, max_tokens=64))) > 1
    assert (split - whole).norm() < 1e-5 * whole.norm()

    def on(ranks):
        return gradient(student, teacher, ranks.share(samples), ranks)

    for shared in on_ranks(2, on):
        assert (shared - whole).norm() < 1e-5 * whole.norm()


def rows_of(ctx) -> list[dict]:
    return [json.loads(line) for line in (ctx.directory / "metrics.jsonl").read_text().splitlines()]


def files(directory) -> dict[str, bytes]:
    kept = [directory / "metrics.jsonl", *directory.glob("model/*"), *directory.glob("samples/*")]
    return {str(file.relative_to(directory)): file.read_bytes() for file in kept}


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_the_student_comes_near_its_teacher(context, optimizer):
    ctx = context(num_steps=30, prompts_per_step=24, optimizer=optimizer, learning_rate=1e-2)
    train(ctx)
    rows = rows_of(ctx)[1:]
    assert rows[0]["loss/reverse_kl"] > 0.2
    assert rows[-1]["loss/reverse_kl"] < 0.4 * rows[0]["loss/reverse_kl"]
    teacher = load_model(ctx.inputs["teacher"]).model
    before, after = (load_model(p).model for p in (ctx.inputs["model"], ctx.directory / "model"))
    tokens = torch.randint(2, 16, (64, 6), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        of = [m.logits(m(tokens)).softmax(-1) for m in (teacher, before, after)]
    distance = [(of[0] - mine).abs().sum(-1).mean().item() for mine in of[1:]]
    assert distance[1] < 0.7 * distance[0]


def test_a_run_writes_what_the_report_reads(context):
    ctx = context()
    assert (ctx.directory / train(ctx).output / "model.safetensors").is_file()
    rows = rows_of(ctx)
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 4]
    assert all(("eval/letters/pass@1" in row) == (row["step"] in (0, 2, 4)) for row in rows)
    for row in rows[1:]:
        assert row["reward/mean"] < 0 < row["loss/reverse_kl"]
        assert 0 <= row["rollout/accuracy"] <= 1 and 0 < row["rollout/entropy"] < 2.8
        assert "rollout/equal_reward_groups" not in row
    text = (ctx.directory / "samples/step-000002.jsonl").read_text()
    rewards = [json.loads(line)["reward"] for line in text.splitlines()]
    assert len(rewards) == 16 and sum(rewards) / 16 == pytest.approx(rows[2]["reward/mean"])


def test_a_resumed_run_is_byte_equal_to_an_undisturbed_one(context):
    undisturbed = context("undisturbed", num_steps=6)
    train(undisturbed)
    interrupted = context("interrupted", num_steps=6)
    with pytest.raises(Interrupted):
        train(replace(interrupted, log=InterruptingProgress(5)))
    again = stage_context(interrupted.directory, interrupted.config, interrupted.inputs)
    for name in ("metrics.jsonl", "timing.jsonl"):
        truncate_jsonl(again.directory / name, last_step=again.resume_step)
    assert again.resume_step == 4
    train(again)
    assert files(again.directory) == files(undisturbed.directory)


def test_two_ranks_learn_what_one_does(context):
    settings = {"minibatches": 1, "num_steps": 3, "learning_rate": 1e-3}
    alone = context("alone", **settings)
    train(alone)

    def on(ranks):
        ctx = context("shared", ranks=ranks, **settings)
        train(ctx)
        return ctx

    shared, _ = on_ranks(2, on)
    for left, right in zip(rows_of(alone), rows_of(shared), strict=True):
        assert left == pytest.approx(right, abs=2e-4)


def test_a_task_without_right_answers_will_do(context, tmp_path):
    (tmp_path / "talk.py").write_text(
        "import aha\n\n\nclass Talk(aha.Task):\n    name = 'talk'\n    checkable = False\n\n"
        "    def problems(self, split):\n"
        "        return [aha.Problem(id=f'talk/{i}', question=f'a {i % 6}', gold='')"
        " for i in range(8)]\n\n"
        "    def score(self, problem, response):\n"
        "        return aha.Verdict.wrong(response, 'nothing is right')\n\n\ntask = Talk()\n"
    )
    ctx = context(task=(str(tmp_path / "talk.py"),), num_steps=2)
    train(ctx)
    rows = rows_of(ctx)
    assert rows[0] == {"step": 0} and rows[2]["loss/reverse_kl"] > 0


def test_a_loss_that_is_not_finite_stops_the_run_before_the_optimizer(context):
    student, teacher = student_and_teacher(context())
    with torch.no_grad():
        teacher.head_weight.fill_(float("nan"))
    before = [p.clone() for p in student.policy.parameters()]
    with pytest.raises(HealthError, match=r"the loss is nan at step 7, .* letters/"):
        update_student(student, teacher, responses(), 7)
    for old, new in zip(before, student.policy.parameters(), strict=True):
        assert torch.equal(old, new)


def other_tokenizer() -> Tokenizer:
    words = {word: index for index, word in enumerate([*WORDS[:-1], "6"])}
    return Tokenizer(Backend(models.WordLevel(words, unk_token="?")), eos_token=EOS)


def test_another_tokenizer_is_refused_with_a_hint(context, tmp_path):
    ctx = context()
    save_model(tmp_path / "foreign", tiny_model(), other_tokenizer())
    foreign = replace(ctx, inputs={**ctx.inputs, "teacher": tmp_path / "foreign"})
    with pytest.raises(UserError, match=r"different tokenizers \(16 and 16 tokens, 2 dif") as error:
        train(foreign)
    assert "method=sft" in (error.value.hint or "")


def test_a_teacher_that_ends_its_texts_differently_is_refused(context, tmp_path):
    ctx = context()
    tokenizer = tiny_tokenizer()
    save_model(tmp_path / "other", tiny_model(), tokenizer)
    settings = json.loads((tmp_path / "other/tokenizer_config.json").read_text())
    (tmp_path / "other/tokenizer_config.json").write_text(json.dumps(settings | {"eos_token": "a"}))
    for name in ("config.json", "generation_config.json"):
        path = tmp_path / "other" / name
        path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token_id": 2}))
    other = replace(ctx, inputs={**ctx.inputs, "teacher": tmp_path / "other"})
    with pytest.raises(UserError, match=r"ends a text with the tokens \[0\], the teacher with \[2"):
        train(other)
