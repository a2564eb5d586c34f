"""Log-probs and entropies against a loop, in chunks, at temperatures, with their gradients."""

import math

import pytest
import torch

from aha.algorithms.logprobs import token_entropy, token_logprobs


def batch(vocabulary: int = 11) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(3, 5, vocabulary) * 3, torch.randint(0, vocabulary, (3, 5))


def naive_logprobs(logits: torch.Tensor, tokens: torch.Tensor, temperature: float) -> list[float]:
    result = []
    for row, token in zip(logits.reshape(-1, logits.shape[-1]), tokens.flatten(), strict=True):
        scaled = [float(x) / temperature for x in row]
        result.append(scaled[token] - math.log(math.fsum(math.exp(x) for x in scaled)))
    return result


@pytest.mark.parametrize("chunk_elements", [1, 30, 1 << 24])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
def test_logprobs_equal_the_loop(temperature: float, chunk_elements: int) -> None:
    logits, tokens = batch()
    logp = token_logprobs(logits, tokens, temperature, chunk_elements=chunk_elements)
    assert logp.shape == tokens.shape
    expected = naive_logprobs(logits, tokens, temperature)
    assert logp.flatten().tolist() == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("chunk_elements", [1, 30, 1 << 24])
@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_gradient_equals_autograd_of_log_softmax(temperature: float, chunk_elements: int) -> None:
    logits, tokens = batch()
    weights = torch.randn(tokens.shape)
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    logp = token_logprobs(ours, tokens, temperature, chunk_elements=chunk_elements)
    (logp * weights).sum().backward()
    full = (theirs / temperature).log_softmax(-1).gather(-1, tokens[..., None]).squeeze(-1)
    (full * weights).sum().backward()
    assert ours.grad is not None
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-6, rtol=1e-5)


def test_temperature_divides_differences_of_logprobs() -> None:
    logits = torch.tensor([[[2.0, -1.0, 0.5]]])
    for temperature in (0.25, 1.0, 3.0):
        a, b = (token_logprobs(logits, torch.tensor([[t]]), temperature) for t in (0, 1))
        assert float(a - b) == pytest.approx(3.0 / temperature, rel=1e-6)


def test_probabilities_add_up_to_one() -> None:
    logits, _ = batch()
    total = sum(token_logprobs(logits, torch.full((3, 5), v)).exp() for v in range(11))
    torch.testing.assert_close(total, torch.ones(3, 5))


def test_bfloat16_logits_are_computed_in_float32_and_keep_their_gradient_dtype() -> None:
    logits, tokens = batch()
    half = logits.bfloat16().requires_grad_()
    logp = token_logprobs(half, tokens)
    logp.sum().backward()
    assert half.grad is not None
    assert (logp.dtype, half.grad.dtype) == (torch.float32, torch.bfloat16)
    expected = naive_logprobs(half.detach(), tokens, 1.0)
    assert logp.detach().flatten().tolist() == pytest.approx(expected, abs=2e-6)


def test_forbidden_tokens_have_no_probability_and_no_gradient() -> None:
    logits = torch.tensor([[[1.0, -torch.inf, 0.0]]], requires_grad=True)
    logp = token_logprobs(logits, torch.tensor([[0]]))
    logp.sum().backward()
    p = 1 / (1 + math.exp(-1.0))
    assert logits.grad is not None
    assert logits.grad.flatten().tolist() == pytest.approx([1 - p, 0.0, p - 1], abs=1e-6)
    assert float(token_entropy(logits)) == pytest.approx(
        -p * math.log(p) - (1 - p) * math.log1p(-p)
    )


@pytest.mark.parametrize("chunk_elements", [1, 30, 1 << 24])
def test_entropy_equals_the_loop(chunk_elements: int) -> None:
    logits, _ = batch()
    entropy = token_entropy(logits, 0.7, chunk_elements=chunk_elements)
    expected = []
    for row in logits.reshape(-1, 11).tolist():
        weights = [math.exp(x / 0.7) for x in row]
        shares = [w / sum(weights) for w in weights]
        expected.append(-sum(p * math.log(p) for p in shares))
    assert entropy.shape == (3, 5)
    assert entropy.flatten().tolist() == pytest.approx(expected, abs=1e-5)


def test_entropy_of_equal_logits_is_that_of_a_die_and_has_no_gradient() -> None:
    entropy = token_entropy(torch.zeros(2, 6, requires_grad=True))
    assert entropy.tolist() == pytest.approx([math.log(6)] * 2)
    assert not entropy.requires_grad


def test_logits_are_left_as_they_are() -> None:
    logits, tokens = batch()
    leaf = logits.clone().requires_grad_()
    token_logprobs(leaf, tokens, 0.5).sum().backward()
    token_entropy(leaf, 0.5)
    assert torch.equal(leaf.detach(), logits)


def test_wrong_arguments_are_errors() -> None:
    logits, tokens = batch()
    with pytest.raises(ValueError, match="temperature"):
        token_logprobs(logits, tokens, 0.0)
    with pytest.raises(ValueError, match="tokens"):
        token_logprobs(logits, tokens[:, :-1])
    with pytest.raises(ValueError, match="dimension"):
        token_entropy(logits[0, 0])
