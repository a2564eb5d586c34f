"""Norm, SwiGLU and log-probs of sampled tokens: C and operators against float64, with gradients."""

import pytest
import torch
import torch.nn.functional as F

from aha.model import native
from aha.model.head import correct_logprobs, sampled_logprobs
from aha.model.rows import branch_norm, rms_norm, swiglu


@pytest.fixture(params=["native", "operators"])
def path(request, monkeypatch):
    if request.param == "operators":
        monkeypatch.setattr(native, "library", lambda: None)
    elif native.library() is None:
        pytest.skip("no compiler")
    return request.param


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def assert_same_gradients(ours, exact, leaves, seed: int = 9, tolerance: float = 1e-5) -> None:
    """Of a random weighting of the outputs, relative to the largest."""
    weights = [normal(*out.shape, seed=seed + i) for i, out in enumerate(ours)]
    got = torch.autograd.grad(ours, leaves, weights)
    want = torch.autograd.grad(exact, leaves, [w.double() for w in weights])
    for one, other in zip(got, want, strict=True):
        assert one.shape == other.shape
        assert (one - other).abs().max() <= tolerance * other.abs().max()


@pytest.mark.parametrize("shape", [(1, 16), (5, 7, 48), (300, 128), (4, 40)])
def test_norm_and_its_branch(path, shape):
    x = (3 * normal(*shape) + 1).requires_grad_()
    weight = (1 + normal(shape[-1], seed=1)).requires_grad_()
    exact = F.rms_norm(x.double(), shape[-1:], weight.double(), 1e-5)
    same, normed = branch_norm(x, weight, 1e-5)
    assert torch.equal(same, x)
    assert (normed - exact).abs().max() < 5e-6
    assert_same_gradients((same, normed), (x.double(), exact), (x, weight))
    again = F.rms_norm(x.double(), shape[-1:], weight.double(), 1e-5)
    assert_same_gradients((rms_norm(x, weight, 1e-5),), (again,), (x, weight))


def test_norm_of_a_strided_bfloat16_input_is_float32(path):
    x = normal(6, 32, 4).bfloat16().transpose(1, 2)
    normed = rms_norm(x, torch.ones(32), 1e-5)
    assert normed.dtype == torch.float32
    assert (normed - F.rms_norm(x.float(), (32,), None, 1e-5)).abs().max() < 1e-6


@pytest.mark.parametrize("shape", [(1, 16), (3, 5, 48), (200, 384), (4, 20)])
def test_swiglu(path, shape):
    x = (4 * normal(*shape[:-1], 2 * shape[-1])).requires_grad_()
    with torch.no_grad():
        x[..., 0], x[..., 1] = 100.0, -100.0
    gate, up = x.double().chunk(2, dim=-1)
    exact, ours = F.silu(gate) * up, swiglu(x)
    assert (ours - exact).abs().max() <= 1e-6 * exact.abs().max()
    assert_same_gradients((ours,), (exact,), (x,))


def head(num_states: int, vocab: int, width: int = 32) -> tuple[torch.Tensor, ...]:
    hidden = (2 * normal(num_states, width)).requires_grad_()
    weight = normal(vocab, width, seed=1).requires_grad_()
    generator = torch.Generator().manual_seed(2)
    rows = torch.randperm(num_states, generator=generator)[: max(1, num_states * 2 // 3)]
    return hidden, rows, weight, torch.randint(vocab, rows.shape, generator=generator)


@pytest.mark.parametrize("num_states", [1, 40, 900])
@pytest.mark.parametrize(("vocab", "temperature"), [(16, 1.0), (97, 0.7), (2100, 1.3)])
def test_logprobs_and_entropies(path, num_states, vocab, temperature):
    hidden, rows, weight, tokens = head(num_states, vocab)
    logp, entropy = sampled_logprobs(hidden, rows, weight, tokens, temperature)
    table = (hidden.double()[rows] @ weight.double().T / temperature).log_softmax(-1)
    exact = table.gather(1, tokens[:, None])[:, 0]
    assert (logp - exact).abs().max() < 2e-5
    assert (entropy - -(table.exp() * table).sum(-1)).abs().max() < 2e-5
    assert not entropy.requires_grad
    assert_same_gradients((logp,), (exact,), (hidden, weight), tolerance=2e-5)


def test_logits_that_are_not_finite_give_no_finite_logprob(path):
    hidden, rows, weight, tokens = head(40, 97)
    with torch.no_grad():
        hidden[3] = torch.nan
    logp, _ = sampled_logprobs(hidden, rows, weight, tokens, 1.0)
    assert torch.equal(~torch.isfinite(logp), rows == 3)


def test_no_sampled_token_is_no_error(path):
    hidden, _, weight, tokens = head(40, 97)
    logp, entropy = sampled_logprobs(hidden, tokens[:0], weight, tokens[:0], 1.0)
    assert logp.shape == entropy.shape == (0,)
    logp.sum().backward()
    assert bool((weight.grad == 0).all())


def test_a_second_backward_pass_is_refused_where_the_logits_are_used_up():
    if native.library() is None:
        pytest.skip("no compiler")
    hidden, rows, weight, tokens = head(40, 97)
    logp, _ = sampled_logprobs(hidden, rows, weight, tokens, 1.0)
    logp.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="used up"):
        logp.sum().backward()


@pytest.mark.parametrize(("vocab", "temperature"), [(1024, 1.0), (97, 0.8), (1000, 1.5)])
def test_logprobs_are_corrected_to_those_of_float64_logits(vocab, temperature):
    """Logits of a few hundred, whose float32 sums are off in the fifth decimal."""
    if native.library() is None:
        pytest.skip("no compiler")
    hidden, weight = 30 * normal(500, 128), normal(vocab, 128, seed=1)
    hidden[::2] /= 30
    logits = hidden @ weight.T
    exact = (hidden.double() @ weight.double().T / temperature).log_softmax(-1)
    tokens = torch.multinomial(exact.exp(), 1, generator=torch.Generator().manual_seed(0))
    exact = exact.gather(1, tokens)[:, 0]
    logp = (logits / temperature).double().log_softmax(-1).gather(1, tokens)[:, 0].float()
    before = (logp - exact).abs()
    correct_logprobs(hidden, weight, logits, tokens[:, 0], logp, temperature)
    after = (logp - exact).abs()
    assert before.max() > 2e-5
    assert after.max() < before.max() / 5
    assert after.square().mean() < before.square().mean() / 50
