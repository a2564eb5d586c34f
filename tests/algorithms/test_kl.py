"""KL estimators: their values, and what their mean gradient is the gradient of."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aha.algorithms.kl import MAX_LOG_RATIO, KLEstimator, kl_estimate

ESTIMATORS = ["k1", "k2", "k3", "k3+"]
LOGP = st.floats(-50.0, 0.0, width=32)


def naive(estimator: KLEstimator, logp: float, ref_logp: float) -> float:
    x = ref_logp - logp
    if estimator == "k1":
        return -x
    if estimator == "k2":
        return x * x / 2
    x = min(x, MAX_LOG_RATIO)
    return math.exp(x) - x - 1


@pytest.mark.parametrize("estimator", ESTIMATORS)
@settings(max_examples=25, deadline=None)
@given(logp=LOGP, ref_logp=LOGP)
def test_value_is_the_formula(estimator: KLEstimator, logp: float, ref_logp: float) -> None:
    value = kl_estimate(torch.tensor([logp]), torch.tensor([ref_logp]), estimator=estimator)
    assert float(value) == pytest.approx(naive(estimator, logp, ref_logp), rel=1e-5, abs=1e-6)


def policy_and_reference() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    logits = torch.randn(7, requires_grad=True)
    return logits, torch.randn(7).log_softmax(0)


def mean_gradient(estimator: KLEstimator) -> torch.Tensor:
    """The exact mean of the estimator's gradient over samples from the policy."""
    logits, ref_logp = policy_and_reference()
    logp = logits.log_softmax(0)
    mean = (logp.exp().detach() * kl_estimate(logp, ref_logp, estimator=estimator)).sum()
    return torch.autograd.grad(mean, logits)[0]


def exact_gradient(*, reverse: bool) -> torch.Tensor:
    logits, ref_logp = policy_and_reference()
    logp = logits.log_softmax(0)
    a, b = (logp, ref_logp) if reverse else (ref_logp, logp)
    return torch.autograd.grad((a.exp() * (a - b)).sum(), logits)[0]


@pytest.mark.parametrize("estimator", ["k2", "k3+"])
def test_mean_gradient_is_that_of_the_reverse_kl(estimator: KLEstimator) -> None:
    expected = exact_gradient(reverse=True)
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(mean_gradient(estimator), expected, atol=1e-6, rtol=1e-5)


def test_mean_gradient_of_k3_is_that_of_the_forward_kl() -> None:
    expected = exact_gradient(reverse=False)
    torch.testing.assert_close(mean_gradient("k3"), expected, atol=1e-6, rtol=1e-5)
    assert (mean_gradient("k3") - exact_gradient(reverse=True)).abs().max() > 0.05


def test_mean_gradient_of_k1_is_zero() -> None:
    assert mean_gradient("k1").abs().max() < 1e-6


@pytest.mark.parametrize("estimator", ["k1", "k3", "k3+"])
def test_mean_value_is_the_kl(estimator: KLEstimator) -> None:
    logits, ref_logp = policy_and_reference()
    logp = logits.detach().log_softmax(0)
    mean = (logp.exp() * kl_estimate(logp, ref_logp, estimator=estimator)).sum()
    assert float(mean) == pytest.approx(float((logp.exp() * (logp - ref_logp)).sum()), rel=1e-5)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_exactly_zero_with_zero_gradient_at_equality(estimator: KLEstimator) -> None:
    logp = torch.tensor([-0.1, -3.0, -1e4, 0.0], requires_grad=True)
    value = kl_estimate(logp, logp.detach(), estimator=estimator)
    assert value.tolist() == [0.0] * 4
    value.sum().backward()
    assert logp.grad is not None
    assert logp.grad.tolist() == ([1.0] * 4 if estimator == "k1" else [0.0] * 4)


def test_k3_is_never_negative_where_float32_cancels() -> None:
    x = torch.cat([torch.logspace(-9, -1, 4001), -torch.logspace(-9, -1, 4001)])
    value = kl_estimate(torch.zeros_like(x), x, estimator="k3")
    assert float(value.min()) >= 0.0
    exact = x.double().expm1() - x.double()
    torch.testing.assert_close(value.double(), exact, rtol=1e-4, atol=2e-9)


@pytest.mark.parametrize("gap", [-1e4, -100.0, 100.0, 1e4])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_extreme_ratios_stay_finite(estimator: KLEstimator, gap: float) -> None:
    logp = torch.tensor([-1.0], requires_grad=True)
    value = kl_estimate(logp, logp.detach() + gap, estimator=estimator)
    value.sum().backward()
    assert logp.grad is not None
    assert torch.isfinite(value).all()
    assert torch.isfinite(logp.grad).all()


def test_below_the_reference_the_gradient_of_k3_is_kept_and_far_above_it_is_cut() -> None:
    logp = torch.tensor([-1.0, -40.0], requires_grad=True)
    kl_estimate(logp, torch.tensor([-61.0, -1.0]), estimator="k3").sum().backward()
    assert logp.grad is not None
    assert logp.grad.tolist() == [1.0, 0.0]


def test_the_reference_gets_no_gradient_and_bfloat16_is_computed_in_float32() -> None:
    logp = torch.tensor([-1.0], dtype=torch.bfloat16, requires_grad=True)
    ref_logp = torch.tensor([-1.0078125], dtype=torch.bfloat16, requires_grad=True)
    value = kl_estimate(logp, ref_logp, estimator="k3")
    value.sum().backward()
    assert ref_logp.grad is None
    assert value.dtype == torch.float32
    assert float(value.detach()) == pytest.approx(naive("k3", -1.0, -1.0078125), rel=1e-4)


def test_unknown_estimator_is_an_error() -> None:
    with pytest.raises(ValueError, match="k4"):
        kl_estimate(torch.zeros(1), torch.zeros(1), estimator="k4")  # type: ignore[arg-type]
