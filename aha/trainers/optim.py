"""Optimizers and learning-rate schedules.

Muon orthogonalises the momentum of each weight matrix (Jordan et al. 2024,
https://kellerjordan.github.io/posts/muon); with it a tiny model is pre-trained in minutes.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import nn

Schedule = Literal["constant", "linear", "cosine"]
NEWTON_SCHULZ_STEPS = 5
COSINE_FLOOR = 0.1
ADAM_BETA1 = 0.9
"""Decay of the mean gradient: nobody sets another."""


def learning_rate_factor(
    step: int, *, num_steps: int, warmup_steps: int, schedule: Schedule
) -> float:
    """Factor on the peak learning rate for step 1..num_steps: linear warm-up, then the schedule.

    `linear` ends at 0, `cosine` at a tenth, as R1's fine-tuning does.
    """
    if step <= warmup_steps:
        return step / warmup_steps
    progress = (step - warmup_steps) / max(1, num_steps - warmup_steps)
    if schedule == "linear":
        return 1.0 - progress
    if schedule == "cosine":
        return COSINE_FLOOR + (1 - COSINE_FLOOR) * 0.5 * (1 + math.cos(math.pi * progress))
    return 1.0


def trapezoid_factor(
    step: int, *, num_steps: int, warmup_steps: int, decay_fraction: float, final_fraction: float
) -> float:
    """Warm up, stay, then fall linearly to `final_fraction` over the last `decay_fraction`."""
    if step <= warmup_steps:
        return step / warmup_steps
    decay_steps = max(1, round(num_steps * decay_fraction))
    fallen = max(0.0, (step - (num_steps - decay_steps)) / decay_steps)
    return 1.0 - (1.0 - final_fraction) * fallen


def orthogonalise(matrix: torch.Tensor) -> torch.Tensor:
    """Nearest semi-orthogonal matrix, roughly, by a quintic Newton-Schulz iteration in bfloat16."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x: torch.Tensor = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = (x / (x.norm() + 1e-7)).bfloat16()
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    x = x.T if matrix.shape[0] > matrix.shape[1] else x
    return x.to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised, for 2-D weights inside the network."""

    def __init__(self, params: Iterable[nn.Parameter], *, lr: float, momentum: float = 0.95):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                buffer = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                buffer.lerp_(weight.grad, 1 - group["momentum"])
                nesterov = weight.grad.lerp(buffer, group["momentum"])
                scale = max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5
                weight.add_(orthogonalise(nesterov), alpha=-group["lr"] * scale)


@dataclass(frozen=True, slots=True)
class Optimizers:
    """Several optimizers that step together, each with its peak learning rate."""

    parts: tuple[torch.optim.Optimizer, ...]
    peaks: tuple[float, ...]

    def step(self, lr_factor: float) -> None:
        for optimizer, peak in zip(self.parts, self.peaks, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = peak * lr_factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        return [optimizer.state_dict() for optimizer in self.parts]

    def load_state_dict(self, states: Sequence[dict[str, Any]]) -> None:
        for optimizer, state in zip(self.parts, states, strict=True):
            optimizer.load_state_dict(state)


def adamw(
    model: nn.Module, *, lr: float, beta2: float = 0.95, weight_decay: float = 0.0
) -> Optimizers:
    """AdamW over all parameters; vectors (norms, biases) are not decayed."""
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.requires_grad and p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    exact = all(p.dtype == torch.float32 for p in (*matrices, *vectors))
    kind = torch.optim.AdamW if exact else MasterAdamW
    return Optimizers((kind(groups, lr=lr, betas=(ADAM_BETA1, beta2), foreach=True),), (lr,))


class MasterAdamW(torch.optim.AdamW):
    """AdamW on float32 copies of bfloat16 weights, which are rounded from them after each step.

    A bfloat16 weight has 8 bits: an update below 1/512 of it, as all are at a learning rate of
    1e-6, would be lost (Micikevicius et al., arXiv 1710.03740, 3.1).
    """

    def __init__(self, groups: Iterable[dict[str, Any]], **options: Any):
        self.weights: list[nn.Parameter] = []
        copied = []
        for group in groups:
            self.weights += group["params"]
            masters = [nn.Parameter(p.detach().float().clone()) for p in group["params"]]
            copied.append({**group, "params": masters})
        super().__init__(copied, **options)

    @property
    def masters(self) -> list[nn.Parameter]:
        return [master for group in self.param_groups for master in group["params"]]

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for master, weight in zip(self.masters, self.weights, strict=True):
            master.grad = None if weight.grad is None else weight.grad.float()
        super().step(closure)
        for master, weight in zip(self.masters, self.weights, strict=True):
            weight.copy_(master)
            master.grad = None

    def zero_grad(self, set_to_none: bool = True) -> None:
        for weight in self.weights:
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        masters = [master.detach() for master in self.masters]
        return {**super().state_dict(), "masters": masters}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "masters"})
        with torch.no_grad():
            for master, saved in zip(self.masters, state_dict["masters"], strict=True):
                master.copy_(saved)


def muon_with_adamw(model: nn.Module, *, lr: float, embedding_lr: float) -> Optimizers:
    """Muon for the matrices inside the network, AdamW for embeddings, head and norms."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        inside = parameter.ndim == 2 and "embed" not in name and "lm_head" not in name
        (matrices if inside else others).append(parameter)
    adam = torch.optim.AdamW(
        others, lr=embedding_lr, betas=(ADAM_BETA1, 0.95), weight_decay=0.0, foreach=True
    )
    return Optimizers((Muon(matrices, lr=lr), adam), (lr, embedding_lr))


class OptimizerConfig(Protocol):
    """What a stage with a choice of optimizers says about them."""

    @property
    def optimizer(self) -> Literal["adamw", "muon"]: ...

    @property
    def learning_rate(self) -> float: ...

    @property
    def embedding_learning_rate(self) -> float | None: ...

    @property
    def adam_beta2(self) -> float: ...

    @property
    def weight_decay(self) -> float: ...


def build_optimizers(model: nn.Module, config: OptimizerConfig) -> Optimizers:
    """AdamW for everything, or Muon for the matrices inside."""
    if config.optimizer == "muon":
        embedding_lr = config.embedding_learning_rate or config.learning_rate / 5
        return muon_with_adamw(model, lr=config.learning_rate, embedding_lr=embedding_lr)
    return adamw(
        model,
        lr=config.learning_rate,
        beta2=config.adam_beta2,
        weight_decay=config.weight_decay,
    )
