"""Losses of reward models (arXiv 2501.12948v2, Eq. 5 and 6) and how good their scores are.

Shapes: N pairs or responses.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class PreferenceLoss:
    """A summed loss and what it says about the scores."""

    loss: Tensor
    """Sum over N divided by the denominator, with gradient."""
    num_right: int
    """Pairs whose chosen one scores higher, or responses on the right side of 0."""


def bradley_terry_loss(
    chosen_N: Tensor, rejected_N: Tensor, *, denominator: float
) -> PreferenceLoss:
    """-log sigmoid(chosen - rejected), the likelihood of the choices (Bradley and Terry, 1952)."""
    margin_N = chosen_N.float() - rejected_N.float()
    loss = -F.logsigmoid(margin_N).sum() / denominator
    return PreferenceLoss(loss, int((margin_N > 0).sum()))


def pointwise_loss(score_N: Tensor, good_N: Tensor, *, denominator: float) -> PreferenceLoss:
    """Binary cross-entropy of sigmoid(score) with the labels (true: safe)."""
    score_N, good_N = score_N.float(), good_N.bool()
    loss = F.binary_cross_entropy_with_logits(score_N, good_N.float(), reduction="sum")
    return PreferenceLoss(loss / denominator, int(((score_N > 0) == good_N).sum()))


def calibration_error(probability_N: Tensor, right_N: Tensor, *, num_bins: int = 10) -> float:
    """Expected calibration error (arXiv 1706.04599, Eq. 3): mean |confidence - accuracy| by bin.

    probability_N: predicted probability of `right`, 0 to 1; equal-width bins.
    """
    if probability_N.numel() == 0:
        return 0.0
    probability_N, right_N = probability_N.double(), right_N.double()
    bin_N = (probability_N * num_bins).long().clamp(max=num_bins - 1)
    error = 0.0
    for index in range(num_bins):
        inside_N = bin_N == index
        if inside_N.any():
            gap = (probability_N[inside_N].mean() - right_N[inside_N].mean()).abs()
            error += float(gap * inside_N.double().mean())
    return error


def preference_probability(chosen_N: Tensor, rejected_N: Tensor) -> Tensor:
    """Probability that the first of two is preferred, by the Bradley-Terry model."""
    return torch.sigmoid(chosen_N.float() - rejected_N.float())
