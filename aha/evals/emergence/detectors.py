"""The four cognitive behaviours of arXiv 2503.01307, found in a thought by rules.

The paper asks a model for its judgement; rules cost nothing, give the same answer every time, and
their mistakes can be counted (docs/emergence.md has precision and recall on texts marked by hand).
A behaviour counts once a sentence.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from aha.evals.emergence.wording import BEHAVIOURS, PATTERNS, Behaviour

MAX_TEXT_CHARS = 100_000
"""What comes later in a thought is not read."""
MAX_SENTENCE_CHARS = 1_000
"""Of a longer sentence (a formula, a degenerate repetition) only the beginning is read."""

_SENTENCE = re.compile(
    r"(?:[^.!?\u3002\uff01\uff1f\uff1b\n]|\.(?=\d)|(?<=\be)\.|[.!?](?=[0-9A-Za-z)]))+"
    r"[.!?\u3002\uff01\uff1f\uff1b]*"
)
_RULES = tuple((name, re.compile("|".join(PATTERNS[name]), re.IGNORECASE)) for name in BEHAVIOURS)


@dataclass(frozen=True, slots=True)
class Found:
    """A sentence, text[start:end], that shows a behaviour."""

    behaviour: Behaviour
    start: int
    end: int


def find_behaviours(text: str) -> list[Found]:
    """Every behaviour of every sentence, in order."""
    return list(_scan(text[:MAX_TEXT_CHARS]))


def count_behaviours(text: str) -> dict[str, int]:
    """Sentences of a thought that show each behaviour."""
    counts = Counter(found.behaviour for found in _scan(text[:MAX_TEXT_CHARS]))
    return {name: counts[name] for name in BEHAVIOURS}


def _scan(text: str) -> Iterator[Found]:
    for match in _SENTENCE.finditer(text):
        sentence = match[0][:MAX_SENTENCE_CHARS]
        for name, rule in _RULES:
            if rule.search(sentence):
                yield Found(name, *match.span())
