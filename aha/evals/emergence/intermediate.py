"""Where in a thought the right answer first stands as a result: what comes after may be too much.

Overthinking: arXiv 2412.21187 measures how far a response gets with its first right solution.
"""

import re
from fractions import Fraction
from functools import lru_cache

from aha.evals.corrections.equations import NUMBER, value_of

MAX_TEXT_CHARS = 100_000
_VALUE = rf"(?P<value>-?{NUMBER})(?![\d/]|\s*[-+*/=\u00d7\u00f7]\s*\d)"
_STATED = re.compile(
    r"(?:=|\u2248|\u7b49\u4e8e|\u7b54\u6848\u662f|\u5f97\u5230?|\b(?:is|are|be|equals?|gives?|gets?|makes?"
    rf"|total(?: of)?|answer:)(?: about| exactly| just)?)\s*\$?\s*{_VALUE}",
    re.IGNORECASE,
)
_LISTED = re.compile(
    rf"(?:^|[.\u3002,\uff0c]\s)\s*{_VALUE}(?=[.\u3002,\uff0c]\s|[.\u3002]?$)", re.MULTILINE
)
"""Bare values between commas or full stops: `29, 43.`"""
_CUES = (
    r"(?:\b(?:answer is|answer:|it is|it's|it must be|must be|maybe|probably|perhaps|nobody beats"
    r"|option|choose|choice)|\\boxed\{|\u7b54\u6848\u662f|\u4e5f\u8bb8\u662f|\u6ca1\u6709\u4eba\u8d85\u8fc7|\u5e94\u8be5\u662f|\u9009)[\s(:*]*"
)


def first_right(thought: str, gold: str) -> int | None:
    """The end of the first place where the right answer is stated as a result; None: nowhere.

    A gold that has a value (`42`, `( 20 - 18 ) + 8`) is compared as a value with what stands
    after `=` or `is`; any other (a name, a letter) has to follow words
    with which an answer is tried (`maybe`, `the answer is`). A value may be right by chance.
    """
    thought = thought[:MAX_TEXT_CHARS]
    value = gold_value(gold)
    ends = _ends_of_value(thought, value) if value is not None else _ends_of_text(thought, gold)
    return min(ends, default=None)


@lru_cache(maxsize=10_000)
def gold_value(gold: str) -> Fraction | None:
    """The value of a gold answer that is a number or an expression."""
    return value_of(gold.strip().strip("$").replace(",", ""))


def _ends_of_value(thought: str, value: Fraction) -> list[int]:
    matches = (match for rule in (_STATED, _LISTED) for match in rule.finditer(thought))
    return [m.end("value") for m in matches if value_of(m["value"].replace(",", "")) == value]


def _ends_of_text(thought: str, gold: str) -> list[int]:
    if not gold.strip():
        return []
    tried = re.search(rf"{_CUES}{re.escape(gold.strip())}(?![A-Za-z0-9])", thought, re.IGNORECASE)
    return [tried.end()] if tried else []
