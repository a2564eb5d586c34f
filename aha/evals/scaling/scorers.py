"""What a partial response is worth: the guides of beam search and MCTS.

- `logprob`: the mean log-prob of its tokens, as a probability. Free.
- `consensus`: the share of responses rolled out from it that give the problem's leading answer, a
  Monte-Carlo value (arXiv 2312.08935) that asks the model itself in place of the gold answer.
- `reward`: a reward model's score of the text so far, through a sigmoid.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aha.evals.metrics import sigmoid
from aha.evals.scaling.sampler import Draft, Question, Sampler, stream_of


@dataclass(frozen=True, slots=True)
class Valued:
    """The value of a partial response, from 0 to 1, and what it cost to find out."""

    value: float
    tokens: int = 0


@dataclass(slots=True)
class Votes:
    """Answers to one problem, counted by class."""

    same: Callable[[str, str], bool]
    counts: list[float] = field(default_factory=list)
    _members: list[str] = field(default_factory=list)

    def add(self, answer: str | None, weight: float = 1.0) -> int | None:
        """Count an answer; its class, None where there is no answer."""
        if answer is None:
            return None
        found = (
            i for i, one in enumerate(self._members) if one == answer or self.same(one, answer)
        )
        kind = next(found, len(self._members))
        if kind == len(self._members):
            self._members.append(answer)
            self.counts.append(0.0)
        self.counts[kind] += weight
        return kind

    @property
    def leading(self) -> int | None:
        """The class with most votes; of several the one that came first."""
        return max(range(len(self.counts)), key=self.counts.__getitem__, default=None)

    def share(self, kind: int | None) -> float:
        """The part of all votes that a class has."""
        total = sum(self.counts)
        return self.counts[kind] / total if kind is not None and total else 0.0


class Scorer(Protocol):
    """Values of partial responses, each of a problem whose votes it may read and add to."""

    def __call__(
        self,
        sampler: Sampler,
        drafts: Sequence[tuple[Question, Draft]],
        votes: Sequence[Votes],
        stream: str,
    ) -> list[Valued]: ...


def by_nothing(
    sampler: Sampler, drafts: Sequence[tuple[Question, Draft]], votes: Sequence[Votes], stream: str
) -> list[Valued]:
    """No scorer: all are worth the same, so the first ones are kept."""
    return [Valued(0.0)] * len(drafts)


def by_logprob(
    sampler: Sampler, drafts: Sequence[tuple[Question, Draft]], votes: Sequence[Votes], stream: str
) -> list[Valued]:
    return [Valued(math.exp(draft.mean_logprob)) for _, draft in drafts]


def by_reward(
    sampler: Sampler, drafts: Sequence[tuple[Question, Draft]], votes: Sequence[Votes], stream: str
) -> list[Valued]:
    assert sampler.reward is not None
    pairs = [(question.problem.question, sampler.text(draft)) for question, draft in drafts]
    return [Valued(sigmoid(score)) for score in sampler.reward(pairs)]


def by_consensus(
    sampler: Sampler, drafts: Sequence[tuple[Question, Draft]], votes: Sequence[Votes], stream: str
) -> list[Valued]:
    """Roll out `settings.rollouts` responses from each; a finished one speaks for itself."""
    going = [i for i, (_, draft) in enumerate(drafts) if not draft.ended]
    rolled = sampler.extend(
        [drafts[i] for i in going],
        stream=stream_of(stream, "rollouts"),
        branches=going_branches(drafts, going),
        num=sampler.settings.rollouts,
    )
    responses: list[list[Draft]] = [[draft] for _, draft in drafts]
    for i, group in zip(going, rolled, strict=True):
        responses[i] = group
    groups = [(question, own) for (question, _), own in zip(drafts, responses, strict=True)]
    marks = sampler.grouped_marks(groups)
    kinds = [[vote.add(m.answer) for m in own] for vote, own in zip(votes, marks, strict=True)]
    return [
        Valued(
            sum(kind is not None and kind == vote.leading for kind in own) / len(own),
            sum(len(response.ids) - len(draft.ids) for response in group),
        )
        for (_, draft), vote, own, group in zip(drafts, votes, kinds, responses, strict=True)
    ]


def going_branches(drafts: Sequence[tuple[Question, Draft]], going: Sequence[int]) -> list[int]:
    """Numbers of the drafts among those of the same problem: their random streams."""
    seen: dict[int, int] = {}
    branches = []
    for index in going:
        group = drafts[index][0].group
        branches.append(seen.get(group, 0))
        seen[group] = branches[-1] + 1
    return branches
