"""What the analysis keeps of one response: a few numbers, so that a whole run fits in memory."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from aha.chat.grammar import THINK_CLOSE, THINK_OPEN
from aha.evals.corrections import thought_of
from aha.evals.emergence.detectors import count_behaviours
from aha.evals.emergence.intermediate import first_right
from aha.evals.result import Result
from aha.rewards.reflection import count_reflection_words
from aha.tasks.registry import EMBEDDED
from aha.trainers.scoring import NOT_JUDGED

DIFFICULTY_KEYS = ("difficulty", "level", "operands")
JUDGED = ("correct", "wrong", "unparseable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One response that has a verdict."""

    problem: str
    correct: bool
    """The verdict on the answer; the form does not count."""
    truncated: bool
    length_tokens: int
    reflection: int
    """Reflection words in the whole response, as `rollout/reflection` counts them."""
    behaviours: Mapping[str, int]
    """Sentences of the thought that show each."""
    difficulty: float | None
    """The task's own, where it says one."""
    first_right: float | None
    """Where the right answer first stands as a result, as a fraction of the thought."""
    tokens_after: float | None
    """Tokens of the thought behind that place, by its characters."""
    by_chance: bool | None
    """Whether another problem's answer stands somewhere in the thought as a result."""


def observe(row: Mapping[str, Any], *, other_gold: str | None = None) -> Observed | None:
    """The observation of a sample row; None where rules do not judge it or the verifier failed.

    other_gold: the answer of another problem, to see how often an answer occurs by chance.
    """
    if row.get("verdict") not in JUDGED or row.get("reason") == NOT_JUDGED.reason:
        return None
    text, length = str(row.get("text") or ""), int(row.get("length_tokens") or 0)
    thought = thinking(text)
    end = first_right(thought, str(row.get("gold") or ""))
    tokens_a_char = length / max(1, len(text))
    return Observed(
        problem=str(row.get("problem_id", "")),
        correct=row["verdict"] == "correct",
        truncated=row.get("finish_reason") == "length",
        length_tokens=length,
        reflection=count_reflection_words(text),
        behaviours=count_behaviours(thought),
        difficulty=_difficulty(row),
        first_right=None if end is None else end / max(1, len(thought)),
        tokens_after=None if end is None else (len(thought) - end) * tokens_a_char,
        by_chance=None if other_gold is None else first_right(thought, other_gold) is not None,
    )


class Observer:
    """Takes the rows of one step in order.

    Each is given the answer of the problem before its own, to see how often a right answer occurs
    by chance.
    """

    def __init__(self) -> None:
        self.found: list[Observed] = []
        self._gold, self._other = "", ""

    def take(self, row: Mapping[str, Any]) -> None:
        own = str(row.get("gold") or "")
        if own != self._gold:
            self._gold, self._other = own, self._gold
        observed = observe(row, other_gold=self._other or None)
        if observed is not None:
            self.found.append(observed)


def observe_all(rows: Iterable[Mapping[str, Any]]) -> list[Observed]:
    """Observations of all rows that have a verdict."""
    observer = Observer()
    for row in rows:
        observer.take(row)
    return observer.found


def thinking(text: str) -> str:
    """The thought of a response, also where the prompt has opened it."""
    if THINK_OPEN not in text and THINK_CLOSE in text:
        return text.partition(THINK_CLOSE)[0]
    return thought_of(text)


def rows_of_result(result: Result) -> Iterator[dict[str, Any]]:
    """The samples of an evaluation as rows of a run's samples file."""
    for problem in result.problems:
        difficulty = own_difficulty(problem.meta)
        for number, sample in enumerate(problem.samples):
            yield {
                "problem_id": problem.id,
                "question": problem.question,
                "gold": problem.gold,
                "language": problem.language,
                "sample": number,
                "text": sample.text,
                "finish_reason": sample.finish_reason,
                "verdict": sample.verdict,
                "reason": sample.reason,
                "length_tokens": sample.length_tokens,
                "difficulty": difficulty,
            }


def own_difficulty(meta: Mapping[str, Any]) -> Any:
    """What a task says of how hard a problem is, if it does."""
    return next((meta[key] for key in DIFFICULTY_KEYS if key in meta), None)


def _difficulty(row: Mapping[str, Any]) -> float | None:
    said = row.get("difficulty")
    if said is None:
        task, *split = str(row.get("problem_id", "")).split("/")
        said = _embedded(task, split[0]).get(str(row["problem_id"])) if len(split) == 2 else None
    try:
        return None if said is None else float(str(said).removeprefix("Level "))
    except ValueError:
        return None


@lru_cache(maxsize=16)
def _embedded(task: str, split: str) -> dict[str, Any]:
    """Problem -> difficulty, of the embedded tasks that have one."""
    if task not in EMBEDDED or split not in ("train", "validation", "heldout"):
        return {}
    problems = EMBEDDED[task]().problems(split)  # type: ignore[arg-type]
    levels = (
        (p.id, next((p.meta[k] for k in DIFFICULTY_KEYS if k in p.meta), None)) for p in problems
    )
    return {problem: level for problem, level in levels if level is not None}
