"""Runs programs that nobody has read: fails closed, and says what came of them."""

from aha.rewards.sandbox.commands import run, run_python
from aha.rewards.sandbox.pool import allow_unsafe, backend, close, is_available, is_unsafe_allowed
from aha.rewards.sandbox.types import Limits, Outcome, SandboxFailure, Status

__all__ = [
    "Limits",
    "Outcome",
    "SandboxFailure",
    "Status",
    "allow_unsafe",
    "backend",
    "close",
    "is_available",
    "is_unsafe_allowed",
    "run",
    "run_python",
]
