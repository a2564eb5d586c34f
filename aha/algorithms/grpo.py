"""The policy loss of GRPO and its family: one function, its keywords are what the papers differ in.

GRPO: DeepSeek-R1 (arXiv 2501.12948) equations 1 and 2, in the token form of DeepSeekMath
(2402.03300, equation 3). DAPO (2503.14476), Dr. GRPO (2503.20783), GSPO (2507.18071, equations 5
and 7) and CISPO (2506.13585, equations 4 and 5) are settings of it: `aha.algorithms.presets`.

    ratio = exp(logp - old_logp)                           per token, or per sequence (GSPO)
    clip  = -min(ratio * A, bounded(ratio) * A)            bounds 1 - clip_low and 1 + clip_high
    cispo = -stop_gradient(bounded(ratio)) * A * logp
    loss  = sum over tokens and sequences of (clip or cispo + kl_coef * KL) / denominator

Differs from the paper: the log-ratio is clamped (`MAX_LOG_RATIO`) before exp. The mean over the
outputs of a question and then over questions is one mean over all sequences of the step, which is
the same while groups are equally large.

Shapes: B sequences, T tokens, padded. Advantages are one a sequence, or one a token [B, T] as PPO
has them. Everything is float32 inside, whatever comes in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from aha.algorithms.kl import MAX_LOG_RATIO, KLEstimator, kl_estimate

RatioLevel = Literal["token", "sequence"]
Surrogate = Literal["clip", "cispo"]
Aggregation = Literal["sequence", "token", "constant"]


@dataclass(frozen=True, slots=True)
class PolicyLoss:
    """The loss of one micro-batch. All fields but `ratio_max_abs_log` are SUMS: they add up.

    The losses are divided by the step's denominator already: added over the micro-batches of a step
    they are the step's. `num_` and `_sum` count over unmasked tokens: add them up, and divide by
    the step's `num_tokens` last. `ratio_max_abs_log` combines by max. `combine` does all of it.
    Every field is a 0-d tensor on the device; only `loss` carries a gradient.
    """

    loss: Tensor  # policy_loss + kl_loss
    policy_loss: Tensor
    kl_loss: Tensor  # kl_coef included
    num_tokens: Tensor  # unmasked
    num_clipped: Tensor  # tokens whose gradient (clip) or weight (cispo) the bounds changed
    old_kl_sum: Tensor  # KL(old || policy) by k3: the move since sampling; 0 on policy
    ref_kl_sum: Tensor  # KL(policy || reference) by `kl_estimator`; 0 without a reference
    ratio_max_abs_log: Tensor  # largest |logp - old_logp| of a token, before any clamp


@dataclass(frozen=True, slots=True)
class StepLoss:
    """The losses of a whole optimizer step, and means over its tokens."""

    loss: float
    policy_loss: float
    kl_loss: float
    num_tokens: int
    clip_fraction: float
    old_kl: float
    ref_kl: float
    ratio_max_abs_log: float


def policy_loss(
    logp_BT: Tensor,
    old_logp_BT: Tensor,
    advantages_B: Tensor,
    mask_BT: Tensor,
    *,
    denominator: float,
    ref_logp_BT: Tensor | None = None,
    kl_coef: float = 0.0,
    kl_estimator: KLEstimator = "k3",
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    clip_dual: float | None = None,
    ratio_level: RatioLevel = "token",
    surrogate: Surrogate = "clip",
    aggregation: Aggregation = "sequence",
) -> PolicyLoss:
    """The loss of a micro-batch, to be minimised.

    advantages_B: one a sequence, or [B, T] with one a token (PPO: `aha.algorithms.ppo`).
    mask_BT: true on the sampled tokens, EOS included; elsewhere the others may hold anything.
    denominator: `loss_denominator` of the whole optimizer step, all micro-batches and ranks, so
        that splitting the step never changes its gradient.
    ref_logp_BT: the reference's log-probs; with `kl_coef=0` the KL is only measured.
    clip_low, clip_high: with R1's 10 the lower bound is -9 and never binds, the upper one is 11.
    clip_dual: for A < 0 the gain is at least `clip_dual * A` (arXiv 1912.09729); above 1.
    ratio_level: "sequence" is the geometric mean of the ratios of the sequence's tokens (GSPO).
    aggregation: what is added up: the token means of sequences ("sequence"), or all tokens.
    """
    _check_shapes(logp_BT, advantages_B, old_logp_BT, mask_BT, ref_logp_BT)
    _check_choices(ratio_level, surrogate, aggregation, clip_dual)
    _check_numbers(denominator, kl_coef, ref_logp_BT)
    mask_BT = mask_BT.bool()
    logp_BT = _masked(logp_BT, mask_BT)
    old_logp_BT = _masked(old_logp_BT.detach(), mask_BT)
    log_ratio_BT = logp_BT - old_logp_BT
    ratio_BT = _ratio(log_ratio_BT, mask_BT, ratio_level)
    advantages = _of_tokens(advantages_B.detach(), mask_BT)
    bounds = (1.0 - clip_low, 1.0 + clip_high)
    if surrogate == "clip":
        loss_BT, clipped_BT = _clip(ratio_BT, advantages, bounds, clip_dual)
    else:
        loss_BT, clipped_BT = _cispo(ratio_BT, advantages, bounds, logp_BT)
    policy = _aggregate(loss_BT, mask_BT, aggregation) / denominator
    kl, ref_kl_sum = torch.zeros_like(policy), torch.zeros_like(policy)
    if ref_logp_BT is not None:
        kl_BT = kl_estimate(logp_BT, _masked(ref_logp_BT, mask_BT), estimator=kl_estimator)
        ref_kl_sum = kl_BT.sum()
        if kl_coef:
            kl = kl_coef * _aggregate(kl_BT, mask_BT, aggregation) / denominator
    return PolicyLoss(
        loss=policy + kl,
        policy_loss=policy.detach(),
        kl_loss=kl.detach(),
        num_tokens=mask_BT.sum(),
        num_clipped=(clipped_BT & mask_BT).sum(),
        old_kl_sum=kl_estimate(old_logp_BT, logp_BT, estimator="k3").sum(),
        ref_kl_sum=ref_kl_sum.detach(),
        ratio_max_abs_log=_max_abs(log_ratio_BT.detach()),
    )


def loss_denominator(
    aggregation: Aggregation, *, num_sequences: int, num_tokens: int, max_tokens: int | None = None
) -> float:
    """What the loss of an optimizer step is divided by; the counts are those of the whole step.

    num_tokens: unmasked tokens; max_tokens: the response length limit, for "constant" alone.
    A step without any gets 1, so that its loss is 0 and not NaN.
    """
    if aggregation == "sequence":
        return float(max(1, num_sequences))
    if aggregation == "token":
        return float(max(1, num_tokens))
    if aggregation == "constant":
        if max_tokens is None:
            raise ValueError('aggregation "constant" needs max_tokens')
        return float(max(1, num_sequences) * max_tokens)
    raise ValueError(f"unknown aggregation {aggregation!r}: sequence, token or constant")


def combine(parts: Sequence[PolicyLoss]) -> StepLoss:
    """The numbers of an optimizer step from those of its micro-batches."""
    if not parts:
        raise ValueError("a step has at least one micro-batch")

    def total(field: str) -> float:
        return float(torch.stack([getattr(part, field).detach().double() for part in parts]).sum())

    num_tokens = int(total("num_tokens"))
    tokens = max(1, num_tokens)
    return StepLoss(
        loss=total("loss"),
        policy_loss=total("policy_loss"),
        kl_loss=total("kl_loss"),
        num_tokens=num_tokens,
        clip_fraction=total("num_clipped") / tokens,
        old_kl=total("old_kl_sum") / tokens,
        ref_kl=total("ref_kl_sum") / tokens,
        ratio_max_abs_log=max(float(part.ratio_max_abs_log) for part in parts),
    )


def _masked(x_BT: Tensor, mask_BT: Tensor) -> Tensor:
    return torch.where(mask_BT, x_BT.float(), 0.0)


def _of_tokens(advantages: Tensor, mask_BT: Tensor) -> Tensor:
    """[B, 1] where a sequence has one advantage, [B, T] where every token has."""
    return advantages.float()[:, None] if advantages.ndim == 1 else _masked(advantages, mask_BT)


def _ratio(log_ratio_BT: Tensor, mask_BT: Tensor, level: RatioLevel) -> Tensor:
    """policy / old; GSPO-token: the value of s_i with the gradient of s_i * log pi(token)."""
    if level == "sequence":
        mean_B = log_ratio_BT.detach().sum(1) / mask_BT.sum(1).clamp(min=1)
        log_ratio_BT = mean_B[:, None] + (log_ratio_BT - log_ratio_BT.detach())
    return log_ratio_BT.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()


def _clip(
    ratio_BT: Tensor, advantages: Tensor, bounds: tuple[float, float], dual: float | None
) -> tuple[Tensor, Tensor]:
    """PPO's pessimistic bound, and the tokens whose gradient it took."""
    low, high = bounds
    good, bad = advantages > 0, advantages < 0
    gain_BT = torch.minimum(ratio_BT * advantages, ratio_BT.clamp(low, high) * advantages)
    clipped_BT = (good & (ratio_BT > high)) | (bad & (ratio_BT < low))
    if dual is not None:
        gain_BT = torch.where(bad, torch.maximum(gain_BT, dual * advantages), gain_BT)
        clipped_BT = clipped_BT | (bad & (ratio_BT > dual))
    return -gain_BT, clipped_BT


def _cispo(
    ratio_BT: Tensor, advantages: Tensor, bounds: tuple[float, float], logp_BT: Tensor
) -> tuple[Tensor, Tensor]:
    """REINFORCE with a clipped constant weight: every token keeps a gradient."""
    ratio_BT = ratio_BT.detach()
    weight_BT = ratio_BT.clamp(*bounds)
    return -weight_BT * advantages * logp_BT, (weight_BT != ratio_BT) & (advantages != 0)


def _aggregate(x_BT: Tensor, mask_BT: Tensor, aggregation: Aggregation) -> Tensor:
    sum_B = torch.where(mask_BT, x_BT, 0.0).sum(1)
    if aggregation == "sequence":
        sum_B = sum_B / mask_BT.sum(1).clamp(min=1)
    return sum_B.sum()


def _max_abs(x_BT: Tensor) -> Tensor:
    return x_BT.abs().max() if x_BT.numel() else x_BT.new_zeros(())


def _check_shapes(logp: Tensor, advantages: Tensor, *others: Tensor | None) -> None:
    alike = all(other is None or other.shape == logp.shape for other in others)
    fits = advantages.shape in (logp.shape[:1], logp.shape)
    if logp.ndim != 2 or not fits or not alike:
        shapes = [tuple(t.shape) for t in (logp, advantages, *others) if t is not None]
        raise ValueError(
            f"want logp (B, T), advantages (B,) or (B, T), all others (B, T), not {shapes}"
        )


def _check_choices(
    ratio_level: str, surrogate: str, aggregation: str, clip_dual: float | None
) -> None:
    if ratio_level not in get_args(RatioLevel):
        raise ValueError(f"unknown ratio_level {ratio_level!r}: token or sequence")
    if surrogate not in get_args(Surrogate):
        raise ValueError(f"unknown surrogate {surrogate!r}: clip or cispo")
    if aggregation not in get_args(Aggregation):
        raise ValueError(f"unknown aggregation {aggregation!r}: sequence, token or constant")
    if clip_dual is not None and (clip_dual <= 1 or surrogate != "clip"):
        raise ValueError('clip_dual must be above 1 and belongs to surrogate="clip"')


def _check_numbers(denominator: float, kl_coef: float, ref_logp: Tensor | None) -> None:
    if not denominator > 0:
        raise ValueError(f"denominator must be above 0, not {denominator}")
    if kl_coef and ref_logp is None:
        raise ValueError("a KL coefficient needs the reference's log-probs")
