"""Strategies that draw k responses and take one answer: vote, best score, or the verifier.

All are expectations over the subsets of one pool, exact: cons@k (arXiv 2203.11171), best-of-k by
a score, and pass@k (2107.03374, equation 1), which knows the answers and is only a ceiling.
"""

import math
from collections.abc import Callable, Sequence
from itertools import groupby

from aha.evals.metrics import classes, cons_at_k, pass_at_k
from aha.evals.scaling.sampler import Chunk, Draft, Mark, Outcome, Question, Sampler

Score = Callable[[Sampler, Sequence[tuple[Question, Draft]]], list[float]]


def majority(sampler: Sampler, chunk: Chunk, k: int) -> list[Outcome]:
    """The answer that most of k responses give; a tie counts as the share that is right."""
    return _of_pool(
        sampler, chunk, k, lambda question, drafts, marks: vote_share(marks, sampler.same_answer, k)
    )


def oracle(sampler: Sampler, chunk: Chunk, k: int) -> list[Outcome]:
    """Whether one of k responses is right: what a perfect verifier would pick."""
    return _of_pool(
        sampler,
        chunk,
        k,
        lambda question, drafts, marks: pass_at_k(len(marks), sum(m.correct for m in marks), k),
    )


def best_by(score: Score) -> Callable[[Sampler, Chunk, int], list[Outcome]]:
    """The response of k with the highest score."""

    def best(sampler: Sampler, chunk: Chunk, k: int) -> list[Outcome]:
        def value(question: Question, drafts: Sequence[Draft], marks: Sequence[Mark]) -> float:
            scores = score(sampler, [(question, draft) for draft in drafts])
            return best_of_k(scores, [mark.correct for mark in marks], k)

        return _of_pool(sampler, chunk, k, value)

    return best


def by_logprob(sampler: Sampler, drafts: Sequence[tuple[Question, Draft]]) -> list[float]:
    """Mean log-prob of a response's tokens: how sure the model was."""
    return [draft.mean_logprob for _, draft in drafts]


def by_reward(sampler: Sampler, drafts: Sequence[tuple[Question, Draft]]) -> list[float]:
    """What the reward model says."""
    assert sampler.reward is not None
    return sampler.reward([(q.problem.question, sampler.text(draft)) for q, draft in drafts])


def vote_share(marks: Sequence[Mark], same: Callable[[str, str], bool], k: int) -> float:
    """Chance that the vote of k of these responses is right; nothing but answers decides it.

    Answers of one class may be graded differently (`0.5` as a decimal and as a fraction, where the
    task asks for one of them): the class is then right in that share.
    """
    votes = classes([mark.answer for mark in marks], same)
    value = 0.0
    for kind in dict.fromkeys(vote for vote in votes if vote is not None):
        members = [mark.correct for mark, vote in zip(marks, votes, strict=True) if vote == kind]
        if any(members):
            value += cons_at_k(votes, gold=kind, k=k) * sum(members) / len(members)
    return value


def best_of_k(scores: Sequence[float], correct: Sequence[bool], k: int) -> float:
    """Chance that the best-scored of k responses, drawn without replacement, is right; exact.

    Of equal scores any is taken. The best of a subset has rank i with probability
    (C(below + same, k) - C(below, k)) / C(n, k), for `same` responses of its score.
    """
    if not 1 <= k <= len(scores):
        raise ValueError(f"k is {k}, not in 1..{len(scores)}")
    ordered = sorted(zip(scores, correct, strict=True), key=lambda pair: pair[0])
    value, below = 0.0, 0
    for _, group in groupby(ordered, key=lambda pair: pair[0]):
        members = [right for _, right in group]
        ways = math.comb(below + len(members), k) - math.comb(below, k)
        value += ways * sum(members) / len(members)
        below += len(members)
    return value / math.comb(len(scores), k)


def _of_pool(
    sampler: Sampler,
    chunk: Chunk,
    k: int,
    value: Callable[[Question, Sequence[Draft], Sequence[Mark]], float],
) -> list[Outcome]:
    """Outcomes whose cost is that of k responses of the pool on average."""
    outcomes = []
    for question, drafts, marks in zip(
        chunk, sampler.pool(chunk), sampler.pool_marks(chunk), strict=True
    ):
        tokens = k * sum(len(draft.ids) for draft in drafts) / len(drafts)
        score = value(question, drafts, marks)
        outcomes.append(Outcome(tokens, score, sampler.text(drafts[0])))
    return outcomes
