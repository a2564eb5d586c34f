"""Answers outside our own grammar, parsed and compared by math-verify on sympy.

Imported by a worker of the verifier service, which is killed when sympy does not come back; its own
time-outs are off, as they are signals of the main thread.
"""

import logging
from typing import Any

from aha.rewards.verdict import Verdict

_REASON = "compared by math-verify"


def warm_up() -> None:
    """Import sympy and build its parser before a call's clock starts."""
    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    logging.getLogger("latex2sympy2_extended").setLevel(logging.CRITICAL)
    judge_symbolic("$\\frac{1}{2}$", "$0.5$")


def judge_symbolic(text: str, gold: str) -> Verdict:
    """The verdict on an answer that `judge` could not parse."""
    from math_verify import verify

    expected, found = _parsed(gold), _parsed(text)
    if expected is None:
        return Verdict.wrong(text, "not the text of the gold answer")
    if found is None:
        return Verdict.unparseable(f"{text!r} is not an answer")
    if _num_items(expected) != _num_items(found):
        return Verdict.wrong(text, "another number of items than the gold answer")
    if verify(expected, found, timeout_seconds=None):
        return Verdict.correct(text, _REASON)
    return Verdict.wrong(text, "not equal to the gold answer")


def _parsed(text: str) -> Any:
    from math_verify import LatexExtractionConfig, parse

    inside = text.strip().strip("$")
    found = parse(
        f"${inside}$", [LatexExtractionConfig()], fallback_mode="no_fallback", parsing_timeout=None
    )
    return found[0] if found else None


def _num_items(expression: Any) -> int:
    """Items of a set or tuple; a value has one."""
    from sympy import FiniteSet, Tuple

    return len(expression.args) if isinstance(expression, FiniteSet | Tuple) else 1
