"""Optimizers against hand-made steps, schedules at their corners."""

import math

import pytest
import torch
from torch import nn

from aha.trainers.optim import (
    Muon,
    adamw,
    learning_rate_factor,
    muon_with_adamw,
    orthogonalise,
    trapezoid_factor,
)
from tests.trainers.tiny import tiny_model


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Parameter(torch.linspace(-1, 1, 12).view(4, 3))
        self.inside = nn.Parameter(torch.linspace(1, 2, 9).view(3, 3))
        self.norm = nn.Parameter(torch.ones(3))


def set_gradients(model: nn.Module, step: int) -> None:
    for index, parameter in enumerate(model.parameters()):
        values = torch.arange(parameter.numel(), dtype=torch.float32)
        parameter.grad = torch.sin(values + step + index).view_as(parameter).to(parameter.dtype)


def test_adamw_is_the_textbook_one_and_decays_matrices_alone():
    model, settings = Small(), {"lr": 0.01, "beta2": 0.8, "weight_decay": 0.5}
    optimizers = adamw(model, **settings)
    expected = {name: p.detach().clone() for name, p in model.named_parameters()}
    first = {name: torch.zeros_like(p) for name, p in expected.items()}
    second = {name: torch.zeros_like(p) for name, p in expected.items()}
    for step, factor in enumerate((0.5, 1.0, 0.25), start=1):
        set_gradients(model, step)
        lr = 0.01 * factor
        for name, parameter in model.named_parameters():
            grad = parameter.grad
            first[name] = 0.9 * first[name] + 0.1 * grad
            second[name] = 0.8 * second[name] + 0.2 * grad**2
            moved = (first[name] / (1 - 0.9**step)) / (
                (second[name] / (1 - 0.8**step)).sqrt() + 1e-8
            )
            decay = 0.0 if name == "norm" else 0.5
            expected[name] = expected[name] * (1 - lr * decay) - lr * moved
        optimizers.step(factor)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), expected[name], rtol=1e-6, atol=1e-7)
        assert parameter.grad is None


@pytest.mark.parametrize("shape", [(16, 16), (8, 32), (32, 8)])
def test_an_orthogonalised_matrix_has_singular_values_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    singular = torch.linalg.svdvals(orthogonalise(matrix))
    assert singular.min() > 0.5  # the quintic iteration aims at 0.7 to 1.2, not at 1
    assert singular.max() < 1.3
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    nearest = left @ right
    cosine = (orthogonalise(matrix) * nearest).sum() / (
        orthogonalise(matrix).norm() * nearest.norm()
    )
    assert cosine > 0.98
    assert orthogonalise(matrix).dtype == matrix.dtype


def test_muon_steps_along_the_orthogonalised_nesterov_momentum():
    weight = nn.Parameter(torch.randn(6, 3, generator=torch.Generator().manual_seed(0)))
    optimizer = Muon([weight], lr=0.1, momentum=0.9)
    buffer, expected = torch.zeros(6, 3), weight.detach().clone()
    for step in range(3):
        grad = torch.randn(6, 3, generator=torch.Generator().manual_seed(step + 1))
        weight.grad = grad.clone()
        optimizer.step()
        buffer = 0.9 * buffer + 0.1 * grad
        direction = orthogonalise(0.1 * grad + 0.9 * buffer)
        expected = expected - 0.1 * math.sqrt(2) * direction
    torch.testing.assert_close(weight.detach(), expected, rtol=1e-4, atol=1e-4)


def test_muon_is_for_the_matrices_inside_and_adam_for_the_rest():
    model = tiny_model()
    muon, adam = muon_with_adamw(model, lr=0.02, embedding_lr=4e-3).parts
    names = {id(p): name for name, p in model.named_parameters()}
    inside = {names[id(p)] for group in muon.param_groups for p in group["params"]}
    others = {names[id(p)] for group in adam.param_groups for p in group["params"]}
    assert others == {n for n in names.values() if "norm" in n or "embed_tokens" in n}
    assert inside == set(names.values()) - others
    assert len(inside) == 14  # q, k, v, o, gate, up, down of two layers


def test_states_continue_bit_for_bit():
    def run(model, optimizers, steps):
        for step in steps:
            set_gradients(model, step)
            optimizers.step(0.7)

    undisturbed, interrupted, resumed = Small(), Small(), Small()
    make = lambda model: muon_with_adamw(model, lr=0.02, embedding_lr=0.01)  # noqa: E731
    run(undisturbed, make(undisturbed), range(6))
    before, after = make(interrupted), make(resumed)
    run(interrupted, before, range(3))
    resumed.load_state_dict(interrupted.state_dict())
    after.load_state_dict(before.state_dict())
    run(resumed, after, range(3, 6))
    for left, right in zip(undisturbed.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(left, right)


def factors(schedule, *, num_steps=10, warmup_steps=2):
    return [
        learning_rate_factor(
            step, num_steps=num_steps, warmup_steps=warmup_steps, schedule=schedule
        )
        for step in range(1, num_steps + 1)
    ]


def test_schedules_at_their_corners():
    assert factors("constant") == [0.5, 1.0] + [1.0] * 8
    assert factors("linear") == pytest.approx([0.5, 1.0] + [1 - i / 8 for i in range(1, 9)])
    cosine = factors("cosine")
    assert cosine[:2] == [0.5, 1.0]
    assert cosine[5] == pytest.approx(0.55)  # half-way
    assert cosine[-1] == pytest.approx(0.1)
    assert sorted(cosine[1:], reverse=True) == cosine[1:]


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_schedules_without_warm_up_and_with_nothing_else(schedule):
    assert factors(schedule, warmup_steps=0)[0] > 0.85
    assert factors(schedule, num_steps=1, warmup_steps=0)[0] <= 1.0
    assert factors(schedule, num_steps=3, warmup_steps=3) == pytest.approx([1 / 3, 2 / 3, 1])
    assert factors(schedule, num_steps=2, warmup_steps=4) == [0.25, 0.5]


def test_the_trapezoid_rises_stays_and_falls():
    values = [
        trapezoid_factor(step, num_steps=10, warmup_steps=2, decay_fraction=0.4, final_fraction=0.2)
        for step in range(1, 11)
    ]
    assert values == pytest.approx([0.5, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])


def test_bfloat16_weights_follow_their_float32_copies():
    """Each update is far below a bfloat16 digit; together they are those of float32."""
    exact, rounded = Small(), Small().bfloat16()
    with torch.no_grad():
        for ours, theirs in zip(exact.parameters(), rounded.parameters(), strict=True):
            ours.copy_(theirs)
    optimizers = [adamw(model, lr=1e-4) for model in (exact, rounded)]
    start = rounded.inside.detach().clone()
    for step in range(300):
        for model, optimizer in zip((exact, rounded), optimizers, strict=True):
            for parameter in model.parameters():
                parameter.grad = torch.full_like(parameter, 1.0 + step % 2)
            optimizer.step(1.0)
        assert rounded.inside.grad is None
    for ours, theirs in zip(exact.parameters(), rounded.parameters(), strict=True):
        assert torch.equal(ours.bfloat16(), theirs)
    assert (rounded.inside.float() - start.float()).max() < -0.02


def test_the_copies_are_part_of_the_state():
    model, again = Small().bfloat16(), Small().bfloat16()
    first, second = adamw(model, lr=1e-4), adamw(again, lr=1e-4)
    for step in range(40):
        if step == 20:
            again.load_state_dict(model.state_dict())
            second.load_state_dict(first.state_dict())
        for one, optimizer in ((model, first), (again, second)):
            if one is model or step >= 20:
                set_gradients(one, step)
                optimizer.step(1.0)
    for ours, theirs in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(ours, theirs)
