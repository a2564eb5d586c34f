"""Problems that share a passage with an evaluation suite, by n-gram overlap.

arXiv 2501.12948v2, D.1: training text with a 10-gram of evaluation questions or reference solutions
was removed. Differs from the paper: only questions are compared; of Chinese, Japanese and Korean,
whose words no spaces part, 13 characters; a question that is shorter has to be the same.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from aha.data.ngrams import Gram, is_cjk, ngrams, tokens_of
from aha.tasks.task import Problem

WORDS, CHARACTERS = 10, 13


@dataclass(frozen=True, slots=True)
class Overlap:
    """A problem that shares a passage with a suite."""

    index: int
    suite: str
    passage: str


@dataclass(slots=True)
class SuiteIndex:
    """The passages of evaluation suites."""

    words: int = WORDS
    characters: int = CHARACTERS
    _suite_of: dict[Gram, str] = field(default_factory=dict)

    def add(self, suite: str, questions: Iterable[str]) -> None:
        """Index a suite's questions under its name."""
        for question in questions:
            for gram in self._passages(question):
                self._suite_of.setdefault(gram, suite)

    def find(self, text: str) -> tuple[str, str] | None:
        """The suite and the passage that a text shares, if any."""
        for gram in self._passages(text):
            if gram in self._suite_of:
                return self._suite_of[gram], " ".join(gram)
        return None

    def _passages(self, text: str) -> Iterator[Gram]:
        """n-grams; of a shorter text the whole, which no n-gram of a longer one equals."""
        tokens = tokens_of(text)
        return ngrams(tokens, self.characters if is_cjk(tokens) else self.words)


def find_overlaps(
    problems: Sequence[Problem],
    suites: Mapping[str, Iterable[str]],
    *,
    words: int = WORDS,
    characters: int = CHARACTERS,
) -> list[Overlap]:
    """The problems whose question shares a passage with a question of a suite, in order."""
    index = SuiteIndex(words, characters)
    for name, questions in suites.items():
        index.add(name, questions)
    found = ((number, index.find(problem.question)) for number, problem in enumerate(problems))
    return [Overlap(number, *hit) for number, hit in found if hit is not None]
