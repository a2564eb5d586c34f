"""What a stage of reinforcement learning takes: memory, counted and measured, and time."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from aha.model.hf_folder import load_model
from aha.model.reward_model import reward_model_of
from aha.pipeline.machine import peak_memory_bytes, reset_peak_memory
from aha.pipeline.stage import StageContext, StageResult
from aha.trainers.config import GrpoConfig
from aha.trainers.ppo_config import PpoConfig

ADAM_MOMENTS = 2
ADAM_STEP_BYTES = 4
"""A float32 counter a tensor."""


@dataclass(frozen=True, slots=True)
class TensorBytes:
    """Of the tensors that live as long as the training; activations and caches come on top."""

    weights: int = 0
    gradients: int = 0
    optimizer: int = 0

    def __add__(self, other: "TensorBytes") -> "TensorBytes":
        return TensorBytes(
            self.weights + other.weights,
            self.gradients + other.gradients,
            self.optimizer + other.optimizer,
        )

    def summary(self) -> dict[str, int]:
        return {
            "weight_bytes": self.weights,
            "gradient_bytes": self.gradients,
            "optimizer_bytes": self.optimizer,
            "tensor_bytes": self.weights + self.gradients + self.optimizer,
        }


def measured(
    ctx: StageContext[Any], train: Callable[[StageContext[Any]], StageResult]
) -> StageResult:
    """Train, and add to the summary what it took: memory, and processor time of every rank.

    The peak is that of the process since the stage began, or was resumed. What the process held at
    that time is in it: interpreter, libraries, and what earlier stages have not given back.
    """
    counted = training_bytes(ctx.config, ctx.inputs["model"])
    reset_peak_memory()
    start, started = ctx.ranks.gather(peak_memory_bytes()), time.process_time()
    result = train(ctx)
    used = ctx.ranks.gather(round(time.process_time() - started, 2))
    took = {
        **counted.summary(),
        "start_memory_bytes": start,
        "peak_memory_bytes": ctx.ranks.gather(peak_memory_bytes()),
        "processor_seconds": used,
    }
    return replace(result, summary={**result.summary, **took})


def training_bytes(config: GrpoConfig, model: Path) -> TensorBytes:
    """Policy, reference and, with PPO, the critic, of a rank."""
    dtype = getattr(torch, config.dtype)
    policy = load_model(model, dtype=dtype).model
    total = trained_bytes(policy)
    if config.kl_coef is not None:
        total += TensorBytes(weights=weight_bytes(policy))
    if isinstance(config, PpoConfig):
        total += trained_bytes(reward_model_of(model, dtype=dtype).model)
    return total


def weight_bytes(model: nn.Module) -> int:
    """Of all parameters; a shared one counts once."""
    return sum(p.numel() * p.element_size() for p in model.parameters())


def trained_bytes(model: nn.Module) -> TensorBytes:
    """Of a model, its gradients and AdamW's float32 moments, with its copy of bfloat16 weights."""
    weights, parameters = weight_bytes(model), list(model.parameters())
    exact = 4 * sum(p.numel() for p in parameters)
    copies = 0 if exact == weights else exact
    steps = ADAM_STEP_BYTES * len(parameters)
    return TensorBytes(weights, weights, ADAM_MOMENTS * exact + copies + steps)
