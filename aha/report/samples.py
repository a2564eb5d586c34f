"""The sample browser's data: which groups fit on the page, and how each sample is shown."""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aha.report.markup import Piece, mark_up, visible
from aha.report.reader import Row, RunData
from aha.report.survey import (
    GroupKey,
    Located,
    Moment,
    Survey,
    locate_corrections,
    spread_evenly,
    text_of,
    when_of,
)

MAX_SAMPLE_CHARS = 8_000
"""A longer text is shown without its middle."""
MAX_SAMPLES_PER_GROUP = 64
BYTES_PER_CHAR, BYTES_PER_SAMPLE = 2.5, 400
"""A guess at what a text takes on the page with its marks; the exact size is measured later."""
NUM_FOLLOWED_PROBLEMS, NUM_FOLLOWED_STEPS = 6, 8
MAX_COMPARED_GROUPS = 256
"""Held-out problems through all models of a run: these come first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedSamples:
    """What goes on the page."""

    groups: list[str]
    """Each a JSON object, in order of stage, step and problem."""
    num_groups_left_out: int


def embed_samples(run: RunData, survey: Survey, *, budget_bytes: int) -> EmbeddedSamples:
    """The groups that fit into `budget_bytes`: problems that come back first, then even steps."""
    ranked = list(_rank(survey))
    wanted = _within_estimate(ranked, survey, budget_bytes)
    built = _build(run, wanted)
    kept: dict[GroupKey, str] = {}
    left = budget_bytes
    for key in wanted:
        size = len(built[key].encode()) + 2 if key in built else 0
        if 0 < size <= left:
            kept[key] = built[key]
            left -= size
    order = {key: index for index, key in enumerate(survey.groups)}
    groups = [kept[key] for key in sorted(kept, key=order.__getitem__)]
    return EmbeddedSamples(groups=groups, num_groups_left_out=len(survey.groups) - len(groups))


def moment_json(moment: Moment) -> dict[str, Any]:
    """A moment with its whole text marked."""
    found = moment.correction
    values = (found.wrong_value, found.right_value)
    wrong, right = (None if value is None else str(value) for value in values)
    return {
        "stage": moment.stage,
        "step": moment.row.get("step"),
        "when": visible(when_of(moment.row)),
        "problem": _text(moment.row, "problem_id"),
        "question": _text(moment.row, "question"),
        "gold": _text(moment.row, "gold"),
        "kind": found.kind,
        "wrong": wrong,
        "right": right,
        "verdict": _text(moment.row, "verdict"),
        "sample": sample_json(moment.row, moment.located),
    }


def _rank(survey: Survey) -> Iterator[GroupKey]:
    """All groups, the most worth showing first."""
    by_problem: dict[tuple[int, str], list[GroupKey]] = defaultdict(list)
    by_step: dict[tuple[int, int, str], list[GroupKey]] = defaultdict(list)
    for key in survey.groups:
        by_problem[key.stage, key.problem_id].append(key)
        by_step[key.stage, key.step, key.when].append(key)
    compared = [key for key in survey.groups if key.when not in ("", "before", "after")]
    seen = dict.fromkeys(compared[:MAX_COMPARED_GROUPS])
    recurring = sorted(
        (keys for keys in by_problem.values() if len(keys) > 1), key=len, reverse=True
    )
    for keys in recurring[:NUM_FOLLOWED_PROBLEMS]:
        seen |= dict.fromkeys(spread_evenly(keys, NUM_FOLLOWED_STEPS))
    steps = _ends_inwards(list(by_step.values()))
    for place in range(max((len(keys) for keys in steps), default=0)):
        seen |= dict.fromkeys(keys[place] for keys in steps if place < len(keys))
    yield from seen


def _ends_inwards(items: Sequence[Any]) -> list[Any]:
    """First, last, middle, quarters, ...: any beginning of the result is spread evenly."""
    order: dict[int, None] = {}
    for level in range(math.ceil(math.log2(max(2, len(items)))) + 1):
        for index in range(2**level + 1):
            order[round(index * (len(items) - 1) / 2**level)] = None
    return [items[index] for index in order] if items else []


def _within_estimate(
    ranked: Sequence[GroupKey], survey: Survey, budget_bytes: int
) -> list[GroupKey]:
    """As many of the first groups as may fit: those whose estimated sizes stay in the budget."""
    wanted = []
    total = 0.0
    for key in ranked:
        total += BYTES_PER_SAMPLE + BYTES_PER_CHAR * min(
            survey.groups[key], MAX_SAMPLES_PER_GROUP * MAX_SAMPLE_CHARS
        )
        if total > 2 * budget_bytes:
            break
        wanted.append(key)
    return wanted


def _build(run: RunData, wanted: Sequence[GroupKey]) -> dict[GroupKey, str]:
    """JSON of the wanted groups; every samples file is read once."""
    rows: dict[GroupKey, list[Row]] = {key: [] for key in wanted}
    for stage_index, step in sorted({(key.stage, key.step) for key in wanted}):
        for row in run.stages[stage_index].samples(step):
            key = GroupKey.of(stage_index, step, row)
            if key in rows and len(rows[key]) < MAX_SAMPLES_PER_GROUP:
                rows[key].append(row)
    return {key: _group_json(key, group) for key, group in rows.items() if group}


def _group_json(key: GroupKey, rows: Sequence[Row]) -> str:
    first = rows[0]
    group = {
        "stage": key.stage,
        "step": key.step,
        "when": visible(key.when),
        "id": visible(key.problem_id),
        "task": _text(first, "task"),
        "question": _text(first, "question"),
        "gold": _text(first, "gold"),
        "language": _text(first, "language"),
        "prompt": _text(first, "prompt", limit=4_000),
        "samples": [sample_json(row, locate_corrections(row)) for row in rows],
    }
    return inert(json.dumps(group, ensure_ascii=False, separators=(",", ":")))


def inert(text: str) -> str:
    """JSON that cannot end the script element it stands in, nor start a comment there."""
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def sample_json(row: Row, located: Located) -> dict[str, Any]:
    """One sample as the page's script draws it: text in marked pieces, verdict, numbers."""
    text = text_of(row)
    language = row.get("language")
    pieces = mark_up(
        text,
        language=language if isinstance(language, str) else "",
        corrections=located.pairs(),
    )
    is_trained_on = not when_of(row)  # evaluations do not weigh rewards
    parts = row.get("rewards")
    rewards = parts.items() if isinstance(parts, dict) else ()
    return {
        "sample": row.get("sample") if isinstance(row.get("sample"), int) else None,
        "reward": _number(row, "reward") if is_trained_on else None,
        "rewards": {visible(str(name)): _round(value) for name, value in rewards},
        "advantage": _number(row, "advantage") if is_trained_on else None,
        "verdict": _text(row, "verdict"),
        "reason": _text(row, "reason", limit=400),
        "extracted": _text(row, "extracted", limit=400),
        "tokens": _number(row, "length_tokens"),
        "finish": _text(row, "finish_reason"),
        "words": _number(row, "reflection"),
        "consistency": _number(row, "language_consistency"),
        "pieces": _shorten(pieces, MAX_SAMPLE_CHARS),
    }


def _shorten(pieces: list[Piece], limit: int) -> list[Piece]:
    """Leave out the middle of a text of more than `limit` characters and say so."""
    total = sum(len(text) for _, text in pieces)
    if total <= limit:
        return pieces
    head = _take(pieces, limit * 5 // 8)
    tail = _backwards(_take(_backwards(pieces), limit - limit * 5 // 8))
    return [*head, ["cut", f" ... {total - limit:,} characters left out ... "], *tail]


def _backwards(pieces: list[Piece]) -> list[Piece]:
    return [[mark, text[::-1]] for mark, text in reversed(pieces)]


def _take(pieces: list[Piece], limit: int) -> list[Piece]:
    taken = []
    for mark, text in pieces:
        if limit <= 0:
            break
        taken.append([mark, text[:limit]])
        limit -= len(text)
    return taken


def _text(row: Row, key: str, *, limit: int = 2_000) -> str:
    value = row.get(key)
    if value is None:
        return ""
    text = visible(str(value))
    return text if len(text) <= limit else text[:limit] + " ..."


def _number(row: Row, key: str) -> float | None:
    return _round(row.get(key))


def _round(value: Any) -> float | None:
    """Four significant decimals are enough on the page; None for what is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return round(value, 4)
