"""Reward models (arXiv 2501.12948v2, 3.1): helpfulness from pairs, harmlessness from labels.

Pairwise: Bradley-Terry on two replies to one prompt, of which only the final summaries are read.
Point-wise: safe or unsafe, read from the whole response. The data stage decides what stands in the
rows; here every row is prompt and text. A part of the rows is held back and never trained on.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from aha.algorithms.preference import (
    PreferenceLoss,
    bradley_terry_loss,
    calibration_error,
    pointwise_loss,
    preference_probability,
)
from aha.errors import HealthError, UserError
from aha.model.reward_model import RewardModel, reward_model_of, write_reward_model
from aha.model.tokenizer import Tokenizer
from aha.pipeline.files import read_jsonl
from aha.pipeline.stage import StageContext, StageResult
from aha.trainers.checkpoint import load_checkpoint, save_checkpoint
from aha.trainers.config import RewardModelConfig
from aha.trainers.optim import Optimizers, adamw, learning_rate_factor
from aha.trainers.preference import score_rows, text_ids

FILES = {"pairwise": "pairs.jsonl", "pointwise": "labels.jsonl"}
KEYS = {"pairwise": ("prompt", "chosen", "rejected"), "pointwise": ("prompt", "response", "safe")}
MIN_ROWS = 8


@dataclass(frozen=True, slots=True)
class Example:
    """Token rows of one pair (chosen, rejected), or of one labelled response."""

    prompt: str
    rows: tuple[list[int], ...]
    safe: bool = True


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Quality of a reward model on rows it was not trained on."""

    accuracy: float
    calibration_error: float
    num_rows: int
    of_label: Mapping[str, "HeldBack"] = field(default_factory=dict)
    """Of the safe and of the unsafe responses alone: most are safe, so calling all of them safe
    looks accurate."""

    @property
    def stderr(self) -> float:
        """Of the accuracy."""
        return float((self.accuracy * (1 - self.accuracy) / max(1, self.num_rows)) ** 0.5)

    def metrics(self) -> dict[str, float]:
        return {
            "eval/accuracy": self.accuracy,
            "eval/accuracy_stderr": self.stderr,
            "eval/accuracy_n": self.num_rows,
            "eval/calibration_error": self.calibration_error,
            **{
                f"{name}_{label}": part.metrics()[name]
                for label, part in self.of_label.items()
                for name in ("eval/accuracy", "eval/accuracy_n")
            },
        }


def train(ctx: StageContext[RewardModelConfig]) -> StageResult:
    """Train from the body of `model` on the rows of `data`; the output is a HF folder."""
    config, ranks = ctx.config, ctx.ranks
    linear_dtype = torch.bfloat16 if config.dtype == "bfloat16" else None
    loaded = reward_model_of(ctx.inputs["model"], linear_dtype=linear_dtype)
    model, tokenizer = loaded.model, loaded.tokenizer
    trained, held_back = split(examples(ctx.inputs["data"], config, tokenizer), config)
    optimizers = adamw(model, lr=config.learning_rate, beta2=0.95, weight_decay=config.weight_decay)
    if ctx.resume_from is not None:
        load_checkpoint(ctx.resume_from, model, optimizers)
    steps_per_epoch = max(1, len(trained) // config.batch_rows)
    num_steps = steps_per_epoch * config.epochs
    ctx.log.note(f"{len(trained):,} rows, {len(held_back):,} held back, {num_steps:,} updates")
    for step in range(ctx.resume_step + 1, num_steps + 1):
        batch = ranks.share(batch_of(trained, config, step, steps_per_epoch))
        total = update(ctx, model, optimizers, batch, step, num_steps)
        metrics: dict[str, Any] = {"step": step, **total}
        if step == num_steps or step % config.eval_every == 0:
            metrics |= measure(ctx, model, held_back).metrics()
        ctx.append("metrics.jsonl", metrics)
        ctx.log.step(step, num_steps, {k: v for k, v in total.items() if k != "optim/lr"})
        if step % config.save_every == 0 and step < num_steps:
            ctx.save_checkpoint(
                step, lambda folder: save_checkpoint(folder, model, tokenizer, optimizers), keep=2
            )
    quality = measure(ctx, model, held_back)
    ctx.publish("model", lambda folder: write_reward_model(folder, model, tokenizer))
    ctx.log.note(
        f"held back: {quality.accuracy:.1%} +- {quality.stderr:.1%} right of {quality.num_rows:,}, "
        f"calibration error {quality.calibration_error:.3f}"
    )
    return StageResult(output="model", summary={"rows": len(trained), **quality.metrics()})


def update(
    ctx: StageContext[RewardModelConfig],
    model: RewardModel,
    optimizers: Optimizers,
    batch: Sequence[Example],
    step: int,
    num_steps: int,
) -> dict[str, float]:
    """One optimizer step on this rank's share of a batch; the metrics of all ranks."""
    config = ctx.config
    (num_rows,) = ctx.ranks.sum(len(batch))
    value, right = 0.0, 0
    if batch:
        result = loss_of(model, batch, config, denominator=num_rows)
        result.loss.backward()
        value, right = result.loss.item(), result.num_right
    ctx.ranks.sum_gradients(model.parameters())
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip or 1e9)
    if not torch.isfinite(norm):
        raise HealthError(f"the loss is not finite at step {step}", hint="lower learning_rate")
    factor = learning_rate_factor(
        step, num_steps=num_steps, warmup_steps=config.warmup_steps, schedule="cosine"
    )
    optimizers.step(factor)
    loss, num_right = ctx.ranks.sum(value, right)
    return {
        "loss/preference": loss,
        "accuracy": num_right / max(1.0, num_rows),
        "grad_norm": norm.item(),
        "optim/lr": factor * config.learning_rate,
    }


def loss_of(
    model: RewardModel, batch: Sequence[Example], config: RewardModelConfig, *, denominator: float
) -> PreferenceLoss:
    """The loss of some examples."""
    scores = scores_of(model, batch, config)
    if config.kind == "pairwise":
        return bradley_terry_loss(scores[0::2], scores[1::2], denominator=denominator)
    safe = torch.tensor([example.safe for example in batch])
    return pointwise_loss(scores, safe, denominator=denominator)


def scores_of(
    model: RewardModel, batch: Sequence[Example], config: RewardModelConfig
) -> torch.Tensor:
    """Scores of all rows of the examples, in order."""
    rows = [row for example in batch for row in example.rows]
    return score_rows(model, rows, tokens_per_microbatch=config.tokens_per_microbatch)


@torch.inference_mode()
def measure(
    ctx: StageContext[RewardModelConfig], model: RewardModel, held_back: Sequence[Example]
) -> HeldBack:
    """Accuracy and calibration on the held-back rows, of all ranks together."""
    mine = ctx.ranks.share(held_back)
    own = scores_of(model, mine, ctx.config).tolist()
    scores = torch.tensor([score for part in ctx.ranks.gather(own) for score in part])
    if ctx.config.kind == "pairwise":
        return ranked(scores[0::2], scores[1::2])
    return labelled(scores, torch.tensor([example.safe for example in held_back]))


def ranked(chosen_N: torch.Tensor, rejected_N: torch.Tensor) -> HeldBack:
    """How well the scores of pairs rank them."""
    probability_N = preference_probability(chosen_N, rejected_N)
    both = torch.cat((probability_N, 1 - probability_N))
    truth = torch.cat((torch.ones_like(probability_N), torch.zeros_like(probability_N)))
    accuracy = float((chosen_N > rejected_N).double().mean())
    return HeldBack(accuracy, calibration_error(both, truth), len(chosen_N))


def labelled(score_N: torch.Tensor, safe_N: torch.Tensor) -> HeldBack:
    """How well the signs of scores tell safe from unsafe, each label also alone."""

    def part(chosen_N: torch.Tensor) -> HeldBack:
        score, safe = score_N[chosen_N], safe_N[chosen_N]
        error = calibration_error(torch.sigmoid(score), safe)
        return HeldBack(float(((score > 0) == safe).double().mean()), error, len(score))

    labels = {"safe": safe_N, "unsafe": ~safe_N}
    of_label = {label: part(is_N) for label, is_N in labels.items() if is_N.any()}
    return replace(part(torch.ones_like(safe_N)), of_label=of_label)


def examples(folder: Path, config: RewardModelConfig, tokenizer: Tokenizer) -> list[Example]:
    """The rows of the data folder as token ids. Raises UserError for a row that lacks a key."""
    path = folder / FILES[config.kind] if folder.is_dir() else folder
    found = []
    for number, row in enumerate(read_jsonl(path), start=1):
        missing = [key for key in KEYS[config.kind] if key not in row]
        if missing:
            raise UserError(
                f"{path}, line {number}: no {missing[0]!r}",
                hint=f"rows for kind={config.kind} have {', '.join(KEYS[config.kind])}",
            )
        texts = ("chosen", "rejected") if config.kind == "pairwise" else ("response",)
        ids = tuple(
            text_ids(
                tokenizer, config.template, row["prompt"], row[text], max_tokens=config.max_tokens
            )
            for text in texts
        )
        found.append(Example(row["prompt"], ids, bool(row.get("safe", True))))
    if len(found) < MIN_ROWS:
        raise UserError(
            f"{path} has {len(found)} rows: too few to train on and to measure with",
            hint="collect more preferences",
        )
    return found


def split(
    found: Sequence[Example], config: RewardModelConfig
) -> tuple[list[Example], list[Example]]:
    """Rows to train on and the fold to measure with; all rows of one prompt go to one side."""
    prompts = sorted({example.prompt for example in found})
    random.Random(f"split/{config.seed}").shuffle(prompts)
    count = max(1, round(len(prompts) * config.held_back_fraction))
    kept_back = set(prompts[config.fold * count : (config.fold + 1) * count])
    if not kept_back:
        raise UserError(
            f"fold = {config.fold} holds nothing back",
            hint=f"held_back_fraction = {config.held_back_fraction:g} makes "
            f"{len(prompts) // count} folds",
        )
    trained = [example for example in found if example.prompt not in kept_back]
    held_back = [example for example in found if example.prompt in kept_back]
    if not trained:
        raise UserError(
            "all preferences are about one prompt", hint="collect them for more prompts"
        )
    return trained, held_back


def batch_of(
    trained: Sequence[Example], config: RewardModelConfig, step: int, steps_per_epoch: int
) -> list[Example]:
    """The rows of a step: every epoch in a seeded order of its own."""
    epoch, place = divmod(step - 1, steps_per_epoch)
    order = list(range(len(trained)))
    random.Random(f"{config.seed}/{epoch}").shuffle(order)
    start = place * config.batch_rows
    return [trained[index] for index in order[start : start + config.batch_rows]]
