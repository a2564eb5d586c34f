"""Splits that never overlap: as the source gives them, the rest dealt out by a hash."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from aha.errors import UserError
from aha.tasks.sources.fields import Row
from aha.tasks.sources.readers import ROW_HINT
from aha.tasks.task import SPLITS, Problem, Split

KEPT_BACK = 20
"""One problem in this many is held out, and as many validate; at least one each."""
SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "prompt": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "heldout": "heldout",
    "test": "heldout",
    "eval": "heldout",
}
"""Names that sources give their splits. MBPP's `prompt` rows are examples to show: never tested."""
MOST_HELD_BACK: tuple[Split, ...] = ("heldout", "validation", "train")
NEED_NO_GOLD = ("code", "countdown", "gym")
"""Verifiers that judge by tests or by computing."""
MOST_CONTRADICTIONS = 0.01
"""Of the questions; more of them are a mistake in the file."""

Splits = Mapping[Split, Sequence[Problem]]


@dataclass(frozen=True, slots=True)
class Divided:
    """The problems of a source in their splits."""

    splits: Splits
    notes: tuple[str, ...] = ()
    """Which rows were left out, in words."""


def divide(rows: Iterable[Row], source: str) -> Divided:
    """Every problem once, in one split. Raises UserError.

    Rows that give a split stay there. Of a question that was given in several splits only the row
    that is held back most is kept, so that nothing held out is ever trained on. Rows without a
    split are dealt out by a hash of the question; where a source has training rows but nothing to
    validate on, or nothing held out, these come from its training rows. Questions that differ in
    white space alone are one. Rows without an answer are left out where others have one, and so
    are the few questions of a large source that are given with different answers.
    """
    everything = list(rows)
    answered = [row for row in everything if has_answer(row)]
    if not answered:
        raise _no_problems(everything, source)
    asked = by_question(answered)
    contradictions = [copies for copies in asked if disagree(copies)]
    if len(contradictions) > MOST_CONTRADICTIONS * len(asked):
        raise _contradiction(contradictions[0])
    chosen = [most_held_back(copies) for copies in asked if not disagree(copies)]
    splits = _deal_out(chosen, source)
    return Divided(splits, tuple(_notes(len(everything) - len(answered), contradictions)))


def has_answer(row: Row) -> bool:
    """Whether a response can be judged: some verifiers need no gold answer."""
    return bool(row.problem.gold) or row.problem.meta.get("verifier") in NEED_NO_GOLD


def by_question(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows that ask the same, together, in the order of the source."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(plain(row.problem.question), []).append(row)
    return list(groups.values())


def plain(question: str) -> str:
    """A question without its white space: what makes two rows one problem."""
    return " ".join(question.split())


def disagree(copies: Sequence[Row]) -> bool:
    """Whether rows of one question have different answers; of programs there are many right."""
    by_gold = [row for row in copies if row.problem.meta.get("verifier") not in NEED_NO_GOLD]
    return len({row.problem.gold.strip() for row in by_gold}) > 1


def most_held_back(copies: Sequence[Row]) -> Row:
    """Of rows of one question the first in the split that is held back most."""
    order = [*MOST_HELD_BACK, None]
    return min(copies, key=lambda row: order.index(known_split(row)))


def known_split(row: Row) -> Split | None:
    """Our name of the split that a row gives. Raises UserError for one that means nothing."""
    if row.split is None:
        return None
    split = SPLIT_NAMES.get(row.split.lower())
    if split is None:
        others = ", ".join(sorted(set(SPLIT_NAMES) - set(SPLITS)))
        raise UserError(
            f"{row.where}: unknown split {row.split!r}",
            hint=f"known: {', '.join(SPLITS)}; also {others}",
        )
    return split


def _deal_out(rows: Sequence[Row], source: str) -> Splits:
    """Rows of different questions into splits, none of them empty."""
    _check_ids([row.problem for row in rows], source)
    splits: dict[Split, list[Problem]] = {split: [] for split in SPLITS}
    unassigned: list[Problem] = []
    for row in rows:
        split = known_split(row)
        (unassigned if split is None else splits[split]).append(row.problem)
    if unassigned:
        _deal(unassigned, splits, MOST_HELD_BACK[:2])
    else:
        missing = [split for split in MOST_HELD_BACK[:2] if not splits[split]]
        training, splits["train"] = splits["train"], []
        _deal(training, splits, missing)
    for split, members in splits.items():
        if not members:
            raise UserError(
                f"{source} has {len(rows)} problems and none for {split}",
                hint="give at least three problems, or one in each split by a `split` key",
            )
    return splits


def _deal(
    problems: Sequence[Problem], splits: dict[Split, list[Problem]], held_back: Sequence[Split]
) -> None:
    """One problem in twenty to each split of `held_back`, the rest to training."""
    by_hash = sorted(problems, key=lambda p: hashlib.sha256(p.question.encode()).digest())
    share = -(-len(by_hash) // KEPT_BACK)
    for split in held_back:
        splits[split] += by_hash[:share]
        by_hash = by_hash[share:]
    splits["train"] += by_hash


def _check_ids(problems: Sequence[Problem], source: str) -> None:
    seen: set[str] = set()
    for problem in problems:
        if problem.id in seen:
            raise UserError(
                f"{source}: two problems have the id {problem.id!r}",
                hint="give each its own, or leave `id` out",
            )
        seen.add(problem.id)


def _no_problems(rows: Sequence[Row], source: str) -> UserError:
    message = f"{rows[0].where}: no answer, and in no other row" if rows else ""
    return UserError(message or f"{source} holds no problems", hint=ROW_HINT)


def _contradiction(copies: Sequence[Row]) -> UserError:
    first = copies[0].problem.gold
    other = next(row for row in copies if row.problem.gold.strip() != first.strip())
    return UserError(
        f"{other.where}: the question was asked before with the answer {first!r}",
        hint="a question has one answer: remove one of the rows",
    )


def _notes(num_unanswered: int, contradictions: Sequence[Sequence[Row]]) -> Iterator[str]:
    if num_unanswered:
        yield f"{num_unanswered:,} rows without an answer are left out"
    if contradictions:
        yield (
            f"{len(contradictions):,} questions with more than one answer are left out, "
            f"the first at {contradictions[0][0].where}"
        )
