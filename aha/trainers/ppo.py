"""PPO with a critic: sample, score, value, advantage, two losses, step, log, save.

PPO: arXiv 1707.06347, with the advantages of arXiv 1506.02438; what DeepSeek-R1 compares GRPO with
(arXiv 2501.12948v2, A.3). The loop is that of `aha.trainers.grpo` with two differences: advantages
come from a critic instead of from the other responses to the prompt, and the critic is trained
beside the policy (`aha.trainers.token_values`). It is a second model of the same size: the body of
the input model with a linear head that starts at 0, so that its first values are 0.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from aha.algorithms.grpo import loss_denominator
from aha.algorithms.ppo import value_loss
from aha.errors import HealthError
from aha.model.hf_folder import write_model
from aha.model.reward_model import RewardModel, reward_model_of
from aha.pipeline.ranks import Ranks
from aha.pipeline.stage import StageContext, StageResult
from aha.trainers.batch import MicroBatch, micro_batches
from aha.trainers.checkpoint import load_checkpoint, save_checkpoint
from aha.trainers.config import GrpoConfig
from aha.trainers.grpo import (
    Trainer,
    build_trainer,
    evaluate,
    refresh_reference,
    report,
    rollout,
    timed,
)
from aha.trainers.optim import Optimizers, adamw, learning_rate_factor
from aha.trainers.ppo_config import PpoConfig
from aha.trainers.rollouts import Sample
from aha.trainers.token_values import Valued, response_values, value_samples
from aha.trainers.update import (
    KL_PROBE_ROWS,
    UpdateMetrics,
    add_losses,
    add_ranks,
    behind_prefix,
    clip_gradient,
    micro_batch_loss,
    probe_kl,
)


@dataclass(frozen=True, slots=True)
class PpoTrainer:
    """What lives across the steps of one rank: that of GRPO, and a critic."""

    config: PpoConfig
    actor: Trainer
    critic: RewardModel
    critic_optimizers: Optimizers


def train(ctx: StageContext[PpoConfig]) -> StageResult:
    """Train a policy from the input `model`; the output is a plain HF folder of the policy."""
    trainer = build_ppo_trainer(ctx)
    actor, num_steps = trainer.actor, ctx.config.num_steps
    if ctx.resume_from is not None:
        restore(trainer)
    else:
        ctx.append("metrics.jsonl", {"step": 0, **evaluate(actor)})
    for step in range(ctx.resume_step + 1, num_steps + 1):
        with timed(actor, "rollout"):
            rolled = rollout(actor, step)
        with timed(actor, "train"):
            valued = value_samples(
                rolled.trained,
                critic=trainer.critic,
                reference=actor.reference,
                config=ctx.config,
                ranks=ctx.ranks,
            )
            updated = update(trainer, valued, step)
        refresh_reference(actor, step)
        report(actor, rolled, updated, step)
        if step % ctx.config.save_every == 0 and step < num_steps:
            save(trainer, step)
    ctx.publish("model", lambda folder: write_model(folder, actor.policy, actor.prompter.tokenizer))
    return StageResult(output="model", summary={"steps": num_steps})


def build_ppo_trainer(ctx: StageContext[PpoConfig]) -> PpoTrainer:
    """Everything that GRPO has, and a critic with the body of the same model."""
    config = ctx.config
    actor = build_trainer(cast("StageContext[GrpoConfig]", ctx))
    critic = reward_model_of(ctx.inputs["model"], dtype=getattr(torch, config.dtype)).model
    critic_optimizers = adamw(
        critic,
        lr=config.critic.learning_rate,
        beta2=config.adam_beta2,
        weight_decay=config.weight_decay,
    )
    return PpoTrainer(config, actor, critic, critic_optimizers)


@dataclass(slots=True)
class PpoMetrics(UpdateMetrics):
    """Sums over the micro-batches of a step, those of the critic too."""

    value_loss: float = 0.0
    value_num_clipped: float = 0.0
    value_grad_norm: float = 0.0
    value_mean: float = 0.0
    explained_variance: float = 0.0

    def row(self) -> dict[str, float]:
        """Metric names of the run directory."""
        updates = max(1, self.num_updates)
        return UpdateMetrics.row(self) | {
            "loss/value": self.value_loss / updates,
            "value/explained_variance": self.explained_variance,
            "value/mean": self.value_mean,
            "value/clip_fraction": self.value_num_clipped / max(1.0, self.num_tokens),
            "value/grad_norm": self.value_grad_norm / updates,
        }


def update(trainer: PpoTrainer, valued: Valued, step: int) -> PpoMetrics:
    """All optimizer updates of one rollout, of policy and critic."""
    config, actor, ranks = trainer.config, trainer.actor, trainer.actor.ctx.ranks
    metrics = PpoMetrics(value_mean=valued.value_mean, explained_variance=valued.explained_variance)
    shuffled = list(valued.samples)
    random.Random(f"{config.seed}/minibatches/{step}/{ranks.rank}").shuffle(shuffled)
    factor = learning_rate_factor(
        step,
        num_steps=config.num_steps,
        warmup_steps=config.warmup_steps,
        schedule=config.lr_schedule,
    )
    for index in range(config.minibatches):
        bounds = [len(shuffled) * i // config.minibatches for i in (index, index + 1)]
        minibatch = shuffled[bounds[0] : bounds[1]]
        if not accumulate_gradients(trainer, valued, minibatch, metrics, index, step):
            continue
        if step > config.critic.warmup_steps:
            ranks.sum_gradients(actor.policy.parameters())
            metrics.grad_norm += clip_gradient(actor.policy, config.grad_clip, step)
            actor.optimizers.step(factor)
        ranks.sum_gradients(trainer.critic.parameters())
        metrics.value_grad_norm += clip_gradient(trainer.critic, config.grad_clip, step)
        trainer.critic_optimizers.step(factor)
        metrics.num_updates += 1
    metrics.lr = config.learning_rate * factor * (step > config.critic.warmup_steps)
    return finished(metrics, valued, ranks)


def accumulate_gradients(
    trainer: PpoTrainer,
    valued: Valued,
    minibatch: Sequence[Sample],
    metrics: PpoMetrics,
    index: int,
    step: int,
) -> int:
    """Add a minibatch's gradients and metrics; returns its tokens on all ranks."""
    config, actor = trainer.config, trainer.actor
    own_tokens = sum(sample.length_tokens for sample in minibatch)
    num_sequences, num_tokens = map(int, actor.ctx.ranks.sum(len(minibatch), own_tokens))
    if not num_tokens:
        return 0
    denominator = loss_denominator(
        config.loss_aggregation,
        num_sequences=num_sequences,
        num_tokens=num_tokens,
        max_tokens=config.max_new_tokens,
    )
    batches = list(micro_batches(minibatch, max_tokens=config.tokens_per_microbatch))
    policy_gradient(trainer, valued, batches, metrics, denominator, index, step)
    value_gradient(trainer, valued, batches, metrics, num_tokens, step)
    if not config.kl_coef and actor.reference is not None and index == 0:
        probe_kl(minibatch[:KL_PROBE_ROWS], metrics, actor.policy, actor.reference, config)
    return num_tokens


def policy_gradient(
    trainer: PpoTrainer,
    valued: Valued,
    batches: Sequence[MicroBatch],
    metrics: PpoMetrics,
    denominator: float,
    index: int,
    step: int,
) -> None:
    """Add the gradient of the policy's loss: GRPO's, with an advantage of each token.

    While the critic warms up the loss is only measured.
    """
    config, actor = trainer.config, trainer.actor
    if config.critic.kl_in_reward:  # then it is in the advantages already
        config = config.model_copy(update={"kl_coef": 0.0})
    is_trained = step > config.critic.warmup_steps
    with torch.set_grad_enabled(is_trained):
        policy = behind_prefix(actor.policy, batches)
        frozen = None
        if config.kl_coef and actor.reference is not None:
            frozen = behind_prefix(actor.reference, batches)
        for batch in batches:
            batch = replace(batch, advantages_B=valued.column(batch, "advantages_N"))
            losses, entropy_sum = micro_batch_loss(batch, policy, frozen, config, denominator)
            stop_unless_finite(losses.loss, "policy", batch, step)
            if is_trained:
                losses.loss.backward()
            add_losses(metrics, losses, entropy_sum, config, first=index == 0)
        policy.backward()


def value_gradient(
    trainer: PpoTrainer,
    valued: Valued,
    batches: Sequence[MicroBatch],
    metrics: PpoMetrics,
    num_tokens: int,
    step: int,
) -> None:
    """Add the gradient of the critic's loss, the mean over the tokens of the minibatch."""
    critic = behind_prefix(trainer.critic, batches)
    for batch in batches:
        losses = value_loss(
            response_values(critic, batch),
            valued.column(batch, "old_values_N"),
            valued.column(batch, "returns_N"),
            batch.mask_BT,
            denominator=num_tokens,
            clip=trainer.config.critic.value_clip,
        )
        stop_unless_finite(losses.loss, "value", batch, step)
        losses.loss.backward()
        metrics.value_loss += losses.loss.item()
        metrics.value_num_clipped += losses.num_clipped.item()
    critic.backward()


def stop_unless_finite(loss: Tensor, what: str, batch: MicroBatch, step: int) -> None:
    """A loss that is not finite ends the run before the optimizer sees it."""
    if not torch.isfinite(loss):
        raise HealthError(
            f"the {what} loss is {loss.item()} at step {step}, in a micro-batch of "
            f"{len(batch.samples)} responses, the first to {batch.samples[0].problem.id}",
            hint="start anew from its last checkpoint with a lower learning_rate",
        )


def finished(metrics: PpoMetrics, valued: Valued, ranks: Ranks) -> PpoMetrics:
    """The sums over all ranks."""
    metrics.ref_kl_sum += valued.ref_kl.total
    metrics.ref_num_tokens += valued.ref_kl.count
    metrics.value_loss, metrics.value_num_clipped = ranks.sum(
        metrics.value_loss, metrics.value_num_clipped
    )
    add_ranks(metrics, ranks)
    return metrics


def save(trainer: PpoTrainer, step: int) -> None:
    """A checkpoint from which the run continues bit for bit; the critic is in trainer.pt."""
    actor, config = trainer.actor, trainer.config
    extra = {
        "position": actor.problems.position,
        "critic": trainer.critic.state_dict(),
        "critic_optimizers": trainer.critic_optimizers.state_dict(),
    }
    if actor.reference is not None and config.reference_refresh_every is not None:
        extra["reference"] = actor.reference.state_dict()
    actor.ctx.save_checkpoint(
        step,
        lambda folder: save_checkpoint(
            folder, actor.policy, actor.prompter.tokenizer, actor.optimizers, extra
        ),
        keep=config.keep_checkpoints,
    )


def restore(trainer: PpoTrainer) -> None:
    """Continue from `resume_from`."""
    actor = trainer.actor
    assert actor.ctx.resume_from is not None
    extra = load_checkpoint(actor.ctx.resume_from, actor.policy, actor.optimizers)
    actor.problems.position = extra["position"]
    trainer.critic.load_state_dict(extra["critic"])
    trainer.critic_optimizers.load_state_dict(extra["critic_optimizers"])
    if actor.reference is not None and "reference" in extra:
        actor.reference.load_state_dict(extra["reference"])
