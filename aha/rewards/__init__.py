"""Rewards and verifiers: total functions of untrusted text that run in bounded time and memory."""

from aha.rewards.accuracy import verify_answer, verify_exact
from aha.rewards.combine import combine
from aha.rewards.expression import (
    ParsedExpression,
    evaluate,
    parse_expression,
    verify_countdown,
)
from aha.rewards.format import FORMAT_KINDS, FormatKind, format_reward
from aha.rewards.language import CONSISTENCY_LANGUAGES, language_consistency
from aha.rewards.numbers import parse_number, verify_number
from aha.rewards.reflection import (
    REFLECTION_WORDS,
    count_reflection_words,
    find_reflection_words,
)
from aha.rewards.verdict import Verdict, VerdictKind

__all__ = [
    "CONSISTENCY_LANGUAGES",
    "FORMAT_KINDS",
    "REFLECTION_WORDS",
    "FormatKind",
    "ParsedExpression",
    "Verdict",
    "VerdictKind",
    "combine",
    "count_reflection_words",
    "evaluate",
    "find_reflection_words",
    "format_reward",
    "language_consistency",
    "parse_expression",
    "parse_number",
    "verify_answer",
    "verify_countdown",
    "verify_exact",
    "verify_number",
]
