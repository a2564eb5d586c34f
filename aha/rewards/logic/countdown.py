"""The 24 game and Countdown: an expression of given numbers that reaches a target.

The expression is parsed and computed with exact fractions (`aha.rewards.expression`), never
evaluated by Python.
"""

from collections.abc import Sequence
from fractions import Fraction

from aha.rewards.expression import verify_countdown
from aha.rewards.logic.reply import NoAnswer, answer_of
from aha.rewards.verdict import Verdict

_LATEX = {"\\times": "*", "\\cdot": "*", "\\div": "/", "\\left": "", "\\right": ""}
_AROUND = "`$. \t\n"


def verify(
    prediction: str, *, numbers: Sequence[int], target: int | str | Fraction = 24
) -> Verdict:
    """Whether a reply's expression reaches `target` with each of `numbers` exactly once."""
    try:
        given, goal = [int(number) for number in numbers], Fraction(target)
    except (TypeError, ValueError, ZeroDivisionError):
        return Verdict.error("numbers and target are not numbers")
    try:
        text = answer_of(prediction).strip(_AROUND)
    except NoAnswer as problem:
        return Verdict.unparseable(str(problem))
    for command, sign in _LATEX.items():
        text = text.replace(command, sign)
    return verify_countdown(text, numbers=given, target=goal)
