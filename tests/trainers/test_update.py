"""The gradient of a step against a naive loop, and what it must not depend on."""

import copy
import json
import math
from dataclasses import replace

import pytest
import torch

from aha.algorithms.kl import kl_estimate
from aha.engine.engine import Engine
from aha.engine.types import SamplingParams
from aha.errors import HealthError
from aha.pipeline.ranks import Ranks
from aha.rewards.verdict import Verdict
from aha.trainers.optim import adamw
from aha.trainers.rollouts import Asked, Prompter, Sample, sample_groups
from aha.trainers.update import (
    KL_PROBE_ROWS,
    UpdateMetrics,
    accumulate_gradient,
    update_policy,
)
from tests.trainers.tiny import (
    LetterTask,
    on_ranks,
    tiny_config,
    tiny_model,
    tiny_tokenizer,
)

ALONE = Ranks()


def rollout(num_prompts: int = 6, samples_per_prompt: int = 4) -> tuple:
    """A model and what it sampled, with advantages that are all different and sum to zero."""
    model, tokenizer = tiny_model(), tiny_tokenizer()
    task = LetterTask(num_problems=num_prompts)
    asked = [Asked(i, task, problem) for i, problem in enumerate(task.problems("train"))]
    samples = sample_groups(
        Engine(model, tokenizer),
        Prompter("none", tokenizer),
        asked,
        SamplingParams(max_new_tokens=10),
        samples_per_prompt=samples_per_prompt,
        step=1,
    )
    for index, sample in enumerate(samples):
        sample.advantage = math.sin(index)
    return model, samples


def optimizers_for(model):
    return adamw(model, lr=1e-2, beta2=0.95, weight_decay=0.0)


def gradient_of(model, samples, config, ranks=ALONE, reference=None) -> torch.Tensor:
    """The flat gradient of one minibatch."""
    model = copy.deepcopy(model)
    accumulate_gradient(samples, UpdateMetrics(), 0, model, reference, config, ranks, 1)
    ranks.sum_gradients(model.parameters())
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def update(model, samples, config, reference=None, ranks=ALONE) -> UpdateMetrics:
    return update_policy(
        samples,
        policy=model,
        reference=reference,
        optimizers=optimizers_for(model),
        config=config,
        ranks=ranks,
        step=1,
    )


def logprobs(model, sample: Sample) -> torch.Tensor:
    """Of the sampled tokens, one plain forward pass over prompt and response."""
    prompt, response = sample.prompt_ids, list(sample.completion.token_ids)
    tokens = torch.tensor([prompt + response])
    logits = model.logits(model(tokens))[0, len(prompt) - 1 : -1]
    return logits.log_softmax(-1).gather(-1, torch.tensor(response)[:, None])[:, 0]


def weights(model) -> torch.Tensor:
    return torch.cat([p.detach().flatten().clone() for p in model.parameters()])


def test_the_trainers_logprobs_are_the_samplers():
    model, samples = rollout()
    assert sum(s.completion.finish_reason == "stop" for s in samples) > 3
    for sample in samples:
        mine, theirs = logprobs(model, sample), torch.tensor(sample.completion.logprobs)
        assert (mine - theirs).abs().max() < 1e-5
    metrics = update(model, samples, tiny_config(minibatches=1))
    assert metrics.ratio_max_abs_log < 1e-5


@pytest.mark.parametrize("aggregation", ["sequence", "token", "constant"])
def test_the_gradient_is_that_of_a_naive_loop(aggregation):
    """On policy it is REINFORCE's: the ratio is 1 and its gradient that of the log-prob."""
    model, samples = rollout()
    naive = copy.deepcopy(model)
    for sample in samples:
        total = -sample.advantage * logprobs(naive, sample).sum()
        divided = {
            "sequence": len(samples) * sample.length_tokens,
            "token": sum(s.length_tokens for s in samples),
            "constant": len(samples) * 10,
        }
        (total / divided[aggregation]).backward()
    expected = torch.cat([p.grad.flatten() for p in naive.parameters()])
    config = tiny_config(loss_aggregation=aggregation, max_new_tokens=10)
    actual = gradient_of(model, samples, config)
    assert expected.norm() > 1e-3
    assert (actual - expected).norm() < 1e-5 * expected.norm()


@pytest.mark.parametrize("size", [10**6, 64])
def test_tokens_that_all_prompts_share_leave_the_gradient_that_of_a_naive_loop(size):
    model, samples = rollout()
    for sample in samples:
        sample.prompt_ids = [3, 5, 4, 9, 2, *sample.prompt_ids]
        old = tuple(logprobs(model, sample).tolist())
        sample.completion = replace(sample.completion, logprobs=old)
    naive = copy.deepcopy(model)
    num_tokens = sum(s.length_tokens for s in samples)
    for sample in samples:
        (-sample.advantage * logprobs(naive, sample).sum() / num_tokens).backward()
    expected = torch.cat([p.grad.flatten() for p in naive.parameters()])
    config = tiny_config(loss_aggregation="token", tokens_per_microbatch=size)
    actual = gradient_of(model, samples, config)
    assert (actual - expected).norm() < 1e-5 * expected.norm()


@pytest.mark.parametrize("aggregation", ["sequence", "token", "constant"])
@pytest.mark.parametrize("ratio_level", ["token", "sequence"])
def test_splitting_into_micro_batches_leaves_the_gradient_unchanged(aggregation, ratio_level):
    model, samples = rollout()
    for sample in samples:  # off policy, so that ratios and clipping count too
        old = tuple(value - 0.3 * math.cos(5 * value) for value in sample.completion.logprobs)
        sample.completion = replace(sample.completion, logprobs=old)
    settings = {"loss_aggregation": aggregation, "ratio_level": ratio_level, "kl_coef": 0.1}
    reference = tiny_model(seed=1)
    whole, split = (
        gradient_of(
            model, samples, tiny_config(tokens_per_microbatch=size, **settings), reference=reference
        )
        for size in (10**6, 64)
    )
    assert whole.norm() > 1e-3
    assert (whole - split).abs().max() < 1e-6


@pytest.mark.parametrize("size", [2, 3])
def test_the_number_of_ranks_leaves_the_gradient_unchanged(size):
    model, samples = rollout(num_prompts=5)
    samples = samples[:-1]  # shares of different sizes
    config = tiny_config()
    alone = gradient_of(model, samples, config)
    shared = on_ranks(size, lambda ranks: gradient_of(model, ranks.share(samples), config, ranks))
    assert all(torch.equal(gradient, shared[0]) for gradient in shared)
    assert (shared[0] - alone).abs().max() < 1e-6


def test_a_rank_without_samples_joins_in():
    model, samples = rollout(num_prompts=1)
    config = tiny_config(minibatches=1)

    def on(ranks):
        mine = copy.deepcopy(model)
        metrics = update(mine, samples if ranks.is_main else [], config, ranks=ranks)
        return weights(mine), metrics.row()

    (first, row), (second, other_row) = on_ranks(2, on)
    assert torch.equal(first, second)
    assert row == other_row
    alone = update(model, samples, config)
    assert torch.equal(first, weights(model))
    assert row == pytest.approx(alone.row(), abs=1e-6)


def test_ranks_report_the_metrics_of_one():
    model, samples = rollout()
    config, reference = tiny_config(minibatches=1, kl_coef=0.1), tiny_model(seed=1)

    def on(ranks):
        mine = copy.deepcopy(model)
        return update(mine, ranks.share(samples), config, reference, ranks).row()

    rows = on_ranks(2, on)
    assert rows[0] == rows[1]
    assert rows[0] == pytest.approx(on(ALONE), abs=1e-5)


def test_minibatches_are_updates_on_parts_of_the_step():
    model, samples = rollout()
    metrics = update(model, samples, tiny_config(minibatches=4))
    assert metrics.num_updates == 4
    assert metrics.num_tokens == sum(s.length_tokens for s in samples)
    assert metrics.ratio_max_abs_log < 1e-5  # of the first minibatch alone
    row = metrics.row()
    assert row["old_kl"] > 0  # the later ones are off policy
    assert row["optim/lr"] == 3e-3
    json.dumps(row, allow_nan=False)


def test_metrics_of_a_single_update_on_policy():
    model, samples = rollout()
    config = tiny_config(minibatches=1)
    tokens = sum(s.length_tokens for s in samples)
    expected_loss = -sum(s.advantage * s.length_tokens for s in samples) / tokens
    with torch.no_grad():
        entropies = [
            torch.distributions.Categorical(
                logits=model.logits(model(torch.tensor([ids])))[0, len(s.prompt_ids) - 1 : -1]
            ).entropy()
            for s in samples
            for ids in [s.prompt_ids + list(s.completion.token_ids)]
        ]
    grad_norm = gradient_of(model, samples, config).norm().item()
    row = update(model, samples, config).row()
    assert row["loss/policy"] == pytest.approx(expected_loss, abs=1e-5)
    assert row["rollout/entropy"] == pytest.approx(torch.cat(entropies).mean().item(), rel=1e-5)
    assert row["grad_norm"] == pytest.approx(grad_norm, rel=1e-4)
    assert row["clip_fraction"] == 0
    assert row["old_kl"] == pytest.approx(0, abs=1e-9)


def test_the_gradient_is_clipped_and_its_norm_reported_unclipped():
    model, samples = rollout()
    norm = gradient_of(model, samples, tiny_config()).norm().item()
    for clip in (None, norm / 3):
        policy = copy.deepcopy(model)
        metrics = update(policy, samples, tiny_config(minibatches=1, grad_clip=clip))
        assert metrics.row()["grad_norm"] == pytest.approx(norm, rel=1e-4)


@pytest.mark.parametrize("excluded", ["truncated", "unscored"])
def test_samples_out_of_the_loss_change_nothing(excluded):
    model, samples = rollout()
    config = tiny_config(minibatches=1, overlong="mask" if excluded == "truncated" else "keep")
    if excluded == "unscored":
        for sample in samples[::3]:
            sample.verdict = Verdict.error("the verifier failed")
            sample.advantage = 5.0  # would be 0; must not matter
        kept = [s for s in samples if s.verdict.is_scored]
    else:
        kept = [s for s in samples if not s.is_truncated]
    assert 0 < len(kept) < len(samples)
    plain = tiny_config(minibatches=1)
    with_them, without = gradient_of(model, samples, config), gradient_of(model, kept, plain)
    assert (with_them - without).abs().max() < 1e-6
    rows = [
        update(copy.deepcopy(model), chosen, settings).row()
        for chosen, settings in ((samples, config), (kept, plain))
    ]
    assert rows[0] == pytest.approx(rows[1], abs=1e-5)


def test_nothing_to_train_on_updates_nothing():
    model, samples = rollout()
    for sample in samples:
        sample.verdict = Verdict.error("the verifier failed")
    before = weights(model)
    metrics = update(model, samples, tiny_config())
    assert torch.equal(weights(model), before)
    assert metrics.num_updates == 0
    json.dumps(metrics.row(), allow_nan=False)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_before_the_optimizer_step(bad):
    model, samples = rollout()
    samples[5].advantage = bad
    before = weights(model)
    with pytest.raises(HealthError, match=r"loss is (nan|inf|-inf) at step 1, .* letters/") as info:
        update(model, samples, tiny_config(minibatches=1))
    assert info.value.hint
    assert torch.equal(weights(model), before)


def test_a_gradient_that_is_not_finite_stops_before_the_optimizer_step():
    model, samples = rollout()
    for sample in samples:
        sample.advantage = 1e30  # finite, and so is the loss; its square is not
    before = weights(model)
    with pytest.raises(HealthError, match="gradient is not finite at step 1"):
        update(model, samples, tiny_config(minibatches=1))
    assert torch.equal(weights(model), before)


def test_the_kl_is_measured_also_when_it_is_not_in_the_loss():
    model, samples = rollout()
    reference = tiny_model(seed=1)
    shuffled = update(copy.deepcopy(model), samples, tiny_config(minibatches=1), reference)
    in_loss = update(
        copy.deepcopy(model), samples, tiny_config(minibatches=1, kl_coef=1e-6), reference
    )
    with torch.no_grad():
        kl = [kl_estimate(logprobs(model, s), logprobs(reference, s)) for s in samples]
    mean = torch.cat(kl).mean().item()
    assert in_loss.row()["kl"] == pytest.approx(mean, rel=1e-4)
    assert in_loss.row()["loss/kl"] == pytest.approx(1e-6 * mean, rel=1e-4)
    assert shuffled.row()["loss/kl"] == 0
    assert len(samples) > KL_PROBE_ROWS
    assert shuffled.row()["kl"] == pytest.approx(mean, rel=0.5)  # a sample of the samples


def test_a_kl_penalty_draws_the_policy_to_the_reference():
    model, samples = rollout()
    reference = tiny_model(seed=1)
    for sample in samples:
        sample.advantage = 0.0
    config = tiny_config(minibatches=1, kl_coef=1.0, kl_estimator="k2")
    rows = []
    optimizers = optimizers_for(model)
    for _ in range(6):
        rows.append(
            update_policy(
                samples,
                policy=model,
                reference=reference,
                optimizers=optimizers,
                config=config,
                ranks=ALONE,
                step=1,
            ).row()["kl"]
        )
    assert rows == sorted(rows, reverse=True), rows
    assert rows[-1] < 0.7 * rows[0]
