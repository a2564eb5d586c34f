"""What a verifier says about one response."""

from dataclasses import dataclass
from typing import Literal

VerdictKind = Literal["correct", "wrong", "unparseable", "timeout", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judgement on one response, with its reason.

    `timeout` and `error` say that the verifier failed, not the model: such samples are left out of
    their group (`is_scored` is False), counted and shown.
    """

    kind: VerdictKind
    score: float
    """Accuracy reward, 0 to 1."""
    reason: str = ""
    extracted: str | None = None
    """The answer as found in the response, before it was compared."""

    @property
    def is_correct(self) -> bool:
        return self.kind == "correct"

    @property
    def is_scored(self) -> bool:
        return self.kind not in ("timeout", "error")

    @classmethod
    def correct(cls, extracted: str, reason: str = "equal to the gold answer") -> "Verdict":
        return cls(kind="correct", score=1.0, reason=reason, extracted=extracted)

    @classmethod
    def wrong(cls, extracted: str, reason: str) -> "Verdict":
        return cls(kind="wrong", score=0.0, reason=reason, extracted=extracted)

    @classmethod
    def unparseable(cls, reason: str) -> "Verdict":
        return cls(kind="unparseable", score=0.0, reason=reason)

    @classmethod
    def error(cls, reason: str) -> "Verdict":
        return cls(kind="error", score=0.0, reason=reason)
