"""When reinforcement learning has converged: accuracy of the rollouts has stopped rising.

The paper trains its reasoning stage "until convergence" and gives no rule. Here: the mean accuracy
of the last N steps is not above that of the N steps before by half a point.
"""

from collections.abc import Sequence
from typing import Any

from aha.pipeline.files import read_jsonl
from aha.pipeline.stage import StageContext
from aha.trainers.rollout_config import RolloutConfig

MIN_GAIN = 0.005
FLAT_RULE = "mean accuracy of the last {0} steps is less than 0.5 points above the {0} before"


def is_flat(accuracy: Sequence[float], *, window: int, min_gain: float = MIN_GAIN) -> bool:
    """Whether the last `window` values are no better than as many before them.

    accuracy: of every step so far, 0 to 1. False while there are fewer than two windows.
    """
    if len(accuracy) < 2 * window:
        return False
    late, early = accuracy[-window:], accuracy[-2 * window : -window]
    return sum(late) / window - sum(early) / window < min_gain


def has_converged(ctx: StageContext[RolloutConfig], step: int) -> bool:
    """The rule on the steps of metrics.jsonl, the same on every rank."""
    window = ctx.config.stop_when_flat
    if window is None:
        return False
    flat = False
    if ctx.ranks.is_main:
        rows = read_jsonl(ctx.directory / "metrics.jsonl")
        values = [row["rollout/accuracy"] for row in rows if 1 <= row["step"] <= step]
        flat = is_flat(values, window=window)
    return ctx.ranks.broadcast(flat)


def how_it_ended(config: RolloutConfig, step: int, *, converged: bool) -> dict[str, Any]:
    """What a stage says about its last step: by the rule, or because its steps were used up."""
    if converged:
        rule = FLAT_RULE.format(config.stop_when_flat)
        return {"steps": step, "converged": True, "ended": f"converged at step {step}: {rule}"}
    if config.stop_when_flat is None:
        return {"steps": step}
    ended = f"accuracy was still rising at the last of {config.num_steps} steps"
    return {"steps": step, "converged": False, "ended": ended}
