"""The rules against texts marked by hand, and against solutions whose moves are known."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from aha.evals.emergence import BEHAVIOURS, count_behaviours, find_behaviours
from aha.tasks.embedded import arithmetic, countdown, logic, solutions
from aha.tasks.embedded.voice import Voice

MARKED = [
    json.loads(line)
    for line in (Path(__file__).parent / "marked.jsonl").read_text(encoding="utf-8").splitlines()
]
MEANT = {
    "check": {"verification"},
    "again": {"backtracking"},
    "attempt": {"verification"},
    "another": {"verification", "backtracking"},
    "but_taller": {"backtracking"},
    "first": {"sub_goal"},
}
"""What each sentence of the embedded world shows; the others show nothing."""


def judge(sentences: list[tuple[str, set[str]]], separator: str, counts: Counter) -> None:
    """Count (behaviour, marked, found) of every sentence, read as part of the whole thought."""
    text, starts = "", []
    for sentence, _ in sentences:
        starts.append(len(text))
        text += sentence + separator
    found: dict[int, set[str]] = {}
    for one in find_behaviours(text):
        first = one.start + len(text[one.start :]) - len(text[one.start :].lstrip())
        found.setdefault(sum(start <= first for start in starts) - 1, set()).add(one.behaviour)
    for index, (_, marked) in enumerate(sentences):
        for behaviour in BEHAVIOURS:
            counts[behaviour, behaviour in marked, behaviour in found.get(index, ())] += 1


def scores(counts: Counter) -> dict[str, tuple[int, int, int]]:
    """Behaviour -> (rightly found, found, marked)."""
    return {
        b: (
            counts[b, True, True],
            counts[b, True, True] + counts[b, False, True],
            counts[b, True, True] + counts[b, True, False],
        )
        for b in BEHAVIOURS
    }


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("tune", [(6, 6, 6), (10, 10, 10), (8, 8, 8), (5, 5, 5)]),
        ("check", [(11, 11, 14), (9, 9, 10), (11, 11, 12), (4, 5, 5)]),
    ],
)
def test_texts_marked_by_hand_are_read_as_documented(part, expected):
    counts: Counter = Counter()
    for row in (row for row in MARKED if row["set"] == part):
        marked = [(sentence, set(labels)) for sentence, labels in row["sentences"]]
        judge(marked, "" if row["language"] == "zh" else " ", counts)
    assert list(scores(counts).values()) == expected


class RecordingVoice(Voice):
    """A voice that remembers which sentence of its table each text was."""

    def __init__(self, style, rng):
        super().__init__(style, rng)
        object.__setattr__(self, "said", [])

    def say(self, sentence, **fields):
        text = Voice.say(self, sentence, **fields)
        self.said.append((text, MEANT.get(sentence, set())))
        return text


def solve(number: int, voice: Voice):
    rng = random.Random(number)
    kind = number % 3
    if kind == 0:
        return solutions.solve_chain(arithmetic.draw_chain(rng, 4), "checked", voice)
    if kind == 1:
        return solutions.solve_countdown(countdown.draw_puzzle(rng), "checked", voice)
    return solutions.solve_order(logic.draw_order(rng, "en"), "checked", voice)


def test_every_sentence_of_the_embedded_world_is_read_rightly():
    counts: Counter = Counter()
    for number in range(300):
        voice = RecordingVoice(("en", "zh", "mixed")[number % 5 % 3], random.Random(number))
        solve(number, voice)
        judge(voice.said, "", counts)
    found = scores(counts)
    assert found["verification"][2] > 300 and found["backtracking"][2] > 200
    for behaviour, (right, said, marked) in found.items():
        assert right == said == marked, behaviour
    assert found["backward_chaining"] == (0, 0, 0)


def test_a_behaviour_counts_once_a_sentence():
    text = "Let me check, let me verify and double-check 3.5 * 2 = 7. Checking again: 7 / 2 = 3.5."
    assert count_behaviours(text)["verification"] == 2


def test_long_and_strange_texts_are_read_in_bounded_time():
    for text in ("=" * 300_000, "let's check " * 30_000, "to get " * 40_000, "\n" * 100_000):
        assert sum(count_behaviours(text).values()) <= 1
