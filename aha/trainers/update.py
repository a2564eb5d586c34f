"""The updates of a GRPO step: minibatches, each split into micro-batches that fit into memory.

The loss denominator is counted over a minibatch on all ranks, so neither the split into
micro-batches nor the number of ranks changes the gradient.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from aha.algorithms.grpo import PolicyLoss, loss_denominator, policy_loss
from aha.errors import HealthError
from aha.model.decoder import Decoder, PrefixedDecoder
from aha.model.head import sampled_logprobs
from aha.pipeline.ranks import Ranks
from aha.trainers.batch import MicroBatch, micro_batches
from aha.trainers.config import GrpoConfig
from aha.trainers.optim import Optimizers, learning_rate_factor
from aha.trainers.rollout_config import RolloutConfig
from aha.trainers.rollouts import Sample

KL_PROBE_ROWS = 16
"""Responses a rank measures the KL on when it is not part of the loss."""


@dataclass(slots=True)
class UpdateMetrics:
    """Sums over the micro-batches of a step; `row` divides them."""

    num_tokens: float = 0.0
    loss: float = 0.0
    kl_loss: float = 0.0
    num_clipped: float = 0.0
    old_kl_sum: float = 0.0
    ref_kl_sum: float = 0.0
    ref_num_tokens: float = 0.0
    entropy_sum: float = 0.0
    ratio_max_abs_log: float = 0.0
    """Of the first minibatch: the policy that is trained is still the one that sampled."""
    grad_norm: float = 0.0
    lr: float = 0.0
    num_updates: int = 0

    def row(self) -> dict[str, float]:
        """Metric names of the run directory."""
        tokens, updates = max(1.0, self.num_tokens), max(1, self.num_updates)
        return {
            "rollout/entropy": self.entropy_sum / tokens,
            "loss/policy": self.loss / updates,
            "loss/kl": self.kl_loss / updates,
            "kl": self.ref_kl_sum / max(1.0, self.ref_num_tokens),
            "old_kl": self.old_kl_sum / tokens,
            "clip_fraction": self.num_clipped / tokens,
            "ratio_max_abs_log": self.ratio_max_abs_log,
            "grad_norm": self.grad_norm / updates,
            "optim/lr": self.lr,
        }


def update_policy(
    samples: Sequence[Sample],
    *,
    policy: Decoder,
    reference: Decoder | None,
    optimizers: Optimizers,
    config: GrpoConfig,
    ranks: Ranks,
    step: int,
) -> UpdateMetrics:
    """All optimizer updates of one rollout; `samples` are this rank's."""
    metrics = UpdateMetrics()
    factor = lr_factor(config, step)
    for index, minibatch in enumerate(minibatches(samples, config, ranks, step)):
        num_tokens = accumulate_gradient(
            minibatch, metrics, index, policy, reference, config, ranks, step
        )
        if num_tokens:
            metrics.grad_norm += apply_gradient(policy, optimizers, config, ranks, factor, step)
            metrics.num_updates += 1
    metrics.lr = config.learning_rate * factor
    return add_ranks(metrics, ranks)


def minibatches(
    samples: Sequence[Sample], config: RolloutConfig, ranks: Ranks, step: int
) -> list[list[Sample]]:
    """This rank's samples in a random order, cut into the updates of a step."""
    shuffled = list(samples)
    random.Random(f"{config.seed}/minibatches/{step}/{ranks.rank}").shuffle(shuffled)
    cuts = [len(shuffled) * i // config.minibatches for i in range(config.minibatches + 1)]
    return [shuffled[start:end] for start, end in pairwise(cuts)]


def lr_factor(config: RolloutConfig, step: int) -> float:
    """What the learning rates of a step are multiplied by."""
    return learning_rate_factor(
        step,
        num_steps=config.num_steps,
        warmup_steps=config.warmup_steps,
        schedule=config.lr_schedule,
    )


def apply_gradient(
    model: Decoder,
    optimizers: Optimizers,
    config: RolloutConfig,
    ranks: Ranks,
    factor: float,
    step: int,
) -> float:
    """One optimizer update with the gradient of all ranks; returns its norm before clipping."""
    ranks.sum_gradients(model.parameters())
    norm = clip_gradient(model, config.grad_clip, step)
    optimizers.step(factor)
    return norm


def accumulate_gradient(
    minibatch: Sequence[Sample],
    metrics: UpdateMetrics,
    index: int,
    policy: Decoder,
    reference: Decoder | None,
    config: GrpoConfig,
    ranks: Ranks,
    step: int,
) -> int:
    """Add a minibatch's gradient and metrics; returns its tokens on all ranks."""
    trained = [sample for sample in minibatch if is_trained_on(sample, config)]
    own_tokens = sum(sample.length_tokens for sample in trained)
    num_sequences, num_tokens = map(int, ranks.sum(len(trained), own_tokens))
    if not num_tokens:
        return 0
    denominator = loss_denominator(
        config.loss_aggregation,
        num_sequences=num_sequences,
        num_tokens=num_tokens,
        max_tokens=config.max_new_tokens,
    )
    batches = list(micro_batches(trained, max_tokens=config.tokens_per_microbatch))
    learning = behind_prefix(policy, batches)
    frozen = behind_prefix(reference, batches) if reference is not None else None
    for batch in batches:
        losses, entropy_sum = micro_batch_loss(batch, learning, frozen, config, denominator)
        stop_unless_finite(losses.loss, "loss", batch, step)
        losses.loss.backward()
        add_losses(metrics, losses, entropy_sum, config, first=index == 0)
    learning.backward()
    if not config.kl_coef and reference is not None and index == 0:
        probe_kl(minibatch[:KL_PROBE_ROWS], metrics, policy, reference, config)
    return num_tokens


def stop_unless_finite(loss: Tensor, what: str, batch: MicroBatch, step: int) -> None:
    """A loss that is not finite ends the run before the optimizer sees it."""
    if not torch.isfinite(loss):
        raise HealthError(
            f"the {what} is {loss.item()} at step {step}, in a micro-batch of "
            f"{len(batch.samples)} responses, the first to {batch.samples[0].problem.id}",
            hint="start anew from its last checkpoint with a lower learning_rate",
        )


def is_trained_on(sample: Sample, config: GrpoConfig) -> bool:
    """Not without a verdict, and not cut off where `overlong` says so (DAPO section 3.4)."""
    return sample.verdict.is_scored and not (
        "mask" in config.length_measures and sample.is_truncated
    )


def behind_prefix(model: Decoder, batches: Sequence[MicroBatch]) -> PrefixedDecoder:
    """The model behind the tokens with which all rows of a minibatch begin."""
    none = torch.empty(0, dtype=torch.int64)
    return PrefixedDecoder(model, batches[0].prefix_P if batches else none)


def micro_batch_loss(
    batch: MicroBatch,
    policy: PrefixedDecoder,
    reference: PrefixedDecoder | None,
    config: GrpoConfig,
    denominator: float,
) -> tuple[PolicyLoss, float]:
    """Loss of one forward pass, and the summed entropy of its sampled positions."""
    logp_BT, entropy_sum = response_logprobs(policy, batch, config.temperature)
    ref_logp_BT = None
    if config.kl_coef and reference is not None:
        with torch.no_grad():
            ref_logp_BT, _ = response_logprobs(reference, batch, config.temperature)
    losses = policy_loss(
        logp_BT,
        batch.old_logp_BT,
        batch.advantages_B,
        batch.mask_BT,
        denominator=denominator,
        ref_logp_BT=ref_logp_BT,
        kl_coef=config.kl_weight,
        kl_estimator=config.kl_estimator,
        clip_low=config.clip_low,
        clip_high=config.clip_high,
        ratio_level=config.ratio_level,
        surrogate=config.surrogate,
        aggregation=config.loss_aggregation,
    )
    return losses, entropy_sum


def response_logprobs(
    prefixed: PrefixedDecoder, batch: MicroBatch, temperature: float
) -> tuple[Tensor, float]:
    """Log-probs [B, T] of the sampled tokens (0 elsewhere) and their positions' summed entropy."""
    hidden_BTD = prefixed(batch.tokens_BT)
    mask_BT = batch.mask_BT
    sampled_N = mask_BT.flatten().nonzero()[:, 0]
    logp_N, entropy_N = sampled_logprobs(
        hidden_BTD.flatten(0, 1),
        sampled_N - 1,  # a state predicts the token after it
        prefixed.model.head_weight,
        batch.tokens_BT.flatten()[sampled_N],
        temperature,
    )
    logp_BT = torch.zeros_like(batch.old_logp_BT).masked_scatter(mask_BT, logp_N)
    return logp_BT, entropy_N.sum().item()


def sampled_states(prefixed: PrefixedDecoder, batch: MicroBatch) -> Tensor:
    """The states [N, D] that predict the sampled tokens: each is that of the token before."""
    return prefixed(batch.tokens_BT)[:, :-1][batch.mask_BT[:, 1:]]


def add_losses(
    metrics: UpdateMetrics,
    losses: PolicyLoss,
    entropy_sum: float,
    config: GrpoConfig,
    *,
    first: bool,
) -> None:
    """Add one micro-batch's sums."""
    metrics.num_tokens += losses.num_tokens.item()
    metrics.loss += losses.policy_loss.item()
    metrics.kl_loss += losses.kl_loss.item()
    metrics.num_clipped += losses.num_clipped.item()
    metrics.old_kl_sum += losses.old_kl_sum.item()
    metrics.entropy_sum += entropy_sum
    if config.kl_coef:
        metrics.ref_kl_sum += losses.ref_kl_sum.item()
        metrics.ref_num_tokens += losses.num_tokens.item()
    if first:
        largest = losses.ratio_max_abs_log.item()
        metrics.ratio_max_abs_log = max(metrics.ratio_max_abs_log, largest)


@torch.no_grad()
def probe_kl(
    samples: Sequence[Sample],
    metrics: UpdateMetrics,
    policy: Decoder,
    reference: Decoder,
    config: GrpoConfig,
) -> None:
    """Measure KL(policy || reference) on a few responses when the loss has no KL term."""
    from aha.algorithms.kl import kl_estimate

    batches = list(micro_batches(samples, max_tokens=config.tokens_per_microbatch))
    mine, theirs = behind_prefix(policy, batches), behind_prefix(reference, batches)
    for batch in batches:
        logp_BT, _ = response_logprobs(mine, batch, config.temperature)
        ref_logp_BT, _ = response_logprobs(theirs, batch, config.temperature)
        kl_BT = kl_estimate(logp_BT, ref_logp_BT, estimator="k3")
        metrics.ref_kl_sum += kl_BT[batch.mask_BT].sum().item()
        metrics.ref_num_tokens += batch.num_tokens


def clip_gradient(policy: Decoder, grad_clip: float | None, step: int) -> float:
    """Norm of the gradient before clipping; a gradient that is not finite stops the run."""
    limit = grad_clip if grad_clip is not None else float("inf")
    norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), limit, foreach=True).item()
    if not norm < float("inf"):
        raise HealthError(
            f"the gradient is not finite at step {step}",
            hint="start anew from its last checkpoint with a lower learning_rate",
        )
    return norm


def add_ranks(metrics: UpdateMetrics, ranks: Ranks) -> UpdateMetrics:
    """The same sums over all ranks."""
    names = (
        *("num_tokens", "loss", "kl_loss", "num_clipped", "old_kl_sum"),
        *("ref_kl_sum", "ref_num_tokens", "entropy_sum"),
    )
    totals = ranks.sum(*(getattr(metrics, name) for name in names))
    for name, total in zip(names, totals, strict=True):
        setattr(metrics, name, total)
    metrics.ratio_max_abs_log = max(ranks.gather(metrics.ratio_max_abs_log))
    return metrics
