"""PPO with a critic: rewards of tokens, advantages by GAE, and the loss of the values.

PPO: arXiv 1707.06347; GAE: arXiv 1506.02438, equation 16. With values V(s_t) before token t and

    delta_t = r_t + gamma * V(s_t+1) - V(s_t)              V after the last token is 0
    A_t     = delta_t + gamma * lambda * A_t+1             equation 16, summed from the end
    R_t     = A_t + V(s_t)                                 what V(s_t) is trained to be

The reward of a response stands at its last token. DeepSeek-R1 (arXiv 2501.12948v2, A.3) describes
PPO with a KL penalty at every token: r_t -= kl_coef * log(policy / reference), of the policy that
sampled. With lambda = 1 and gamma = 1 an advantage is the rewards still to come minus V(s_t), and
that is the setting with which the paper finds PPO close to GRPO; with 0.95 it is clearly worse.

Differs from the paper: a response that is cut off at the length limit ends there, as any other
does (no value is added for what it might have said), because its reward has been paid.

The policy's loss is `aha.algorithms.grpo.policy_loss` with one advantage a token.

Shapes: B sequences, T tokens, padded; N values of any shape. Masks are true on sampled tokens;
elsewhere the tensors may hold anything. Everything is float32 inside, sums are float64.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Advantages:
    """Of every sampled token, float32; 0 where nothing was sampled."""

    advantages_BT: Tensor
    returns_BT: Tensor  # the value's target: advantage + value


@dataclass(frozen=True, slots=True)
class ValueLoss:
    """Loss of the values of one micro-batch. Fields are SUMS: they add up over micro-batches."""

    loss: Tensor  # divided by the step's denominator; the only one with a gradient
    num_tokens: Tensor
    num_clipped: Tensor  # tokens whose loss is that of the clipped value


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, sum and sum of squares (float64): they add up over micro-batches and ranks."""

    count: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(
            self.count + other.count, self.total + other.total, self.squares + other.squares
        )

    @property
    def mean(self) -> float:
        return self.total / max(1.0, self.count)

    @property
    def variance(self) -> float:
        """Of the population (divided by the count), never below 0."""
        return max(0.0, self.squares / max(1.0, self.count) - self.mean**2)


def token_rewards(
    rewards_B: Tensor,
    mask_BT: Tensor,
    *,
    logp_BT: Tensor | None = None,
    ref_logp_BT: Tensor | None = None,
    kl_coef: float = 0.0,
) -> Tensor:
    """Rewards [B, T]: a response's own at its last token, less the KL penalty of every token.

    logp_BT: of the policy that sampled; ref_logp_BT: of the reference. Needed for `kl_coef` alone.
    """
    mask_BT = mask_BT.bool()
    rewards_BT = torch.zeros(mask_BT.shape, device=mask_BT.device)
    if kl_coef:
        if logp_BT is None or ref_logp_BT is None:
            raise ValueError("a KL penalty needs the log-probs of the policy and the reference")
        rewards_BT = _masked(-kl_coef * (logp_BT.float() - ref_logp_BT.float()), mask_BT)
    is_last_BT = mask_BT & (mask_BT.flip(1).cumsum(1).flip(1) == 1)
    return rewards_BT + torch.where(is_last_BT, rewards_B.float()[:, None], 0.0)


def gae(
    rewards_BT: Tensor,
    values_BT: Tensor,
    mask_BT: Tensor,
    *,
    gamma: float = 1.0,
    gae_lambda: float = 0.95,
) -> Advantages:
    """Generalized advantage estimation (arXiv 1506.02438, equation 16).

    values_BT[b, t]: V of the text before token t. Tokens that were not sampled are stepped over.
    """
    if not rewards_BT.shape == values_BT.shape == mask_BT.shape or mask_BT.ndim != 2:
        shapes = [tuple(t.shape) for t in (rewards_BT, values_BT, mask_BT)]
        raise ValueError(f"rewards, values and mask must all be (B, T), not {shapes}")
    mask_BT = mask_BT.bool()
    rewards_BT = _masked(rewards_BT.detach(), mask_BT)
    values_BT = _masked(values_BT.detach(), mask_BT)
    advantages_BT = torch.zeros_like(values_BT)
    advantage_B, value_B = torch.zeros(2, len(mask_BT), device=values_BT.device)
    for t in reversed(range(mask_BT.shape[1])):
        delta_B = rewards_BT[:, t] + gamma * value_B - values_BT[:, t]
        sampled_B = mask_BT[:, t]
        advantage_B = torch.where(
            sampled_B, delta_B + gamma * gae_lambda * advantage_B, advantage_B
        )
        value_B = torch.where(sampled_B, values_BT[:, t], value_B)
        advantages_BT[:, t] = torch.where(sampled_B, advantage_B, 0.0)
    return Advantages(advantages_BT, advantages_BT + values_BT)


def value_loss(
    values_BT: Tensor,
    old_values_BT: Tensor,
    returns_BT: Tensor,
    mask_BT: Tensor,
    *,
    denominator: float,
    clip: float | None = None,
) -> ValueLoss:
    """Half the squared error of the values, summed over tokens and divided by `denominator`.

    clip: a value that has moved further than this from the old one, to where its error is smaller,
        has no gradient: the larger error of the two counts (the code of arXiv 1707.06347).
    """
    if not denominator > 0:
        raise ValueError(f"denominator must be above 0, not {denominator}")
    mask_BT = mask_BT.bool()
    values_BT, old_values_BT, returns_BT = (
        _masked(x_BT, mask_BT) for x_BT in (values_BT, old_values_BT.detach(), returns_BT.detach())
    )
    error_BT = (values_BT - returns_BT).square()
    clipped_BT = torch.zeros_like(mask_BT)
    if clip is not None:
        near_BT = old_values_BT + (values_BT - old_values_BT).clamp(-clip, clip)
        near_error_BT = (near_BT - returns_BT).square()
        clipped_BT = near_error_BT > error_BT
        error_BT = torch.maximum(error_BT, near_error_BT)
    return ValueLoss(
        loss=0.5 * error_BT.sum() / denominator,
        num_tokens=mask_BT.sum(),
        num_clipped=(clipped_BT & mask_BT).sum(),
    )


def moments(values_N: Tensor) -> Moments:
    """Of all values; + joins those of the parts of a step."""
    values_N = values_N.detach().double()
    return Moments(float(values_N.numel()), values_N.sum().item(), values_N.square().sum().item())


def whitened(values: Tensor, of_step: Moments, *, eps: float = 1e-6) -> Tensor:
    """Values with the step's mean taken away, divided by its std."""
    std = math.sqrt(of_step.variance)
    return (values.float() - of_step.mean) / (std + eps)


def explained_variance(errors: Moments, returns: Moments) -> float:
    """1 - variance(return - value) / variance(return): 1 is perfect, 0 no better than a constant.

    0 where all returns are equal, and there is nothing to explain.
    """
    if returns.variance < 1e-12:
        return 0.0
    return 1.0 - errors.variance / returns.variance


def _masked(x_BT: Tensor, mask_BT: Tensor) -> Tensor:
    return torch.where(mask_BT, x_BT.float(), 0.0)
