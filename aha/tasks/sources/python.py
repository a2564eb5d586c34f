"""A user's own task in a Python file.

It has `problems` (a list of rows or a function that returns it) and, where comparing is not enough,
`score(problem, response)` and functions marked `@aha.reward`; or `task`, an `aha.Task`.
"""

import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from aha.errors import UserError
from aha.rewards.user import Reward, check_names
from aha.tasks.files import FileTask
from aha.tasks.isolated import JUDGE_SECONDS, IsolatedTask
from aha.tasks.sources.fields import Fields, row_of
from aha.tasks.sources.judge import judge
from aha.tasks.sources.readers import ROW_HINT, SourceRow
from aha.tasks.sources.splits import Splits, divide
from aha.tasks.task import Problem, Task


def load_python(path: Path, fields: Fields) -> Task:
    """The task in a Python file, which is executed. Raises UserError.

    Its own functions judge in worker processes.
    """
    module = import_file(path)
    task = _own_task(module, path)
    if task is None:
        splits = split_problems(path.stem, _problems(module, path), str(path), fields)
        task = _file_task(module, path, splits)
        if not (hasattr(module, "score") or task.rewards):
            return task
    limit = getattr(module, "timeout_seconds", JUDGE_SECONDS)
    return IsolatedTask(task, path, timeout_seconds=limit)


def judging_task(path: Path) -> Task:
    """The task in a Python file without its problems: what a worker judges by."""
    module = import_file(path)
    return _own_task(module, path) or _file_task(module, path, {})


def _own_task(module: ModuleType, path: Path) -> Task | None:
    task = getattr(module, "task", None)
    if isinstance(task, type) and issubclass(task, Task):
        raise UserError(f"{path}: `task` is a class", hint=f"write task = {task.__name__}()")
    return _checked(task, path) if isinstance(task, Task) else None


def _file_task(module: ModuleType, path: Path, splits: Splits) -> Task:
    score = getattr(module, "score", None)
    if score is not None and not callable(score):
        raise UserError(f"{path}: `score` is not a function")
    marked = [value for value in vars(module).values() if isinstance(value, Reward)]
    rewards = list({id(reward): reward for reward in marked}.values())
    return FileTask(path.stem, splits, score=score or judge, rewards=rewards, isolated=True)


def import_file(path: Path) -> ModuleType:
    """Run a task file under a name of its own."""
    name = f"aha_task_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the user's code
        del sys.modules[name]
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"{path} cannot be imported: {type(error).__name__}: {error}",
            hint=f"try `python {path}`",
        ) from error
    return module


def split_problems(
    name: str, rows: Iterable[Any], source: str, fields: Fields | None = None
) -> Splits:
    """Rows (mappings or `Problem`s) in their splits; ids begin with the task's `name`."""
    given = fields or Fields()
    return divide(
        (row_of(task, row, given) for task, row in _source_rows(name, rows, source)), source
    ).splits


def _source_rows(name: str, rows: Iterable[Any], source: str) -> Iterator[tuple[str, SourceRow]]:
    for number, row in enumerate(rows, start=1):
        where = f"{source}, problem {number}"
        if isinstance(row, Problem):  # its id is its own
            keys = ("id", "question", "gold", "language", "meta")
            values = {key: getattr(row, key) for key in keys}
            yield "", SourceRow(where, values)
        elif isinstance(row, Mapping):
            yield name, SourceRow(where, row)
        else:
            raise UserError(f"{where}: not a row", hint=ROW_HINT)


def _problems(module: ModuleType, path: Path) -> list[Any]:
    problems = getattr(module, "problems", None)
    if problems is None:
        raise UserError(
            f"{path} defines no problems",
            hint="define `problems`, a list of rows, or `task`, an aha.Task",
        )
    try:
        return list(problems() if callable(problems) else problems)
    except Exception as error:  # the user's code
        raise UserError(f"{path}: problems() raised {type(error).__name__}: {error}") from error


def _checked(task: Task, path: Path) -> Task:
    if not isinstance(getattr(task, "name", None), str) or not task.name:
        raise UserError(f"{path}: `task` has no name", hint='give its class a name = "..."')
    check_names(task.rewards)
    return task
