"""Supervised fine-tuning: pack, loss on what the assistant says, update, log, save.

arXiv 2501.12948v2, appendix B.4.2: two to three epochs, cosine to a tenth of the peak; no sample
sees another. The loss is the mean over the trained tokens of a whole step, so neither the rows of a
micro-batch nor the number of ranks changes the gradient.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from aha.algorithms.sft import sum_cross_entropy
from aha.data.conversations import TokenSample
from aha.errors import HealthError, UserError
from aha.model.decoder import Decoder
from aha.model.hf_folder import load_model, write_model
from aha.model.tokenizer import Tokenizer
from aha.pipeline.stage import StageContext, StageResult
from aha.trainers.checkpoint import load_checkpoint, save_checkpoint
from aha.trainers.config import SftConfig
from aha.trainers.optim import Optimizers, build_optimizers, learning_rate_factor
from aha.trainers.packed import packed_batch, packed_hidden
from aha.trainers.sft_data import (
    Dataset,
    Row,
    load_dataset,
    micro_batches,
    pack_rows,
    show_mask,
)
from aha.trainers.suites import are_due, suite_metrics
from aha.trainers.update import clip_gradient


@dataclass(slots=True)
class Trainer:
    """What lives across the steps of one rank."""

    ctx: StageContext[SftConfig]
    model: Decoder
    tokenizer: Tokenizer
    optimizers: Optimizers
    data: Dataset
    num_steps: int
    seen: dict[str, int] = field(default_factory=lambda: {"tokens": 0, "trained_tokens": 0})
    """Tokens of all steps so far, on all ranks, padding not counted."""
    eval_loss: float | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """A step in numbers, over all ranks."""

    loss: float
    grad_norm: float
    lr_factor: float
    padding_fraction: float
    num_tokens: int


def train(ctx: StageContext[SftConfig]) -> StageResult:
    """Train the input `model` on the input `data`; the output is a plain HF folder."""
    trainer = build_trainer(ctx)
    if ctx.resume_from is not None:
        restore(trainer)
    elif before := metrics_before(trainer):
        ctx.append("metrics.jsonl", {"step": 0, **before})
    for step in range(ctx.resume_step + 1, trainer.num_steps + 1):
        started = time.perf_counter()
        updated = update(trainer, step)
        report(trainer, updated, step, time.perf_counter() - started)
        if step % ctx.config.save_every == 0 and step < trainer.num_steps:
            save(trainer, step)
    ctx.publish("model", lambda folder: write_model(folder, trainer.model, trainer.tokenizer))
    return StageResult(output="model", summary=summary(trainer, updated))


def metrics_before(trainer: Trainer) -> dict[str, float]:
    """What is known of the model before the first step."""
    loss = {"eval/loss": validation_loss(trainer)} if trainer.data.validation else {}
    return loss | suite_metrics(trainer.ctx, trainer.model, trainer.tokenizer)


def build_trainer(ctx: StageContext[SftConfig]) -> Trainer:
    """Load the model, render, pack and show the data."""
    config = ctx.config
    loaded = load_model(
        ctx.inputs["model"],
        dtype=torch.float32,
        linear_dtype=torch.bfloat16 if config.dtype == "bfloat16" else None,
    )
    data = load_dataset(ctx, loaded.tokenizer, context_tokens=loaded.config.max_positions)
    num_steps = config.num_steps or config.epochs * data.steps_per_epoch
    ctx.log.note(data.sentence(num_steps))
    show_mask(ctx, data, loaded.tokenizer)
    return Trainer(
        ctx=ctx,
        model=loaded.model,
        tokenizer=loaded.tokenizer,
        optimizers=build_optimizers(loaded.model, config),
        data=data,
        num_steps=num_steps,
    )


def update(trainer: Trainer, step: int) -> Update:
    """One optimizer update on the samples of a step."""
    config, ranks, data = trainer.ctx.config, trainer.ctx.ranks, trainer.data
    samples = data.batch(step)
    num_tokens = sum(sample.num_tokens for sample in samples)
    num_trained = sum(sample.num_trained for sample in samples)
    # Longest first, each rank every n-th: the ranks get about the same number of tokens.
    rows = pack_rows(samples[ranks.rank :: ranks.world_size], data.row_tokens)
    own_loss = accumulate_gradient(trainer, rows, num_trained, step)
    ranks.sum_gradients(trainer.model.parameters())
    loss, num_rows = ranks.sum(own_loss, len(rows))
    grad_norm = clip_gradient(trainer.model, config.grad_clip, step)
    factor = learning_rate_factor(
        step,
        num_steps=trainer.num_steps,
        warmup_steps=round(config.warmup_fraction * trainer.num_steps),
        schedule=config.lr_schedule,
    )
    trainer.optimizers.step(factor)
    trainer.seen["tokens"] += num_tokens
    trainer.seen["trained_tokens"] += num_trained
    padding_fraction = 1 - num_tokens / (num_rows * data.row_tokens)
    return Update(loss, grad_norm, factor, padding_fraction, num_tokens)


def accumulate_gradient(
    trainer: Trainer, rows: Sequence[Row], denominator: int, step: int
) -> float:
    """Add the gradient of this rank's rows; returns their share of the step's loss."""
    total = 0.0
    for samples in micro_batches(rows, max_tokens=trainer.ctx.config.tokens_per_microbatch):
        loss = sum_loss(trainer.model, samples) / denominator
        if not torch.isfinite(loss):
            names = ", ".join(sample.id for sample in samples[:3])
            raise HealthError(
                f"the loss is {loss.item()} at step {step}, in a micro-batch of {len(samples)} "
                f"samples: {names} ...",
                hint="start anew from its last checkpoint with a lower learning_rate",
            )
        loss.backward()
        total += loss.item()
    return total


def sum_loss(model: Decoder, samples: Sequence[TokenSample]) -> Tensor:
    """Summed cross-entropy of the trained tokens, each predicted from its own sample alone."""
    batch = packed_batch(samples)
    hidden_ND = packed_hidden(model, batch)
    is_next_N = batch.is_trained_N[1:]  # never the first token of a sample
    targets = batch.tokens_N[1:][is_next_N]
    return sum_cross_entropy(hidden_ND[:-1][is_next_N], model.head_weight, targets)


@torch.inference_mode()
def validation_loss(trainer: Trainer) -> float:
    """Mean loss of the trained tokens of samples that are held back."""
    ctx, held_back = trainer.ctx, trainer.data.validation
    rows = pack_rows(ctx.ranks.share(held_back), trainer.data.row_tokens)
    batches = micro_batches(rows, max_tokens=ctx.config.tokens_per_microbatch)
    own = sum(sum_loss(trainer.model, samples).item() for samples in batches)
    (total,) = ctx.ranks.sum(own)
    return total / sum(sample.num_trained for sample in held_back)


def report(trainer: Trainer, updated: Update, step: int, seconds: float) -> None:
    """Write the step's metrics and timing and print its line."""
    ctx, config, data = trainer.ctx, trainer.ctx.config, trainer.data
    metrics: dict[str, Any] = {
        "step": step,
        "epoch": round(step / data.steps_per_epoch, 4),
        "loss/sft": updated.loss,
        "grad_norm": updated.grad_norm,
        "optim/lr": updated.lr_factor * config.learning_rate,
        "padding_fraction": updated.padding_fraction,
        **trainer.seen,
    }
    times = {"time/train_seconds": seconds}
    every = config.eval_every or data.steps_per_epoch
    if data.validation and (step % every == 0 or step == trainer.num_steps):
        started = time.perf_counter()
        metrics["eval/loss"] = trainer.eval_loss = validation_loss(trainer)
        times["time/eval_seconds"] = time.perf_counter() - started
    if are_due(config, step, trainer.num_steps):
        started = time.perf_counter()
        metrics |= suite_metrics(ctx, trainer.model, trainer.tokenizer)
        times["time/suites_seconds"] = time.perf_counter() - started
    ctx.append("metrics.jsonl", metrics)
    times["time/step_seconds"] = sum(times.values())
    rate = updated.num_tokens / max(seconds, 1e-9)
    row = {name: round(value, 3) for name, value in times.items()}
    ctx.append("timing.jsonl", {"step": step, **row, "tokens_per_second": round(rate, 1)})
    columns: dict[str, float | str] = {
        "loss": updated.loss,
        "eval": "" if "eval/loss" not in metrics else f"{metrics['eval/loss']:.3f}",
        "grad_norm": updated.grad_norm,
        "lr": metrics["optim/lr"],
        "tokens/s": f"{rate:.0f}",
    }
    ctx.log.step(step, trainer.num_steps, columns)


def save(trainer: Trainer, step: int) -> None:
    """A checkpoint from which the run continues bit for bit: the seed names every order."""
    extra = {"seen": trainer.seen, "cursor": trainer.data.cursor(step)}
    trainer.ctx.save_checkpoint(
        step,
        lambda folder: save_checkpoint(
            folder, trainer.model, trainer.tokenizer, trainer.optimizers, extra
        ),
        keep=trainer.ctx.config.keep_checkpoints,
    )


def restore(trainer: Trainer) -> None:
    """Continue from `resume_from`, at the sample where it stopped."""
    ctx = trainer.ctx
    assert ctx.resume_from is not None
    extra = load_checkpoint(ctx.resume_from, trainer.model, trainer.optimizers)
    if extra["cursor"] != trainer.data.cursor(ctx.resume_step):
        raise UserError(
            f"{ctx.inputs['data']} is not the data that {ctx.resume_from} was trained on",
            hint=f"delete {ctx.directory} to train anew",
        )
    trainer.seen = extra["seen"]


def summary(trainer: Trainer, updated: Update) -> dict[str, Any]:
    """Numbers for DONE.json."""
    return {
        "loss": updated.loss,
        **({} if trainer.eval_loss is None else {"eval_loss": trainer.eval_loss}),
        "steps": trainer.num_steps,
        **trainer.seen,
        **trainer.data.counts(),
    }
