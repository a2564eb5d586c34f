"""Errors that are meant for a person: what went wrong in one line, and what to do about it.

Three kinds of error exist (STYLE 13). These two are the user's; what a model writes is data and
never raises; anything else is ours and keeps its traceback.
"""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """The user's mistake or environment: printed as `error: ...` and `hint: ...`, exit status 2."""

    def __init__(self, message: str, *, hint: str | None = None):
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.hint))


class HealthError(UserError):
    """A run that a health rule stopped (non-finite loss, failing verifiers): exit status 3."""


def _rebuild(kind: type[UserError], message: str, hint: str | None) -> UserError:
    return kind(message, hint=hint)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like `word`, or None when nothing is near."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None
