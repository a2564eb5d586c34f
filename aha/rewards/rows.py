"""Grading a file of rows offline: in parallel, in order, and nothing is lost."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from aha.rewards.answer import is_code, row_problem, row_seconds
from aha.rewards.service import VerifierPool, in_order
from aha.rewards.verdict import Verdict

GRADE_ROW = "aha.rewards.answer:grade_row"
MAX_EXTRACTED_CHARS = 10_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file, read."""

    number: int
    row: dict[str, Any] | None
    mistake: str = ""
    """Why it cannot be graded: the row is wrong, not the answer in it."""


@dataclass(frozen=True, slots=True)
class Graded:
    """What is said about one line."""

    line: Line
    verdict: Verdict

    def json(self) -> str:
        """One line of JSON: id (else the line's number), verdict, reason, extracted."""
        row, verdict = self.line.row or {}, self.verdict
        extracted = verdict.extracted
        if extracted is not None and len(extracted) > MAX_EXTRACTED_CHARS:
            extracted = extracted[:MAX_EXTRACTED_CHARS] + "..."
        return to_json(
            {
                "id": row.get("id", self.line.number),
                "verdict": verdict.kind,
                "reason": verdict.reason,
                "extracted": extracted,
            }
        )


def to_json(value: object) -> str:
    """JSON in UTF-8; half a character (a lone surrogate) is written as an escape."""
    text = json.dumps(value, ensure_ascii=False)
    return text if is_utf8(text) else json.dumps(value)


def is_utf8(text: str) -> bool:
    """Whether a text can be written down."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_lines(lines: Iterable[str]) -> Iterator[Line]:
    """Rows with their line numbers, from 1; blank lines are passed over."""
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            yield Line(number, None, f"line {number}: {error}")
            continue
        problem = row_problem(row)
        mistake = f"line {number}: {problem}" if problem else ""
        yield Line(number, row if isinstance(row, dict) else None, mistake)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def grade_lines(
    lines: Iterable[Line], pool: VerifierPool, *, timeout_seconds: float | None = None
) -> Iterator[Graded]:
    """The verdict on every line, in order; a line that is a mistake gets the verdict `error`.

    timeout_seconds: for one row; None: by its kind.
    """

    def grade(line: Line) -> Graded:
        if line.mistake or line.row is None:
            return Graded(line, Verdict.error(line.mistake))
        limit = timeout_seconds or row_seconds(line.row)
        return Graded(line, pool.run(GRADE_ROW, line.row, timeout_seconds=limit))

    return in_order(grade, lines, num_threads=pool.num_workers, queue_size=pool.queue_size)


def needs_sandbox(line: Line) -> bool:
    """Whether grading runs a program."""
    return not line.mistake and line.row is not None and is_code(line.row)
