"""The verdict on one row of a file: any kind of answer, chosen by the row itself."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from aha.chat.grammar import (
    ANSWER_CLOSE,
    ANSWER_OPEN,
    THINK_CLOSE,
    THINK_OPEN,
    parse_response,
    parse_thinking,
)
from aha.rewards.accuracy import verify_exact
from aha.rewards.numbers import verify_number
from aha.rewards.verdict import Verdict
from aha.rewards.worker import failure_of

Row = Mapping[str, Any]

PREDICTION_KEYS = ("prediction", "completion", "response", "text", "pred", "program")
"""What was answered: the first of these that the row has."""
GOLD_KEYS = ("gold", "answer")
ROW_HINT = 'every row is like {"id": 1, "gold": "5", "prediction": "The answer is 5."}'
MATH_SECONDS = 5.0
CODE_SECONDS = 120.0
"""For all tests of a program together."""
TEST_SECONDS = 10.0
"""For one of them; a row's own `timeout_seconds` replaces it."""
TEST_CONTEXT = ("entry_point", "prompt", "test_setup_code", "checker")
"""Fields of a row that its tests may need."""


def grade_row(row: Row) -> Verdict:
    """Judge a row. Total: a row that cannot be judged gets the verdict `error`, with a reason.

    `kind` chooses the verifier, else `tests` make it a program, else the gold answer decides
    (numbers, LaTeX, sets, letters and text: `aha.rewards.math`). Safe from any thread.
    """
    problem = row_problem(row)
    if problem:
        return Verdict.error(problem)
    reply, kind = _prediction(row), _kind(row)
    name = kind.removeprefix("format:")
    check = FORMATS[name] if kind != name else VERIFIERS[kind]
    try:
        return check(reply, row)
    except Exception as error:  # a verifier's bug, or no sandbox: counted and shown as such
        return Verdict.error(failure_of(error, f"the verifier {kind!r}").reason)


def row_problem(row: object) -> str:
    """Why a row cannot be judged, or an empty text: the mistake of who wrote it."""
    if not isinstance(row, Mapping):
        return "not an object"
    if not any(key in row for key in PREDICTION_KEYS):
        return f"no prediction (one of {', '.join(PREDICTION_KEYS)})"
    kind = _kind(row)
    if kind not in VERIFIERS and kind.removeprefix("format:") not in FORMATS:
        return f"unknown kind {str(row['kind'])[:50]!r} and no gold answer"
    if kind in WITH_GOLD and _gold(row) is None:
        return "no gold answer"
    return "no tests for the program" if kind == "code" and row.get("tests") is None else ""


def row_seconds(row: Row) -> float:
    """The time that judging a row may take in all; a row's `timeout_seconds` makes it longer."""
    own = _own_seconds(row)
    if row_problem(row) == "" and is_code(row):
        return CODE_SECONDS + 10 * (own or 0.0)
    return own or MATH_SECONDS


def is_code(row: Row) -> bool:
    """Whether judging a row runs a program."""
    return _kind(row) == "code"


def _kind(row: Row) -> str:
    """The verifier of a row by its name below."""
    kind = row.get("kind")
    name = kind if isinstance(kind, str) else ""
    if name in FORMATS:
        return f"format:{name}"
    if name in VERIFIERS or name.removeprefix("format:") in FORMATS:
        return name
    if row.get("tests") is not None:
        return "code"
    return "math" if not name or _gold(row) is not None else "unknown"


def _field(row: Row, key: str) -> Any:
    """A value of the row, or of its `meta`."""
    meta = row.get("meta")
    return row.get(key, meta.get(key) if isinstance(meta, Mapping) else None)


def _text(value: object) -> str | None:
    if value is None or isinstance(value, bool | list | dict):
        return None
    return str(value)


def _gold(row: Row) -> str | None:
    return next((_text(row[key]) for key in GOLD_KEYS if row.get(key) is not None), None)


def _prediction_key(row: Row) -> str:
    return next(key for key in PREDICTION_KEYS if key in row)


def _prediction(row: Row) -> str:
    return _text(row[_prediction_key(row)]) or ""


def _own_seconds(row: Row) -> float | None:
    values = (row.get(key) for key in ("timeout_seconds", "timeout_s"))
    return next((float(v) for v in values if isinstance(v, int | float) and 0 < v < 1e6), None)


def _bare(reply: str) -> str:
    """The inside of the one answer block, or the whole reply when there is no block."""
    if ANSWER_OPEN not in reply:
        return reply
    return parse_response(reply).answer or ""


def _math(reply: str, row: Row) -> Verdict:
    from aha.rewards import math

    return math.verify(reply, _gold(row) or "", timeout_seconds=row_seconds(row))


def _code(reply: str, row: Row) -> Verdict:
    from aha.rewards import code

    context = {name: _field(row, name) for name in TEST_CONTEXT if _field(row, name) is not None}
    settings = {"timeout_seconds": _own_seconds(row) or TEST_SECONDS, **context}
    language = _text(_field(row, "language"))
    if "program" in row and _prediction_key(row) == "program":
        return code.verify_program(reply, row["tests"], language=language or "python", **settings)
    return code.verify(reply, row["tests"], language=language, **settings)


def _puzzle(kind: str, reply: str, row: Row) -> Verdict:
    from aha.rewards.logic import verify_puzzle

    meta = row.get("meta")
    return verify_puzzle(reply, kind, {**(meta if isinstance(meta, Mapping) else {}), **row})


def _think_answer(reply: str, row: Row) -> Verdict:
    parsed = parse_response(reply)
    return _form(parsed.well_formed, parsed.problem, parsed.answer)


def _think(reply: str, row: Row) -> Verdict:
    parsed = parse_thinking(reply)
    return _form(parsed.well_formed, parsed.problem, parsed.answer)


def _think_then_text(reply: str, row: Row) -> Verdict:
    parsed = parse_thinking(reply)
    problem = parsed.problem or ("" if parsed.answer else f"nothing after {THINK_CLOSE}")
    return _form(not problem, problem, parsed.answer)


def _think_answer_code(reply: str, row: Row) -> Verdict:
    """Both blocks, and in the answer a fenced program (in the row's language, if it names one)."""
    parsed = parse_response(reply)
    language = _text(row.get("language")) or ""
    fence = re.compile(rf"```{re.escape(language)}[^\n`]*\n.*?```", re.DOTALL | re.IGNORECASE)
    problem = parsed.problem
    if not problem and not fence.search(parsed.answer or ""):
        problem = f"no fenced {language or 'program'} in the answer"
    return _form(not problem, problem, parsed.answer)


def _tag_count(reply: str, row: Row) -> Verdict:
    """A quarter for each tag that is there exactly once."""
    tags = (THINK_OPEN, THINK_CLOSE, ANSWER_OPEN, ANSWER_CLOSE)
    wrong = [tag for tag in tags if reply.count(tag) != 1]
    if not wrong:
        return Verdict.correct(reply, "every tag once")
    score = 1.0 - len(wrong) / len(tags)
    reason = f"{score:g}: not once: {', '.join(wrong)}"
    return Verdict(kind="wrong", score=score, reason=reason, extracted=reply)


def _form(well_formed: bool, problem: str, answer: str | None) -> Verdict:
    if well_formed:
        return Verdict.correct(answer or "", "well formed")
    return Verdict(kind="wrong", score=0.0, reason=problem, extracted=answer)


Check = Callable[[str, Row], Verdict]
VERIFIERS: dict[str, Check] = {
    "math": _math,
    "choice": _math,
    "text": _math,
    "exact": lambda reply, row: verify_exact(_bare(reply), _gold(row) or ""),
    "number": lambda reply, row: verify_number(_bare(reply), _gold(row) or ""),
    "code": _code,
    **{kind: partial(_puzzle, kind) for kind in ("countdown", "knights_knaves", "sudoku", "zebra")},
}
FORMATS: dict[str, Check] = {
    "think_answer": _think_answer,
    "think": _think,
    "think_then_nonempty_answer": _think_then_text,
    "think_answer_code": _think_answer_code,
    "tag_count": _tag_count,
}
WITH_GOLD = ("math", "choice", "text", "exact", "number")
