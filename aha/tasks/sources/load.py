"""The task, or the rows, that a reference names."""

from collections.abc import Iterator
from pathlib import Path

from aha.errors import UserError
from aha.pipeline.sources import is_file
from aha.tasks.files import FileTask
from aha.tasks.sources.fields import Fields, question_of, row_of
from aha.tasks.sources.hub import parse_hub, read_hub
from aha.tasks.sources.judge import judge
from aha.tasks.sources.python import load_python
from aha.tasks.sources.readers import DATA_SUFFIXES, SourceRow, read_data
from aha.tasks.sources.reference import (
    COMMON_OPTIONS,
    FIELD_OPTIONS,
    GYM,
    HUB,
    ROW_OPTIONS,
    Reference,
    parse_reference,
)
from aha.tasks.sources.splits import divide
from aha.tasks.task import Task


def load_source(reference: Reference) -> Task:
    """The task that a reference names, without its choice by pass rates. Raises UserError."""
    if reference.target.startswith(GYM):
        from aha.tasks.sources.gym import load_gym

        return load_gym(reference)
    reference.check_options((*ROW_OPTIONS, *COMMON_OPTIONS))
    fields = Fields(reference.subset(FIELD_OPTIONS), reference.options.get("verifier"))
    if not reference.is_remote:
        _check_file(reference.path)
        if reference.path.suffix == ".py":
            return load_python(reference.path, fields)
    own_name, rows = _rows(reference)
    name = reference.options.get("name", own_name)
    divided = divide((row_of(name, row, fields) for row in rows), reference.target)
    task = FileTask(name, divided.splits, score=judge, isolated=True)
    task.notes = divided.notes
    return task


def questions_of(text: str) -> Iterator[str]:
    """The questions of a source of rows, answers or not: what a suite must not share."""
    reference = parse_reference(text)
    reference.check_options(("question",))
    fields = Fields(reference.subset(("question",)))
    for row in _rows(reference)[1]:
        if question := question_of(row, fields):
            yield question


def _rows(reference: Reference) -> tuple[str, Iterator[SourceRow]]:
    """The name of a source of rows, and its rows."""
    if reference.target.startswith(HUB):
        hub = parse_hub(reference.target)
        return hub.task_name, read_hub(hub)
    _check_file(reference.path)
    return reference.path.stem, read_data(reference.path)


def _check_file(path: Path) -> None:
    if not is_file(path):
        raise UserError(f"no task file {str(path)!r}", hint="give the path of a data or .py file")
    if path.suffix not in (*DATA_SUFFIXES, ".py"):
        raise UserError(
            f"cannot tell what task file {str(path)!r} holds",
            hint="it must end in .py or .jsonl, .json, .parquet or .toml",
        )
