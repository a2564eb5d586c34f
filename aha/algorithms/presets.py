"""The family of GRPO as settings: what each paper fills in for the keywords of `aha.algorithms`.

    s = SETTINGS["dapo"]
    advantages = group_advantages(rewards_N, group_N, scale=s["scale"])
    loss = policy_loss(logp_BT, old_logp_BT, advantages_B, mask_BT, denominator=..., **s["loss"])

A setting with `kl_coef` above 0 needs a reference.

| setting | arXiv id | what it fills in |
| --- | --- | --- |
| r1 | 2501.12948 | stage 1: clip 10, KL 0.001, mean per sequence (R1-Zero's clip is not stated) |
| dapo | 2503.14476 | clip 0.2 / 0.28, token mean, no KL, dynamic sampling, soft overlong penalty |
| dr_grpo | 2503.20783 | no std, tokens divided by a constant, no KL |
| gspo | 2507.18071 | ratio per sequence, clip 3e-4 / 4e-4, no KL (section 5.1) |
| cispo | 2506.13585 | bounds the weight, never drops a token; token mean, no KL |
| modern | - | consensus of libraries in 2026: as dapo, but no std and no overlong penalty |

Differs from the papers: MiniMax-M1 (cispo) names no bounds, only that the lower one is idle and the
upper one tuned; 1.0 and 4.0 hold the weight in [0, 5]. DAPO's rewards are +1 and -1, which changes
nothing once they are divided by the std of the group.
"""

from typing import TypedDict

from aha.algorithms.advantages import AdvantageScale
from aha.algorithms.grpo import Aggregation, RatioLevel, Surrogate
from aha.algorithms.kl import KLEstimator


class LossKeywords(TypedDict):
    """Keywords of `aha.algorithms.grpo.policy_loss`."""

    clip_low: float
    clip_high: float
    kl_coef: float
    kl_estimator: KLEstimator
    ratio_level: RatioLevel
    surrogate: Surrogate
    aggregation: Aggregation


class Setting(TypedDict):
    """One member of the family."""

    paper: str  # arXiv id, "" for none
    scale: AdvantageScale
    drop_equal_groups: bool  # dynamic sampling
    soft_overlong: bool  # add `soft_overlong_penalty` to the reward
    loss: LossKeywords


def _loss(
    clip_low: float,
    clip_high: float,
    *,
    kl_coef: float = 0.0,
    ratio_level: RatioLevel = "token",
    surrogate: Surrogate = "clip",
    aggregation: Aggregation = "token",
) -> LossKeywords:
    return LossKeywords(
        clip_low=clip_low,
        clip_high=clip_high,
        kl_coef=kl_coef,
        kl_estimator="k3",
        ratio_level=ratio_level,
        surrogate=surrogate,
        aggregation=aggregation,
    )


SETTINGS: dict[str, Setting] = {
    "r1": {
        "paper": "2501.12948",
        "scale": "group_std",
        "drop_equal_groups": False,
        "soft_overlong": False,
        "loss": _loss(10.0, 10.0, kl_coef=0.001, aggregation="sequence"),
    },
    "dapo": {
        "paper": "2503.14476",
        "scale": "group_std",
        "drop_equal_groups": True,
        "soft_overlong": True,
        "loss": _loss(0.2, 0.28),
    },
    "dr_grpo": {
        "paper": "2503.20783",
        "scale": "none",
        "drop_equal_groups": False,
        "soft_overlong": False,
        "loss": _loss(0.2, 0.2, aggregation="constant"),
    },
    "gspo": {
        "paper": "2507.18071",
        "scale": "group_std",
        "drop_equal_groups": False,
        "soft_overlong": False,
        "loss": _loss(3e-4, 4e-4, ratio_level="sequence", aggregation="sequence"),
    },
    "cispo": {
        "paper": "2506.13585",
        "scale": "group_std",
        "drop_equal_groups": False,
        "soft_overlong": False,
        "loss": _loss(1.0, 4.0, surrogate="cispo"),
    },
    "modern": {
        "paper": "",
        "scale": "none",
        "drop_equal_groups": True,
        "soft_overlong": False,
        "loss": _loss(0.2, 0.28),
    },
}
