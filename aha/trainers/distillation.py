"""On-policy distillation: sample from the student, read with the teacher, step, log, save.

arXiv 2306.13649 (GKD) with samples of the student alone and the reverse KL divergence: at every
position of its own responses the student's distribution is moved towards the teacher's, without a
gradient through the sampling. The loss is the mean over the tokens of a minibatch on all ranks,
exact over the vocabulary (`aha.algorithms.reverse_kl`). Rewards are measured and not trained on, so
tasks need no right answers. Both models read the same tokens: they have to share a tokenizer, and
the teacher reads the student's prompts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from aha.algorithms.reverse_kl import ReverseKL, reverse_kl
from aha.errors import UserError
from aha.model.decoder import Decoder, PrefixedDecoder
from aha.model.hf_folder import LoadedModel, load_model
from aha.model.tokenizer import Tokenizer
from aha.pipeline.ranks import Ranks
from aha.pipeline.stage import StageContext, StageResult
from aha.tasks.registry import load_task
from aha.trainers.batch import MicroBatch, micro_batches
from aha.trainers.distillation_config import DistillationConfig
from aha.trainers.loop import Rollout, Trainer, draw, run_steps
from aha.trainers.optim import build_optimizers
from aha.trainers.rollouts import REWARD_PARTS, Sample
from aha.trainers.update import (
    apply_gradient,
    behind_prefix,
    lr_factor,
    minibatches,
    sampled_states,
    stop_unless_finite,
)

Student = Trainer[DistillationConfig]


def train(ctx: StageContext[DistillationConfig]) -> StageResult:
    """Train the input `model` towards the input `teacher`; the output is a plain HF folder."""
    dtype = getattr(torch, ctx.config.dtype)
    teacher = load_model(ctx.inputs["teacher"], dtype=dtype)
    student = build_student(ctx, load_model(ctx.inputs["model"], dtype=dtype))
    check_same_words(student.prompter.tokenizer, teacher.tokenizer)
    frozen = teacher.model.requires_grad_(False)

    def update(rolled: Rollout, step: int) -> DistillationMetrics:
        return update_student(student, frozen, rolled.trained, step)

    return run_steps(student, rollout, update)


def build_student(ctx: StageContext[DistillationConfig], loaded: LoadedModel) -> Student:
    """Set up everything around the student."""
    return Trainer.around(
        ctx,
        loaded,
        optimizers=build_optimizers(loaded.model, ctx.config),
        tasks=[load_task(name) for name in ctx.config.task],
        reward_parts=REWARD_PARTS,
    )


def check_same_words(student: Tokenizer, teacher: Tokenizer) -> None:
    """Distributions over different words cannot be compared, nor texts that end differently."""
    words, theirs = (t.backend.get_vocab(with_added_tokens=True) for t in (student, teacher))
    hint = "choose a student of the teacher's family, or fine-tune on its samples: method=sft"
    if words != theirs:
        differing = len(words.items() ^ theirs.items())
        raise UserError(
            f"student and teacher have different tokenizers ({len(words):,} and {len(theirs):,} "
            f"tokens, {differing:,} differ): on-policy distillation compares them token by token",
            hint=hint,
        )
    if not set(student.eos_token_ids) & set(teacher.eos_token_ids):
        raise UserError(
            f"the student ends a text with the tokens {list(student.eos_token_ids)}, "
            f"the teacher with {list(teacher.eos_token_ids)}",
            hint=hint,
        )


def rollout(student: Student, step: int) -> Rollout:
    """Sample and judge; the judgement is only measured."""
    drawn = draw(student, student.ctx.config.prompts_per_step, step)
    return Rollout(drawn, drawn)


@dataclass(slots=True)
class DistillationMetrics:
    """Sums over the micro-batches of a step; `row` divides them."""

    num_tokens: float = 0.0
    kl_sum: float = 0.0
    entropy_sum: float = 0.0
    grad_norm: float = 0.0
    lr: float = 0.0
    num_updates: int = 0

    def row(self) -> dict[str, float]:
        """Metric names of the run directory."""
        tokens = max(1.0, self.num_tokens)
        return {
            "rollout/entropy": self.entropy_sum / tokens,
            "loss/reverse_kl": self.kl_sum / tokens,
            "grad_norm": self.grad_norm / max(1, self.num_updates),
            "optim/lr": self.lr,
        }


def update_student(
    student: Student, teacher: Decoder, samples: Sequence[Sample], step: int
) -> DistillationMetrics:
    """All optimizer updates of one rollout; `samples` are this rank's."""
    config, ranks = student.ctx.config, student.ctx.ranks
    metrics, factor = DistillationMetrics(), lr_factor(config, step)
    for minibatch in minibatches(samples, config, ranks, step):
        if accumulate_gradient(student, teacher, minibatch, metrics, step):
            metrics.grad_norm += apply_gradient(
                student.policy, student.optimizers, config, ranks, factor, step
            )
            metrics.num_updates += 1
    metrics.lr = config.learning_rate * factor
    return on_all(metrics, ranks)


def accumulate_gradient(
    student: Student,
    teacher: Decoder,
    minibatch: Sequence[Sample],
    metrics: DistillationMetrics,
    step: int,
) -> int:
    """Add a minibatch's gradient and metrics; returns its tokens on all ranks.

    A sample's `reward` becomes what is wrong with it: minus the mean divergence of its tokens.
    """
    config = student.ctx.config
    own_tokens = sum(sample.length_tokens for sample in minibatch)
    num_tokens = int(student.ctx.ranks.sum(own_tokens)[0])
    if not num_tokens:
        return 0
    batches = list(micro_batches(minibatch, max_tokens=config.tokens_per_microbatch))
    learning, frozen = behind_prefix(student.policy, batches), behind_prefix(teacher, batches)
    for batch in batches:
        found = divergence(learning, frozen, batch, config.temperature)
        loss = found.total / num_tokens
        stop_unless_finite(loss, "loss", batch, step)
        loss.backward()
        metrics.num_tokens += batch.num_tokens
        metrics.kl_sum += found.total.item()
        metrics.entropy_sum += found.entropy_N.sum().item()
        of_sample = found.kl_N.split([sample.length_tokens for sample in batch.samples])
        for sample, kl_T in zip(batch.samples, of_sample, strict=True):
            sample.reward = -kl_T.mean().item()
    learning.backward()
    return num_tokens


def divergence(
    student: PrefixedDecoder, teacher: PrefixedDecoder, batch: MicroBatch, temperature: float
) -> ReverseKL:
    """Of the positions that the batch's tokens were sampled at, row by row."""
    hidden_ND = sampled_states(student, batch)
    with torch.no_grad():
        teacher_NE = sampled_states(teacher, batch)
    return reverse_kl(
        hidden_ND,
        student.model.head_weight,
        teacher_NE,
        teacher.model.head_weight,
        temperature=temperature,
    )


def on_all(metrics: DistillationMetrics, ranks: Ranks) -> DistillationMetrics:
    """The same sums over all ranks."""
    own = (metrics.num_tokens, metrics.kl_sum, metrics.entropy_sum)
    metrics.num_tokens, metrics.kl_sum, metrics.entropy_sum = ranks.sum(*own)
    return metrics
