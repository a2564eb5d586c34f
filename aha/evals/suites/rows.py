"""The problems of a suite, from a local file or from the hub."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from aha.errors import UserError
from aha.evals.suites.entry import Entry
from aha.pipeline.sources import is_file
from aha.tasks.sources.fields import Fields, row_of
from aha.tasks.sources.hub import parse_hub, read_hub
from aha.tasks.sources.readers import DATA_SUFFIXES, SourceRow, read_data
from aha.tasks.task import Problem


@dataclass(frozen=True, slots=True)
class Loaded:
    """The problems, and in words which rows were left out."""

    problems: list[Problem]
    notes: tuple[str, ...] = ()


def load_rows(entry: Entry, data: Path | None) -> Loaded:
    """All problems of a suite. Raises UserError."""
    rows = read_data(_file_of(entry, data)) if data is not None else _hub_rows(entry)
    return problems_of(entry, rows, str(data or entry.hub))


def problems_of(entry: Entry, rows: Iterable[SourceRow], source: str) -> Loaded:
    """The rows as problems; of equal ids the later ones get a number."""
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    num_rows = 0
    for row in islice(rows, entry.most_rows):
        num_rows += 1
        problem = _problem(entry, row)
        if problem is None:
            continue
        seen[problem.id] = seen.get(problem.id, 0) + 1
        if seen[problem.id] > 1:
            problem = replace(problem, id=f"{problem.id}#{seen[problem.id]}")
        problems.append(problem)
    if not problems:
        raise UserError(
            f"{source} holds no problem of the suite {entry.name!r} ({num_rows} rows)",
            hint=f"its rows are those of {entry.source}",
        )
    left_out = num_rows - len(problems)
    notes = (f"{left_out:,} of {num_rows:,} rows are left out",) if left_out else ()
    return Loaded(problems, notes)


def _problem(entry: Entry, row: SourceRow) -> Problem | None:
    """One row as a problem; None where it is none of the suite's."""
    try:
        values = entry.adapt(row.values)
        if values is None:
            return None
        kept = {key: value for key, value in values.items() if key != "split"}
        problem = row_of(entry.name, SourceRow(row.where, kept), Fields()).problem
    except UserError as error:
        raise UserError(_placed(row, error.message), hint=_columns(entry, row)) from error
    except KeyError as error:
        raise UserError(f"{row.where}: no column {error}", hint=_columns(entry, row)) from error
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise UserError(
            f"{row.where}: not a row of the suite {entry.name!r}: {type(error).__name__} {error}",
            hint=_columns(entry, row),
        ) from error
    missing = [name for name in entry.needs if problem.meta.get(name) is None]
    if missing:
        raise UserError(f"{row.where}: no {missing[0]}", hint=_columns(entry, row))
    return problem if problem.gold or not entry.needs_gold else None


def _placed(row: SourceRow, message: str) -> str:
    return message if message.startswith(row.where) else f"{row.where}: {message}"


def _columns(entry: Entry, row: SourceRow) -> str:
    return f"columns here: {', '.join(map(str, row.values))}; wanted: those of {entry.source}"


def _file_of(entry: Entry, data: Path) -> Path:
    """The file itself, or the suite's file in a folder."""
    if data.is_dir():
        for name in entry.file_names:
            if is_file(data / name):
                return data / name
        names = ", ".join(entry.file_names[:4])
        raise UserError(
            f"no file of the suite {entry.name!r} in {str(data)!r}",
            hint=f"one of {names}; or give the file itself: --data FILE.jsonl",
        )
    if not is_file(data):
        raise UserError(f"no data file {str(data)!r}", hint="--data FILE.jsonl, or a folder")
    if data.suffix not in DATA_SUFFIXES:
        raise UserError(
            f"cannot tell what data file {str(data)!r} holds",
            hint=f"it must end in {', '.join(DATA_SUFFIXES)}",
        )
    return data


def _hub_rows(entry: Entry) -> Iterator[SourceRow]:
    """The rows of every config, read as they are asked for."""
    if not entry.hub:
        raise UserError(f"the suite {entry.name!r} needs a file", hint=entry.source)
    try:
        for name in entry.hub_names:
            for row in read_hub(parse_hub(name)):
                yield SourceRow(row.where, row.values)
    except UserError as error:
        hint = f"{error.hint}; or --data FILE.jsonl with the rows of {entry.source}"
        raise UserError(f"suite {entry.name!r}: {error.message}", hint=hint) from error
