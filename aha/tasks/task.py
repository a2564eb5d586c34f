"""What a task is: problems in three splits, and a judgement on a whole response."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aha.rewards.user import Reward
from aha.rewards.verdict import Verdict

Split = Literal["train", "validation", "heldout"]
SPLITS: tuple[Split, ...] = ("train", "validation", "heldout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One question with its gold answer."""

    id: str
    """Unique and stable, for example `arithmetic/heldout/000012`."""
    question: str
    gold: str
    language: str = "en"
    """Language of the question (ISO 639-1); the chain of thought is expected in it."""
    meta: Mapping[str, Any] = field(default_factory=dict)


class Task:
    """Where problems come from and how a response is judged. Subclass it, one level deep."""

    name: str
    checkable: bool = True
    """False for prompts without a right answer (small talk)."""
    rewards: tuple[Reward, ...] = ()
    """Parts of the reward beside accuracy and format."""

    def problems(self, split: Split) -> Sequence[Problem]:
        """All problems of a split, always the same ones in the same order."""
        raise NotImplementedError

    def score(self, problem: Problem, response: str) -> Verdict:
        """Judge a whole response. Total: untrusted text in, a verdict out, never an exception."""
        raise NotImplementedError
