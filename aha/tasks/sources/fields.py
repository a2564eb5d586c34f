"""From a published row to a problem: which column is the question, which the gold answer.

Column names are those that public data sets use; another column is named in the reference
(`rows.jsonl?question=FIELD`). Columns that nothing uses become `Problem.meta`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aha.errors import UserError, nearest
from aha.tasks.sources.forms import PROGRAM_LANGUAGES, Parts, form_of
from aha.tasks.sources.judge import check_verifier
from aha.tasks.sources.readers import ROW_HINT, SourceRow
from aha.tasks.task import Problem

NAMES: dict[str, tuple[str, ...]] = {
    "question": ("question", "problem", "prompt", "query", "instruction", "input"),
    "answer": (
        "answer",
        "final_answer",
        "expected_answer",
        "ground_truth",
        "correct_answer",
        "answerKey",
        "gold",
        "target",
        "label",
        "reward_model.ground_truth",
        "solution",
        "canonical_solution",
        "code",
    ),
    "options": ("options", "choices"),
    "tests": ("tests", "test", "test_list", "input_output"),
    "id": ("id", "task_id", "problem_id", "question_id", "unique_id"),
    "language": ("language", "lang"),
    "split": ("split",),
}
"""Columns that are looked for, in this order."""
OWN_KEYS = ("question", "answer", "id", "language", "split", "meta", "verifier")
CAREFUL_KEYS = ("language", "split", "verifier")
"""A column that is nearly called so is taken for a slip of the pen."""


@dataclass(frozen=True, slots=True)
class Fields:
    """What the user said about the columns; empty: by their names."""

    columns: Mapping[str, str] = field(default_factory=dict)
    verifier: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A problem before it has its place: where it came from, and its split if that was given."""

    where: str
    problem: Problem
    split: str | None


@dataclass(slots=True)
class Columns:
    """One row's values, and which of its columns have been used."""

    row: SourceRow
    fields: Fields
    used: set[str] = field(default_factory=lambda: {"meta", "verifier"})

    def find(self, kind: str) -> Any:
        """The value of a kind of column; None where there is none."""
        named = self.fields.columns.get(kind)
        for name in (named,) if named else NAMES[kind]:
            value, head = _value_at(self.row.values, name), name.partition(".")[0]
            if value is not _ABSENT and (named or head not in self.used):
                self.used.add(head)
                return value
        if named:
            raise UserError(
                f"{self.row.where}: no column {named!r}",
                hint=f"columns: {', '.join(map(str, self.row.values))}",
            )
        return None

    def take_text(self, name: str) -> str:
        """A column that belongs to the question, if it holds text and nothing has used it."""
        text = self.row.values.get(name)
        if name in self.used or not isinstance(text, str) or not text.strip():
            return ""
        self.used.add(name)
        return text.strip()

    def rest(self) -> dict[str, Any]:
        """The row's own `meta`, and the columns nobody asked for."""
        meta = self.row.values.get("meta")
        if meta is not None and not isinstance(meta, Mapping):
            raise UserError(
                f"{self.row.where}: meta is {meta!r}", hint='an object such as {"level": 3}'
            )
        others = {key: v for key, v in self.row.values.items() if key not in self.used}
        return {key: v for key, v in (others | dict(meta or {})).items() if v is not None}


_ABSENT = object()


def _value_at(values: Mapping[str, Any], name: str) -> Any:
    """A column, or with dots a value inside one."""
    if name in values:
        return values[name]
    head, dot, tail = name.partition(".")
    inner = values.get(head) if dot else None
    return _value_at(inner, tail) if isinstance(inner, Mapping) else _ABSENT


def row_of(task: str, row: SourceRow, fields: Fields) -> Row:
    """The problem in a row. Raises UserError that names the row and what is missing."""
    _check_slips(row)
    columns = Columns(row, fields)
    identity, split = columns.find("id"), columns.find("split")
    language, question = columns.find("language"), _question(columns)
    options, tests = columns.find("options"), columns.find("tests")
    answer, meta = columns.find("answer"), columns.rest()
    verifier = _verifier(row, fields, meta)
    parts = Parts(
        row.where,
        question,
        answer,
        options,
        meta.get("tests") if tests is None else tests,
        {**row.values, **meta},
    )
    form = form_of(parts, verifier)
    if not form.question.strip():
        raise _missing("question", row)
    if form.needs_gold and not form.gold.strip() and not _is_null(row, fields):
        raise _missing("answer", row)
    if isinstance(language, str) and language.lower() in PROGRAM_LANGUAGES:
        meta["program_language"], language = language.lower(), None
    _check_whole(form.question, "question", row.where)
    _check_whole(form.gold, "answer", row.where)
    problem = Problem(
        id=_identity(task, identity, form.question),
        question=form.question,
        gold=form.gold,
        language=_language(language, question, row.where),
        meta=meta | dict(form.meta) | ({"verifier": form.verifier} if form.verifier else {}),
    )
    return Row(row.where, problem, _split(split, row))


def question_of(row: SourceRow, fields: Fields) -> str:
    """The question of a row alone, without its answer; empty where it has none."""
    return _question(Columns(row, fields))


def _verifier(row: SourceRow, fields: Fields, meta: Mapping[str, Any]) -> str | None:
    given = row.values.get("verifier", meta.get("verifier"))
    name = given if fields.verifier is None else fields.verifier
    if name is not None:
        check_verifier(name, row.where)
    return name


def _question(columns: Columns) -> str:
    """The question, with the `context` that the row keeps before it or the `input` behind it."""
    value = columns.find("question")
    text = _of_messages(value) if isinstance(value, list | tuple) else value
    if isinstance(text, bool) or not isinstance(text, str | int | float) or not str(text).strip():
        return ""
    parts = [columns.take_text("context"), str(text), columns.take_text("input")]
    return "\n\n".join(part for part in parts if part)


def _of_messages(value: Sequence[Any]) -> str | None:
    """A prompt written as chat messages: their texts, one below the other."""
    texts = [turn.get("content") for turn in value if isinstance(turn, Mapping)]
    if not texts or len(texts) < len(value) or not all(isinstance(text, str) for text in texts):
        return None
    return "\n\n".join(map(str, texts))


def _language(value: Any, question: str, where: str) -> str:
    """As the row says (`zh-CN` is zh), else by the script of the question."""
    if value is None:
        return "zh" if _is_chinese(question) else "en"
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{where}: language is {value!r}", hint='a code such as "en" or "zh"')
    return value.strip().lower().replace("_", "-").partition("-")[0]


def _is_chinese(text: str) -> bool:
    """More Chinese characters than letters of any other script."""
    if text.isascii():
        return False
    han = sum("\u4e00" <= char <= "\u9fff" for char in text)
    return 2 * han > sum(char.isalpha() for char in text)


def _split(value: Any, row: SourceRow) -> str | None:
    """The split's name as the source has it; None: not given."""
    value = row.split if value is None else value
    if value is not None and not isinstance(value, str):
        raise UserError(f"{row.where}: split is {value!r}", hint='such as "train" or "heldout"')
    return value


def _identity(task: str, value: Any, question: str) -> str:
    own = isinstance(value, str | int | float) and str(value).strip()
    name = str(value).strip() if own else hashlib.sha256(question.encode()).hexdigest()[:12]
    return f"{task}/{name}" if task else name


def _check_slips(row: SourceRow) -> None:
    for key in row.values:
        for near in CAREFUL_KEYS:
            if key != near and abs(len(str(key)) - len(near)) < 2 and nearest(str(key), (near,)):
                raise UserError(f"{row.where}: unknown key {key!r}", hint=f"did you mean {near!r}?")


def _is_null(row: SourceRow, fields: Fields) -> bool:
    """Whether the row says that it has no answer: then it is left out, and counted."""
    named = fields.columns.get("answer")
    found = (_value_at(row.values, name) for name in ((named,) if named else NAMES["answer"]))
    return next((value for value in found if value is not _ABSENT), "") is None


def _missing(what: str, row: SourceRow) -> UserError:
    """The row has no such column: perhaps one is called nearly so, perhaps it has to be named."""
    if any(name in row.values for name in NAMES[what]):
        return UserError(f"{row.where}: no {what}", hint=ROW_HINT)
    known = {name for names in NAMES.values() for name in names} | set(OWN_KEYS)
    strange = [str(key) for key in row.values if key not in known]
    if not strange:
        return UserError(f"{row.where}: no {what}", hint=ROW_HINT)
    near = nearest(strange[0], OWN_KEYS)
    hint = f"did you mean {near!r}?" if near else f"known: {', '.join(OWN_KEYS)}"
    return UserError(
        f"{row.where}: no {what}; unknown key {strange[0]!r}",
        hint=f"{hint}; or say which column it is: FILE?{what}={strange[0]}",
    )


def _check_whole(text: str, what: str, where: str) -> None:
    """Raises UserError for text that cannot be written as UTF-8."""
    if not text.isascii() and text.encode("utf-8", "replace").decode() != text:
        raise UserError(
            f"{where}: the {what} has half a character (a lone surrogate)",
            hint="write the file again as UTF-8",
        )
