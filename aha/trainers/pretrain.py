"""Pre-training of the embedded base model: next-token prediction on the generated corpus.

Every row of a step is its own random stream, so that the data depend on neither the number of ranks
nor on where a run was interrupted.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from aha.errors import HealthError
from aha.model.config import ModelConfig
from aha.model.decoder import Decoder
from aha.model.hf_folder import save_model
from aha.model.kernels import dense
from aha.model.tokenizer import Tokenizer
from aha.pipeline.stage import StageContext, StageResult
from aha.tasks.embedded.corpus import documents
from aha.tasks.embedded.vocabulary import build_tokenizer
from aha.trainers.checkpoint import load_checkpoint, save_checkpoint
from aha.trainers.config import PretrainConfig
from aha.trainers.optim import muon_with_adamw, trapezoid_factor

VALIDATION_ROWS = 64
DECAY_FRACTION = 0.5


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of whole documents, the last one cut, each followed by the end-of-text token."""

    tokenizer: Tokenizer
    seed: int
    row_tokens: int

    def row(self, *name: object) -> list[int]:
        """Tokens of one row, one more than the model reads."""
        tokens: list[int] = []
        for text in documents(self.seed, part="/".join(map(str, name))):
            tokens += [*self.tokenizer.encode(text), *self.tokenizer.eos_token_ids]
            if len(tokens) > self.row_tokens:
                return tokens[: self.row_tokens + 1]
        raise AssertionError("the corpus is endless")

    def batch(self, step: int, rows: range) -> Tensor:
        """Token ids [rows, row_tokens + 1] of a training step."""
        return torch.tensor([self.row(step, row) for row in rows])


def train(ctx: StageContext[PretrainConfig]) -> StageResult:
    """Train from random weights; the output is a plain HF folder."""
    config = ctx.config
    tokenizer = build_tokenizer(config.seed, vocab_size=config.vocab_size)
    model = build_model(config, tokenizer)
    optimizers = muon_with_adamw(
        model, lr=config.learning_rate, embedding_lr=config.embedding_learning_rate
    )
    if ctx.resume_from is not None:
        load_checkpoint(ctx.resume_from, model, optimizers)
    rows = Rows(tokenizer, config.seed, config.row_tokens)
    my_rows = ctx.ranks.share(range(config.batch_rows))
    num_steps = config.num_steps
    for step in range(ctx.resume_step + 1, num_steps + 1):
        tokens_BT = rows.batch(step, my_rows)
        loss = next_token_loss(model, tokens_BT, denominator=config.batch_rows * config.row_tokens)
        loss.backward()
        ctx.ranks.sum_gradients(model.parameters())
        (total_loss,) = ctx.ranks.sum(loss.item())
        grad_norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip or 1e9)
        if not torch.isfinite(grad_norm):
            raise HealthError(f"the loss is not finite at step {step}", hint="lower learning_rate")
        factor = trapezoid_factor(
            step,
            num_steps=num_steps,
            warmup_steps=config.warmup_steps,
            decay_fraction=DECAY_FRACTION,
            final_fraction=config.final_lr_fraction,
        )
        optimizers.step(factor)
        report_step(ctx, model, rows, step, num_steps, total_loss, grad_norm.item(), factor)
        if step % config.save_every == 0 and step < num_steps:
            ctx.save_checkpoint(
                step,
                lambda folder: save_checkpoint(folder, model, tokenizer, optimizers),
                keep=config.keep_checkpoints,
            )
    ctx.publish("model", lambda folder: write_model(folder, model, tokenizer, config))
    return StageResult(output="model", summary={"loss": total_loss})


def build_model(config: PretrainConfig, tokenizer: Tokenizer) -> Decoder:
    """A Llama of the configured size with seeded random weights."""
    model = Decoder(
        ModelConfig(
            model_type="llama",
            vocab_size=tokenizer.vocab_size,
            hidden_size=config.width,
            intermediate_size=config.mlp_width or 3 * config.width,
            num_layers=config.layers,
            num_heads=config.heads,
            num_kv_heads=config.kv_heads or config.heads,
            head_dim=config.width // config.heads,
            max_positions=config.context_tokens,
            eos_token_ids=tokenizer.eos_token_ids,
            pad_token_id=tokenizer.eos_token_id,
            tie_embeddings=True,
        ),
        linear_dtype=torch.bfloat16 if config.dtype == "bfloat16" else None,
    )
    model.init_weights(torch.Generator().manual_seed(config.seed))
    return model


def next_token_loss(model: Decoder, tokens_BT: Tensor, *, denominator: int) -> Tensor:
    """Summed cross-entropy of every next token over a denominator counted for the whole step.

    In float32 throughout: the float64 head of small models would be a third of the time here.
    """
    logits = dense(model(tokens_BT[:, :-1]), model.head_weight)
    loss = F.cross_entropy(logits.flatten(0, 1), tokens_BT[:, 1:].flatten(), reduction="sum")
    return loss / denominator


def report_step(
    ctx: StageContext[PretrainConfig],
    model: Decoder,
    rows: Rows,
    step: int,
    num_steps: int,
    loss: float,
    grad_norm: float,
    lr_factor: float,
) -> None:
    """Log a step; now and then the loss on documents that were never trained on."""
    config = ctx.config
    metrics = {
        "step": step,
        "loss/next_token": loss,
        "grad_norm": grad_norm,
        "optim/lr": lr_factor * config.learning_rate,
        "tokens": step * config.batch_rows * config.row_tokens,
    }
    if config.eval_every and (step % config.eval_every == 0 or step == num_steps):
        metrics["eval/loss"] = validation_loss(ctx, model, rows)
    ctx.append("metrics.jsonl", metrics)
    ctx.log.step(step, num_steps, {"loss": loss, "grad_norm": grad_norm, "lr": lr_factor})


@torch.inference_mode()
def validation_loss(ctx: StageContext[PretrainConfig], model: Decoder, rows: Rows) -> float:
    """Mean next-token loss on rows of a stream that training never draws from."""
    mine = [rows.row("validation", row) for row in ctx.ranks.share(range(VALIDATION_ROWS))]
    loss = next_token_loss(model, torch.tensor(mine), denominator=VALIDATION_ROWS * rows.row_tokens)
    return ctx.ranks.sum(loss.item())[0]


def write_model(folder: Path, model: Decoder, tokenizer: Tokenizer, config: PretrainConfig) -> None:
    """The model in bfloat16: half the size, and exact again when it is read as float32."""
    save_model(folder, model, tokenizer, dtype=torch.bfloat16)
