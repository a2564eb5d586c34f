"""Duplicates among problems: the same question again, or nearly the same one.

Two questions are exact duplicates when their words are the same in the same order, whatever the
case and punctuation, and the gold answers are equal. They are near duplicates when the Jaccard
similarity of their word n-grams reaches a threshold, the same numbers stand in both and the gold
answers are equal: "the same with another number" is another problem.

Similar pairs are found exactly, not by sampling: a pair of similarity t or more has to share one of
the |A| - ceil(t |A|) + 1 rarest n-grams of either text (prefix filtering, as in All-Pairs, Bayardo
et al. 2007), so only those are looked up.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aha.data.ngrams import Gram, is_cjk, ngrams, numbers_of, tokens_of
from aha.tasks.task import Problem

THRESHOLD = 0.8
WORDS, CHARACTERS = 3, 5
"""Length of an n-gram of words, and of CJK characters."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A problem that repeats an earlier one."""

    index: int
    of: int
    """Index of the problem that is kept in its place."""
    similarity: float
    """Jaccard similarity of the n-grams; 1 for exact duplicates."""

    @property
    def is_exact(self) -> bool:
        return self.similarity == 1.0


@dataclass(frozen=True, slots=True)
class _Text:
    """What two problems are compared by."""

    tokens: tuple[str, ...]
    grams: frozenset[Gram]
    numbers: Gram
    gold: str

    def same_problem(self, other: "_Text") -> bool:
        return self.numbers == other.numbers and self.gold == other.gold


def find_duplicates(
    problems: Sequence[Problem], *, threshold: float | None = THRESHOLD
) -> list[Duplicate]:
    """The problems that repeat an earlier one, in order; `threshold` None: exact ones alone.

    The first of several is kept: put the problems that must stay, such as held-out ones, first.
    """
    texts = [_text(problem) for problem in problems]
    found = {duplicate.index: duplicate for duplicate in _exact(texts)}
    if threshold is not None:
        kept = [index for index in range(len(texts)) if index not in found]
        found |= {duplicate.index: duplicate for duplicate in _near(texts, kept, threshold)}
    return [found[index] for index in sorted(found)]


def _text(problem: Problem) -> _Text:
    tokens = tokens_of(problem.question)
    n = CHARACTERS if is_cjk(tokens) else WORDS
    gold = " ".join(problem.gold.split()).casefold()
    return _Text(tuple(tokens), frozenset(ngrams(tokens, n)), numbers_of(tokens), gold)


def _exact(texts: Sequence[_Text]) -> Iterable[Duplicate]:
    first: dict[tuple[tuple[str, ...], str], int] = {}
    for index, text in enumerate(texts):
        of = first.setdefault((text.tokens, text.gold), index)
        if of != index:
            yield Duplicate(index, of, 1.0)


def _near(texts: Sequence[_Text], indices: Sequence[int], threshold: float) -> Iterable[Duplicate]:
    """Pairs of kept texts; a text that was dropped does not drop others."""
    rarity = Counter(gram for index in indices for gram in texts[index].grams)
    with_gram: dict[Gram, list[int]] = defaultdict(list)
    for index in indices:
        text = texts[index]
        rarest = sorted(text.grams, key=lambda gram: (rarity[gram], gram))
        prefix = rarest[: len(rarest) - math.ceil(threshold * len(rarest)) + 1]
        candidates = {other for gram in prefix for other in with_gram[gram]}
        best = max(
            (
                (jaccard(text.grams, texts[i].grams), -i)
                for i in candidates
                if text.same_problem(texts[i])
            ),
            default=(0.0, 0),
        )
        if best[0] >= threshold:
            # the words differ somewhere, if only in their order: near, not exact
            yield Duplicate(index, -best[1], min(best[0], math.nextafter(1.0, 0.0)))
            continue
        for gram in prefix:
            with_gram[gram].append(index)


def jaccard(a: frozenset[Gram], b: frozenset[Gram]) -> float:
    """Shared n-grams over all n-grams of both."""
    union = len(a | b)
    return len(a & b) / union if union else 1.0
