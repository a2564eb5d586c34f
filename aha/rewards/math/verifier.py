"""`verify` and `verify_here`: the entry points."""

from aha.rewards.math.judge import Undecided, judge
from aha.rewards.verdict import Verdict


def verify(
    prediction: str,
    gold: str,
    *,
    timeout_seconds: float = 5.0,
    tolerance: float | None = None,
    marked_only: bool = False,
) -> Verdict:
    """Whether a reply's answer is `gold`. From any thread; total: bad text is a verdict.

    `prediction` is anything from a bare answer to a whole solution; `gold` says what kind of answer
    is wanted. `tolerance` is the absolute error that the task allows, None: as exact as the gold.
    `marked_only`: only an answer in an answer block, a box, after #### or an answer phrase counts,
    or a reply that is nothing but an answer; no last formula, no last number of the prose.

    Nearly all is decided here in microseconds to milliseconds, under a budget of steps; what our
    grammar does not have goes to a worker and is killed after `timeout_seconds`: kind "timeout".
    """
    try:
        return judge(prediction, gold, tolerance=tolerance, marked_only=marked_only)
    except Undecided as case:
        from aha.rewards.service import default_pool

        return default_pool().run(
            "aha.rewards.math.symbolic:judge_symbolic",
            case.text,
            case.gold,
            timeout_seconds=timeout_seconds,
        )


def verify_here(
    prediction: str, gold: str, *, tolerance: float | None = None, marked_only: bool = False
) -> Verdict:
    """`verify` in this process and without a clock: what a worker runs."""
    try:
        return judge(prediction, gold, tolerance=tolerance, marked_only=marked_only)
    except Undecided as case:
        from aha.rewards.math.symbolic import judge_symbolic

        return judge_symbolic(case.text, case.gold)
