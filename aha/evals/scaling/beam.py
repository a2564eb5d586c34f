"""Beam search over reasoning steps (arXiv 2408.03314, 3.1, names it; a step is a sentence or line).

`size` continuations by one step are drawn, the best `size / branch` of them are kept, and each of
those is continued by `branch` others, until all that are kept have ended. With a size of 1 nothing
is chosen: then it is plain sampling, token by token.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aha.evals.scaling.sampler import Chunk, Draft, Outcome, Question, Sampler
from aha.evals.scaling.scorers import Scorer, Votes
from aha.evals.scaling.tree import distinct

MOST_STEPS = 512


@dataclass(slots=True)
class Beams:
    """The search of one problem."""

    question: Question
    votes: Votes
    kept: list[Draft] = field(default_factory=lambda: [Draft()])
    """The best so far, best first."""
    tokens: int = 0


def beam_by(scorer: Scorer, name: str) -> Callable[[Sampler, Chunk, int], list[Outcome]]:
    """Beam search under a scorer; the number is that of candidates a step."""

    def beam(sampler: Sampler, chunk: Chunk, size: int) -> list[Outcome]:
        searches = search(sampler, chunk, size, scorer, name)
        final = [(one.question, one.kept[0]) for one in searches]
        return [
            Outcome(one.tokens, float(mark.correct), sampler.text(draft))
            for one, (_, draft), mark in zip(searches, final, sampler.marks(final), strict=True)
        ]

    return beam


def search(sampler: Sampler, chunk: Chunk, size: int, scorer: Scorer, name: str) -> list[Beams]:
    """Search all problems of a chunk side by side, to the end."""
    branch = min(size, sampler.settings.branch)
    width = max(1, size // branch)
    searches = [Beams(question, Votes(sampler.same_answer)) for question in chunk]
    for depth in range(MOST_STEPS):
        going = [one for one in searches if any(_is_open(sampler, one, d) for d in one.kept)]
        if not going:
            break
        grown = _grow(sampler, going, size=size if depth == 0 else branch)
        _keep_best(sampler, going, grown, width, scorer, f"beam/{name}/{size}/{depth}")
    return searches


def _is_open(sampler: Sampler, one: Beams, draft: Draft) -> bool:
    return not draft.ended and sampler.room(one.question, draft) > 0


def _grow(sampler: Sampler, going: Sequence[Beams], *, size: int) -> list[list[Draft]]:
    """Each problem's candidates: those that have ended, and the others one step on.

    The streams are those of plain samples: beam 0 draws what sample 0 of the problem would.
    """
    open_drafts = [
        (one, place, draft)
        for one in going
        for place, draft in enumerate(one.kept)
        if _is_open(sampler, one, draft)
    ]
    groups = sampler.extend(
        [(one.question, draft) for one, _, draft in open_drafts],
        stream=0,
        branches=[place for _, place, _ in open_drafts],
        num=size,
        max_new_tokens=sampler.settings.step_tokens,
        stop=sampler.settings.step_ends,
    )
    candidates = {id(one): [d for d in one.kept if not _is_open(sampler, one, d)] for one in going}
    for (one, _, before), group in zip(open_drafts, groups, strict=True):
        one.tokens += sum(len(draft.ids) - len(before.ids) for draft in group)
        candidates[id(one)] += group
    return [distinct(candidates[id(one)]) for one in going]


def _keep_best(
    sampler: Sampler,
    going: Sequence[Beams],
    grown: Sequence[list[Draft]],
    width: int,
    scorer: Scorer,
    stream: str,
) -> None:
    """Score the candidates and keep the best; of equals those that were drawn first."""
    flat = [(one, draft) for one, drafts in zip(going, grown, strict=True) for draft in drafts]
    values = scorer(
        sampler, [(one.question, d) for one, d in flat], [one.votes for one, _ in flat], stream
    )
    scored: dict[int, list[tuple[float, Draft]]] = {id(one): [] for one in going}
    for (one, draft), valued in zip(flat, values, strict=True):
        scored[id(one)].append((valued.value, draft))
        one.tokens += valued.tokens
    for one in going:
        ordered = sorted(scored[id(one)], key=lambda pair: -pair[0])
        one.kept = [draft for _, draft in ordered[:width]]
