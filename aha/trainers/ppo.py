"""PPO with a critic: sample, score, value, advantage, two losses, step, log, save.

PPO: arXiv 1707.06347, with the advantages of arXiv 1506.02438; what DeepSeek-R1 compares GRPO with
(arXiv 2501.12948v2, A.3). The loop and the rollouts are GRPO's, with two differences: advantages
come from a critic instead of from the other responses to the prompt, and the critic is trained
beside the policy (`aha.trainers.token_values`). It is a second model of the same size: the body of
the input model with a linear head that starts at 0, so that its first values are 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from aha.algorithms.grpo import loss_denominator
from aha.algorithms.ppo import value_loss
from aha.model.reward_model import RewardModel, reward_model_of
from aha.pipeline.ranks import Ranks
from aha.pipeline.stage import StageContext, StageResult
from aha.trainers.batch import MicroBatch, micro_batches
from aha.trainers.config import GrpoConfig
from aha.trainers.grpo import build_trainer, refresh_reference, rollout
from aha.trainers.loop import Rollout, Trainer, run_steps
from aha.trainers.optim import Optimizers, adamw
from aha.trainers.ppo_config import PpoConfig
from aha.trainers.rollouts import Sample
from aha.trainers.token_values import Valued, response_values, value_samples
from aha.trainers.update import (
    KL_PROBE_ROWS,
    UpdateMetrics,
    add_losses,
    add_ranks,
    apply_gradient,
    behind_prefix,
    lr_factor,
    micro_batch_loss,
    minibatches,
    probe_kl,
    stop_unless_finite,
)


@dataclass(frozen=True, slots=True)
class PpoTrainer:
    """What lives across the steps of one rank: that of GRPO, and a critic."""

    config: PpoConfig
    actor: Trainer[GrpoConfig]
    critic: RewardModel
    critic_optimizers: Optimizers


def train(ctx: StageContext[PpoConfig]) -> StageResult:
    """Train a policy from the input `model`; the output is a plain HF folder of the policy."""
    trainer = build_ppo_trainer(ctx)

    def update_both(rolled: Rollout, step: int) -> PpoMetrics:
        valued = value_samples(
            rolled.trained,
            critic=trainer.critic,
            reference=trainer.actor.reference,
            config=ctx.config,
            ranks=ctx.ranks,
        )
        updated = update(trainer, valued, step)
        refresh_reference(trainer.actor, step)
        return updated

    return run_steps(trainer.actor, rollout, update_both)


def build_ppo_trainer(ctx: StageContext[PpoConfig]) -> PpoTrainer:
    """Everything that GRPO has, and a critic with the body of the same model."""
    config = ctx.config
    actor = build_trainer(ctx)
    critic = reward_model_of(ctx.inputs["model"], dtype=getattr(torch, config.dtype)).model
    critic_optimizers = adamw(
        critic,
        lr=config.critic.learning_rate,
        beta2=config.adam_beta2,
        weight_decay=config.weight_decay,
    )
    actor.more_state = {
        **actor.more_state,
        "critic": critic,
        "critic_optimizers": critic_optimizers,
    }
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
    factor = lr_factor(config, step)
    for index, minibatch in enumerate(minibatches(valued.samples, config, ranks, step)):
        if not accumulate_gradients(trainer, valued, minibatch, metrics, index, step):
            continue
        if step > config.critic.warmup_steps:
            metrics.grad_norm += apply_gradient(
                actor.policy, actor.optimizers, config, ranks, factor, step
            )
        metrics.value_grad_norm += apply_gradient(
            trainer.critic, trainer.critic_optimizers, config, ranks, factor, step
        )
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
            stop_unless_finite(losses.loss, "policy loss", batch, step)
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
        stop_unless_finite(losses.loss, "value loss", batch, step)
        losses.loss.backward()
        metrics.value_loss += losses.loss.item()
        metrics.value_num_clipped += losses.num_clipped.item()
    critic.backward()


def finished(metrics: PpoMetrics, valued: Valued, ranks: Ranks) -> PpoMetrics:
    """The sums over all ranks."""
    metrics.ref_kl_sum += valued.ref_kl.total
    metrics.ref_num_tokens += valued.ref_kl.count
    metrics.value_loss, metrics.value_num_clipped = ranks.sum(
        metrics.value_loss, metrics.value_num_clipped
    )
    add_ranks(metrics, ranks)
    return metrics
