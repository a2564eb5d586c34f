"""Rows of a data file: JSONL, JSON or parquet. Every row knows where it came from."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aha.errors import UserError

ROW_HINT = 'every row is like {"question": "2 + 3 = ?", "answer": "5"}'
LIST_KEYS = ("data", "rows", "examples", "problems", "questions", "instances")
"""Under which a JSON file may keep its list of rows."""
DATA_SUFFIXES = (".jsonl", ".json", ".parquet")


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row as it stands in a source."""

    where: str
    """For messages: file and line, or source and row."""
    values: Mapping[str, Any]
    split: str | None = None
    """The part of the source that it is in, by that source's own name."""


def read_data(path: Path) -> Iterator[SourceRow]:
    """The rows of a data file, by its suffix. Raises UserError with the line or row."""
    if path.suffix == ".jsonl":
        return read_jsonl(path)
    return read_json(path) if path.suffix == ".json" else read_parquet(path)


def read_jsonl(path: Path) -> Iterator[SourceRow]:
    """One JSON object a line; blank lines are passed over."""
    for number, line in enumerate(_text_of(path).split("\n"), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            yield SourceRow(where, _as_row(_parse(line, where), where))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The bare rows of a JSONL file."""
    return [dict(row.values) for row in read_jsonl(path)]


def read_json(path: Path) -> Iterator[SourceRow]:
    """A list of objects, or an object with one (`data`, `rows`) or with one a split."""
    value = _parse(_text_of(path), str(path))
    for split, rows in _lists(value, path):
        for number, row in enumerate(rows, start=1):
            where = f"{path}, {split + ' ' if split else ''}row {number}"
            yield SourceRow(where, _as_row(row, where), split)


def read_parquet(path: Path) -> Iterator[SourceRow]:
    """The rows of a parquet file, in batches."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError(
            f"reading {path} needs pyarrow, which is not installed",
            hint='pip install "aha-rl[hub]"',
        ) from None
    number = 0
    try:
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches():
            for values in batch.to_pylist():
                number += 1
                yield SourceRow(f"{path}, row {number}", values)
    except (OSError, pyarrow.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"cannot read {path}: {reason}", hint="is it a parquet file?") from error


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}", hint="JSON is UTF-8 text") from error


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: {error}", hint=ROW_HINT) from error


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _as_row(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{where}: not an object", hint=ROW_HINT)
    return value


def _lists(value: object, path: Path) -> list[tuple[str | None, list[Any]]]:
    """The lists of rows in a JSON value, each with the name of its split if it has one."""
    if isinstance(value, list):
        return [(None, value)]
    if isinstance(value, dict):
        for key in LIST_KEYS:
            if isinstance(value.get(key), list):
                return [(None, value[key])]
        if value and all(isinstance(rows, list) for rows in value.values()):
            return [(str(split), rows) for split, rows in value.items()]
    raise UserError(f"{path}: not a list of rows", hint=f"[ROW, ROW, ...]; {ROW_HINT}")
