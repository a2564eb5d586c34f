"""The exact reverse KL and its gradient against float64, by hand and by enumeration."""

import pytest
import torch

from aha.algorithms import reverse_kl as module
from aha.algorithms.reverse_kl import reverse_kl


def case(rows: int = 23, width: int = 12, teacher_width: int = 20, words: int = 31, pad: int = 0):
    generator = torch.Generator().manual_seed(rows)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    hidden, weight = normal(rows, width), normal(words, width)
    return (
        hidden.requires_grad_(),
        weight.requires_grad_(),
        normal(rows, teacher_width) / 2,
        normal(words + pad, teacher_width) / 2,
    )


def logits(given, temperature: float):
    hidden, weight, teacher, teacher_weight = (part.detach().double() for part in given)
    student = (hidden @ weight.T / temperature).log_softmax(-1)
    return student, (teacher @ teacher_weight.T / temperature).log_softmax(-1)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("chunk_rows", [1, 5, 1_000])
def test_value_and_gradient_are_those_of_the_equations(monkeypatch, chunk_rows, temperature):
    monkeypatch.setattr(module, "MIN_CHUNK_ROWS", chunk_rows)
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 1)
    given = case()
    found = reverse_kl(*given, temperature=temperature)
    (found.total / 7).backward()
    logp, logq = logits(given, temperature)
    kl = (logp.exp() * (logp - logq)).sum(-1)
    of_logits = logp.exp() * (logp - logq - kl[:, None]) / temperature / 7
    assert found.total.item() == pytest.approx(kl.sum().item(), rel=1e-6)
    torch.testing.assert_close(found.kl_N, kl.float(), rtol=1e-5, atol=1e-6)
    entropy = -(logp.exp() * logp).sum(-1)
    torch.testing.assert_close(found.entropy_N, entropy.float(), rtol=1e-5, atol=1e-6)
    hidden, weight = (part.detach().double() for part in given[:2])
    for part, expected in ((given[0], of_logits @ weight), (given[1], of_logits.T @ hidden)):
        torch.testing.assert_close(part.grad, expected.float(), rtol=1e-4, atol=1e-6)


def test_the_gradient_is_the_mean_of_what_single_samples_say():
    """REINFORCE with log q - log p as a token's advantage, over all tokens with their weights."""
    given = case(rows=3, words=9)
    reverse_kl(*given).total.backward()
    hidden, weight = (part.detach().double() for part in given[:2])
    hidden.requires_grad_()
    logp = (hidden @ weight.T).log_softmax(-1)
    _, logq = logits(given, 1.0)
    advantage = (logq - logp).detach()
    loss = -(logp.detach().exp() * advantage * logp).sum()
    loss.backward()
    torch.testing.assert_close(given[0].grad, hidden.grad.float(), rtol=1e-4, atol=1e-6)


def test_a_student_like_its_teacher_has_nothing_to_learn():
    hidden, weight, _, _ = case()
    found = reverse_kl(hidden, weight, hidden, weight)
    found.total.backward()
    assert found.total.item() == pytest.approx(0, abs=1e-6)
    assert hidden.grad.abs().max() < 1e-6


def test_the_padding_of_an_output_layer_is_left_out():
    given = case(pad=5)
    found = reverse_kl(*given)
    assert torch.equal(found.kl_N, reverse_kl(*given[:3], given[3][:31]).kl_N)


def test_no_positions_cost_nothing():
    hidden, weight, teacher, teacher_weight = case()
    found = reverse_kl(hidden[:0], weight, teacher[:0], teacher_weight)
    found.total.backward()
    assert found.total.item() == 0 and not weight.grad.any()


def test_positions_that_do_not_belong_together():
    hidden, weight, teacher, teacher_weight = case()
    with pytest.raises(ValueError, match="of the same positions"):
        reverse_kl(hidden, weight, teacher[:5], teacher_weight)
