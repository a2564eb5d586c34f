"""PPO: the critic's part of a step, whole runs of a few steps, resume, ranks."""

import copy
import json
from dataclasses import replace

import pytest
import torch

from aha.errors import HealthError, UserError
from aha.model.hf_folder import load_model
from aha.model.reward_model import reward_model_of
from aha.pipeline.files import truncate_jsonl
from aha.pipeline.ranks import Ranks
from aha.pipeline.sources import embedded_model
from aha.pipeline.testing import stage_context
from aha.rewards.verdict import Verdict
from aha.trainers.batch import micro_batches
from aha.trainers.optim import adamw
from aha.trainers.ppo import (
    PpoMetrics,
    PpoTrainer,
    accumulate_gradients,
    build_ppo_trainer,
    train,
    update,
    value_gradient,
)
from aha.trainers.ppo_config import CriticConfig, PpoConfig
from aha.trainers.token_values import response_values, value_samples
from aha.trainers.update import behind_prefix, response_logprobs
from tests.trainers.tiny import (
    Interrupted,
    InterruptingProgress,
    on_ranks,
    sample,
    tiny_config,
    tiny_folder,
    tiny_task_file,
)

RIGHT = Verdict.correct("a")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    tiny_folder(folder / "model")
    tiny_task_file(folder)
    return folder


def ppo_config(task="arithmetic", *, critic=None, **values) -> PpoConfig:
    given = {"learning_rate": 1e-3, "gae_lambda": 0.9} | (critic or {})
    return PpoConfig(**tiny_config(task, **values).table(), critic=CriticConfig(**given))


@pytest.fixture
def context(world, tmp_path):
    """Contexts by name; values are config keys, `critic` those of its table."""

    def make(name="stage", *, ranks: Ranks | None = None, critic=None, **values):
        config = ppo_config(world / "letters.py", critic=critic, **values)
        return stage_context(tmp_path / name, config, {"model": world / "model"}, ranks)

    return make


@pytest.fixture
def trainer(context):
    """A trainer whose critic is no longer 0 everywhere."""

    def make(**values) -> PpoTrainer:
        made = build_ppo_trainer(context(**values))
        generator = torch.Generator().manual_seed(1)
        torch.nn.init.normal_(made.critic.score.weight, std=0.3, generator=generator)
        return made

    return make


def responses(num=6) -> list:
    """Responses of all lengths behind prompts that share their beginning."""
    tokens = [(2, 3, 4, 5, 0), (6, 0), (7, 8, 9), (3, 3, 3, 3), (0,), (5, 4, 3, 2, 2, 2, 0)]
    made = []
    for index in range(num):
        ids = tokens[index % len(tokens)]
        one = sample([1, 2, 3 + index % 5], ids, group=index, verdict=RIGHT)
        one.reward = float(index % 3)
        made.append(one)
    return made


def valued_by(made: PpoTrainer, samples, ranks: Ranks | None = None, **config):
    """Values of samples whose sampler was the policy itself."""
    for batch in micro_batches(samples, max_tokens=10_000):
        with torch.no_grad():
            logp_BT, _ = response_logprobs(behind_prefix(made.actor.policy, [batch]), batch, 1.0)
        for row, one in enumerate(batch.samples):
            logprobs = tuple(logp_BT[row][batch.mask_BT[row]].tolist())
            one.completion = replace(one.completion, logprobs=logprobs)
    return value_samples(
        samples,
        critic=made.critic,
        reference=made.actor.reference,
        config=made.config.replace(**config),
        ranks=ranks or Ranks(),
    )


def naive_values(critic, one) -> torch.Tensor:
    """One plain forward pass over prompt and response; V(s_t) is read before token t."""
    tokens = torch.tensor([one.prompt_ids + list(one.completion.token_ids)])
    values = critic.score(critic(tokens))[0, :, 0]
    return values[len(one.prompt_ids) - 1 : -1]


def test_values_are_those_of_the_text_before_each_token(trainer):
    made, samples = trainer(), responses()
    for max_tokens in (8, 1000):
        for batch in micro_batches(samples, max_tokens=max_tokens):
            values_BT = response_values(behind_prefix(made.critic, [batch]), batch)
            for row, one in enumerate(batch.samples):
                own = values_BT[row][batch.mask_BT[row]]
                torch.testing.assert_close(own, naive_values(made.critic, one), atol=1e-5, rtol=0)
            assert (values_BT[~batch.mask_BT] == 0).all()


def test_a_new_critic_values_everything_0(context):
    made = build_ppo_trainer(context())
    valued = valued_by(made, responses())
    assert valued.value_mean == 0.0
    assert all((v.old_values_N == 0).all() for v in valued.of.values())


def test_advantages_and_returns_are_those_of_the_equations(trainer):
    made, samples = trainer(critic={"whiten": False, "gae_lambda": 0.8, "gamma": 0.9}), responses()
    valued = valued_by(made, samples)
    for one in samples:
        values = naive_values(made.critic, one).tolist()
        advantage, expected = 0.0, []
        for t in reversed(range(len(values))):
            is_last = t == len(values) - 1
            next_value = 0.0 if is_last else values[t + 1]
            advantage = one.reward * is_last + 0.9 * next_value - values[t] + 0.72 * advantage
            expected.insert(0, advantage)
        mine = valued.of[one.group, one.index]
        assert mine.advantages_N.tolist() == pytest.approx(expected, abs=1e-5)
        targets = [a + v for a, v in zip(expected, values, strict=True)]
        assert mine.returns_N.tolist() == pytest.approx(targets, abs=1e-5)
        assert one.advantage == pytest.approx(sum(expected) / len(expected), abs=1e-5)


def test_whitened_advantages_have_mean_0_and_std_1_over_the_tokens_of_all_ranks(trainer):
    made, samples = trainer(), responses()

    def on(ranks):
        return valued_by(made, ranks.share(samples), ranks)

    alone = valued_by(made, samples)
    shares = on_ranks(2, on)
    for valued in (alone, *shares):
        assert valued.explained_variance == pytest.approx(alone.explained_variance, abs=1e-9)
    joined = {**shares[0].of, **shares[1].of}
    for key, values in alone.of.items():
        torch.testing.assert_close(values.advantages_N, joined[key].advantages_N)
    tokens = torch.cat([values.advantages_N for values in alone.of.values()])
    assert tokens.mean().item() == pytest.approx(0, abs=1e-6)
    assert tokens.std(unbiased=False).item() == pytest.approx(1, abs=1e-4)


def test_samples_without_a_verdict_are_left_out(trainer):
    made, samples = trainer(), responses()
    samples[2].verdict = Verdict.error("the verifier died")
    valued = valued_by(made, samples)
    assert [one.group for one in valued.samples] == [0, 1, 3, 4, 5]


def test_the_kl_penalty_is_paid_at_every_token(trainer):
    settings = {"kl_coef": 0.5, "critic": {"whiten": False, "gae_lambda": 1.0}}
    made, samples = trainer(**settings), responses()
    with torch.no_grad():
        for parameter in made.actor.policy.parameters():
            parameter.mul_(1.1)
    with_kl, without = valued_by(made, samples), valued_by(made, samples, kl_coef=0.0)
    for one in samples:
        tokens = torch.tensor([one.prompt_ids + list(one.completion.token_ids)])
        start, logps = len(one.prompt_ids), []
        for model in (made.actor.policy, made.actor.reference):
            logits = model.logits(model(tokens))[0, start - 1 : -1]
            picked = tokens[0, start:, None]
            logps.append(logits.log_softmax(-1).gather(-1, picked)[:, 0])
        penalty = 0.5 * (logps[0] - logps[1])
        still_to_come = penalty.flip(0).cumsum(0).flip(0)
        key = (one.group, one.index)
        lost = without.of[key].advantages_N - with_kl.of[key].advantages_N
        torch.testing.assert_close(lost, still_to_come.detach(), atol=1e-4, rtol=0)
    assert with_kl.ref_kl.total > 0 and without.ref_kl.count == 0


def gradients(made: PpoTrainer, samples, ranks: Ranks | None = None, **config) -> torch.Tensor:
    """Flat gradient of policy and critic of one minibatch."""
    actor = copy.copy(made.actor)
    actor.ctx = replace(actor.ctx, ranks=ranks or Ranks())
    mine = PpoTrainer(
        made.config.replace(**config),
        replace(actor, policy=copy.deepcopy(actor.policy)),
        copy.deepcopy(made.critic),
        made.critic_optimizers,
    )
    valued = valued_by(mine, samples, ranks, **config)
    accumulate_gradients(mine, valued, valued.samples, PpoMetrics(), 0, 1)
    flat = []
    for model in (mine.actor.policy, mine.critic):
        mine.actor.ctx.ranks.sum_gradients(model.parameters())
        flat += [p.grad.flatten() for p in model.parameters()]
    return torch.cat(flat)


@pytest.mark.parametrize("aggregation", ["token", "sequence", "constant"])
def test_neither_micro_batches_nor_ranks_change_the_gradient(trainer, aggregation):
    made, samples = trainer(loss_aggregation=aggregation), responses(12)
    whole = gradients(made, samples, tokens_per_microbatch=10_000)
    split = gradients(made, samples, tokens_per_microbatch=64)
    batches = list(micro_batches(samples, max_tokens=64))
    assert len(batches) > 1
    assert whole.norm() > 1e-2
    assert (split - whole).norm() < 1e-5 * whole.norm()

    def on(ranks):
        return gradients(made, ranks.share(samples), ranks, tokens_per_microbatch=10_000)

    for shared in on_ranks(2, on):
        assert (shared - whole).norm() < 1e-5 * whole.norm()


def test_padding_contributes_nothing(trainer):
    """A long row beside short ones pads them; the sum of the rows alone is the same."""
    made, samples = trainer(critic={"whiten": False}, loss_aggregation="constant"), responses()
    together = gradients(made, samples)
    alone = sum(gradients(made, [one]) for one in samples) / len(samples)
    num_policy = sum(p.numel() for p in made.actor.policy.parameters())
    policy = (together - alone)[:num_policy]
    assert policy.norm() < 1e-5 * together[:num_policy].norm()


def test_the_critic_learns_a_planted_value(world):
    """The reward follows from a word of the prompt: a constant does not explain it."""
    critic = reward_model_of(world / "model").model
    optimizers = adamw(critic, lr=3e-3, beta2=0.95, weight_decay=0.0)
    samples = []
    for index in range(32):
        one = sample([1, 2 + index % 8, 4], (3, 5 + index % 3, 0), group=index)
        one.reward = float(index % 8 < 4)
        samples.append(one)
    config = ppo_config(critic={"gae_lambda": 0.95})
    made = PpoTrainer(config, None, critic, optimizers)  # type: ignore[arg-type]
    explained = []
    for step in range(60):
        valued = value_samples(samples, critic=critic, reference=None, config=config, ranks=Ranks())
        explained.append(valued.explained_variance)
        batches = list(micro_batches(samples, max_tokens=1000))
        value_gradient(made, valued, batches, PpoMetrics(), 96, step)
        optimizers.step(1.0)
    assert abs(explained[0]) < 1e-6
    assert explained[-1] > 0.9
    for one in samples:
        assert naive_values(critic, one)[0].item() == pytest.approx(one.reward, abs=0.35)


def rows_of(ctx) -> list[dict]:
    return [json.loads(line) for line in (ctx.directory / "metrics.jsonl").read_text().splitlines()]


def files(directory) -> dict[str, bytes]:
    kept = [directory / "metrics.jsonl", *directory.glob("model/*"), *directory.glob("samples/*")]
    return {str(file.relative_to(directory)): file.read_bytes() for file in kept}


def test_a_run_writes_grpos_metrics_and_those_of_the_critic(context):
    from aha.trainers import grpo

    ctx = context()
    assert (ctx.directory / train(ctx).output / "model.safetensors").is_file()
    rows = rows_of(ctx)
    plain = stage_context(ctx.directory.parent / "g", tiny_config(ctx.config.task[0]), ctx.inputs)
    grpo.train(plain)
    own = {"loss/value", "value/explained_variance", "value/mean"}
    own |= {"value/clip_fraction", "value/grad_norm"}
    assert [set(row) for row in rows[1:]] == [set(row) | own for row in rows_of(plain)[1:]]
    first = [(run.directory / "samples/step-000001.jsonl").read_text() for run in (ctx, plain)]
    texts = [[json.loads(line)["text"] for line in text.splitlines()] for text in first]
    assert texts[0] == texts[1]  # both arms of a comparison begin with the same samples
    assert rows[1]["value/mean"] == 0.0 and rows[4]["value/mean"] != 0.0
    assert all(row["ratio_max_abs_log"] < 1e-5 for row in rows[1:])
    assert rows[1]["kl"] == pytest.approx(0, abs=1e-9) and rows[4]["kl"] > 0


SETTINGS = {
    "plain": {},
    "reference": {"kl_coef": 0.05, "reference_refresh_every": 3},
    "warm-up": {"critic": {"warmup_steps": 5, "value_clip": None}},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_resumed_run_is_byte_equal_to_an_undisturbed_one(context, settings):
    undisturbed = context("undisturbed", num_steps=6, **settings)
    train(undisturbed)
    interrupted = context("interrupted", num_steps=6, **settings)
    with pytest.raises(Interrupted):
        train(replace(interrupted, log=InterruptingProgress(5)))
    again = stage_context(interrupted.directory, interrupted.config, interrupted.inputs)
    for name in ("metrics.jsonl", "timing.jsonl"):
        truncate_jsonl(again.directory / name, last_step=again.resume_step)
    assert again.resume_step == 4
    train(again)
    assert files(again.directory) == files(undisturbed.directory)


def test_two_ranks_learn_what_one_does(context):
    settings = {"minibatches": 1, "num_steps": 3}
    alone = context("alone", **settings)
    train(alone)

    def on(ranks):
        ctx = context("shared", ranks=ranks, **settings)
        train(ctx)
        return ctx

    shared, _ = on_ranks(2, on)
    for left, right in zip(rows_of(alone), rows_of(shared), strict=True):
        assert left == pytest.approx(right, abs=2e-4)
    left, right = (load_model(ctx.directory / "model").model for ctx in (alone, shared))
    for mine, theirs in zip(left.parameters(), right.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=2e-2 * 3e-3)


def test_while_the_critic_warms_up_the_policy_stays(context):
    ctx = context(num_steps=2, critic={"warmup_steps": 2})
    train(ctx)
    before, after = (load_model(p).model for p in (ctx.inputs["model"], ctx.directory / "model"))
    for old, new in zip(before.parameters(), after.parameters(), strict=True):
        assert torch.equal(old, new)
    rows = rows_of(ctx)
    assert rows[2]["value/mean"] != 0.0 and rows[2]["optim/lr"] == 0.0
    assert rows[2]["rollout/entropy"] > 0


def test_a_value_that_is_not_finite_stops_the_run_before_the_optimizer(trainer):
    made, samples = trainer(), responses()
    valued = valued_by(made, samples)
    with torch.no_grad():
        made.critic.score.weight.fill_(float("nan"))
    before = [p.clone() for p in made.actor.policy.parameters()]
    with pytest.raises(HealthError, match=r"the value loss is nan at step 7, .* letters/"):
        update(made, valued, 7)
    for old, new in zip(before, made.actor.policy.parameters(), strict=True):
        assert torch.equal(old, new)


def test_what_is_about_groups_is_refused():
    with pytest.raises(UserError, match="compares no groups"):
        PpoConfig(dynamic_sampling=True)
    with pytest.raises(UserError, match="advantage_scale = group_std is about groups"):
        PpoConfig(advantage_scale="group_std")


def test_a_few_steps_on_the_embedded_model(tmp_path):
    config = PpoConfig(
        num_steps=3,
        prompts_per_step=2,
        samples_per_prompt=4,
        max_new_tokens=48,
        learning_rate=3e-4,
        kl_coef=0.001,
        eval_every=None,
        critic=CriticConfig(learning_rate=1e-3, gae_lambda=0.95),
    )
    ctx = stage_context(tmp_path / "stage", config, {"model": embedded_model()})
    train(ctx)
    rows = rows_of(ctx)
    assert [row["step"] for row in rows] == [0, 1, 2, 3]
    assert rows[3]["loss/value"] > 0 and rows[3]["kl"] > 0
