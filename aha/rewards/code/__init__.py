"""Rewards for programs: run against tests in the sandbox, and never shown the answers."""

from aha.rewards.code.cases import CodeTests
from aha.rewards.code.extract import extract_program
from aha.rewards.code.results import Judgement, TestResult
from aha.rewards.code.verify import Rules, judge, verify, verify_program

__all__ = [
    "CodeTests",
    "Judgement",
    "Rules",
    "TestResult",
    "extract_program",
    "judge",
    "verify",
    "verify_program",
]
