"""Per-token estimators of KL(policy || reference) from the log-probs of sampled tokens.

Schulman, "Approximating KL Divergence" (2020); k3 is equation 2 of DeepSeek-R1 (arXiv 2501.12948)
and equation 4 of DeepSeekMath (2402.03300). With x = log(reference / policy) of a sampled token:

    k1 = -x        k2 = x^2 / 2        k3 = exp(x) - x - 1        k3+ = value of k3, gradient of k2

As values, k1 and k3 have the right mean. As losses they do not: the mean gradient of k3 is that of
KL(reference || policy) and the mean gradient of k1 is zero, while the mean gradient of k2 is that
of the reverse KL which is meant (arXiv 2510.01555 and 2512.21852). All of it holds on policy. The
default is k3 because the paper uses k3; k3+ is the corrected one.

Differs from the paper: the log-ratio of k3 is clamped from above (`MAX_LOG_RATIO`).
"""

from typing import Literal

import torch
from torch import Tensor

KLEstimator = Literal["k1", "k2", "k3", "k3+"]

# exp overflows float32 at 88.7, and long before that one token outweighs a whole step. exp(20) is
# 4.9e8: squared, or summed over a million tokens, it is still far from the overflow at 3.4e38.
# Nothing can be learned from such a ratio: beyond the clamp its gradient is zero.
MAX_LOG_RATIO = 20.0


def kl_estimate(logp: Tensor, ref_logp: Tensor, *, estimator: KLEstimator = "k3") -> Tensor:
    """KL(policy || reference) of each token, float32; the reference gets no gradient."""
    x = ref_logp.detach().float() - logp.float()
    if estimator == "k1":
        return -x
    if estimator == "k2":
        return _k2(x)
    if estimator == "k3":
        return _k3(x)
    if estimator == "k3+":
        k2 = _k2(x)
        return _k3(x).detach() + (k2 - k2.detach())
    raise ValueError(f"unknown KL estimator {estimator!r}: k1, k2, k3 or k3+")


def _k2(x: Tensor) -> Tensor:
    return 0.5 * x.square()


def _k3(x: Tensor) -> Tensor:
    """With expm1, for exp(x) - x - 1 has lost every digit at |x| = 3e-4; never below 0."""
    x = x.clamp(max=MAX_LOG_RATIO)
    return (torch.expm1(x) - x).clamp(min=0.0)
