"""Problems without duplicates and without what evaluation suites contain, and what went why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aha.data.decontaminate import CHARACTERS, WORDS, find_overlaps
from aha.data.dedup import THRESHOLD, find_duplicates
from aha.data.funnel import Funnel
from aha.data.pass_rate import problem_row
from aha.errors import UserError
from aha.pipeline.files import write_jsonl
from aha.tasks.sources.splits import MOST_HELD_BACK
from aha.tasks.task import Problem, Split, Task

EXACT, NEAR, IN_SUITE = "exact duplicate", "near duplicate", "in a suite"
REASONS = (EXACT, NEAR, IN_SUITE)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What is left of a task, and what is not."""

    rows: list[Row]
    """As rows of a task file, each with its split."""
    dropped: list[Row]
    """`id`, `split`, `reason`, `detail` and the question."""
    funnel: Funnel


def clean(
    task: Task,
    suites: Mapping[str, Iterable[str]],
    *,
    threshold: float | None = THRESHOLD,
    words: int = WORDS,
    characters: int = CHARACTERS,
) -> Cleaned:
    """Drop repeated problems and those that share a passage with a suite, from all splits.

    suites: questions by name. Of duplicates the one that is held back most stays, so a training
    problem never repeats a held-out one. The splits of the others do not change.
    """
    splits = [(p, split) for split in MOST_HELD_BACK for p in task.problems(split)]
    problems = [problem for problem, _ in splits]
    faults = {
        overlap.index: (IN_SUITE, f"{overlap.suite}: {overlap.passage}")
        for overlap in find_overlaps(problems, suites, words=words, characters=characters)
    }
    for duplicate in find_duplicates(problems, threshold=threshold):
        of = f"{problems[duplicate.of].id} ({duplicate.similarity:.2f})"
        faults[duplicate.index] = (EXACT if duplicate.is_exact else NEAR, of)
    funnel, rows, dropped = Funnel(REASONS), [], []
    for index, (problem, split) in enumerate(splits):
        reason, detail = faults.get(index, (None, ""))
        if funnel.count(reason):
            rows.append(problem_row(problem, split, {}))
        else:
            dropped.append(_dropped_row(problem, split, str(reason), detail))
    return Cleaned(rows, dropped, funnel)


def _dropped_row(problem: Problem, split: Split, reason: str, detail: str) -> Row:
    return {
        "id": problem.id,
        "split": split,
        "reason": reason,
        "detail": detail,
        "question": problem.question,
    }


def write_cleaned(cleaned: Cleaned, path: Path) -> Path:
    """Write the rows to `path` and what was dropped beside it; returns the second path.

    Raises UserError when nothing is left.
    """
    if path.suffix != ".jsonl":
        raise UserError(f"cannot write {str(path)!r}", hint="--out FILE.jsonl")
    if not cleaned.rows:
        raise UserError("no problem is left", hint="compare with fewer suites")
    beside = path.with_suffix(".dropped.jsonl")
    write_jsonl(beside, cleaned.dropped)
    write_jsonl(path, cleaned.rows)
    return beside
