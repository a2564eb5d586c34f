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


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and the task's own reward parts by name (none where one of them failed)."""

    verdict: Verdict
    parts: Mapping[str, float] = field(default_factory=dict)


class Task:
    """Where problems come from and how a response is judged. Subclass it, one level deep."""

    name: str
    checkable: bool = True
    """False for prompts without a right answer (small talk)."""
    rewards: tuple[Reward, ...] = ()
    """Parts of the reward beside accuracy and format."""
    curriculum: int = 0
    """Bands of measured difficulty that training goes through, easy ones first; 0: none."""
    notes: tuple[str, ...] = ()
    """What somebody who uses the task should know, such as rows that were left out."""
    isolated: bool = False
    """True: judging may wait for worker processes, so several threads judge at once."""

    def problems(self, split: Split) -> Sequence[Problem]:
        """All problems of a split, always the same ones in the same order."""
        raise NotImplementedError

    def score(self, problem: Problem, response: str) -> Verdict:
        """Judge a whole response. Total: untrusted text in, a verdict out, never an exception."""
        raise NotImplementedError

    def judge(self, problem: Problem, response: str) -> Judgement:
        """The score, and the task's own reward parts; where one fails the verdict is an error."""
        verdict = self.score(problem, response)
        parts: dict[str, float] = {}
        for reward in self.rewards:
            parts[reward.name], failure = reward.evaluate(problem, response)
            if failure:
                return Judgement(Verdict.error(failure))
        return Judgement(verdict, parts)
