"""A user's own task: one Python file or one JSONL file.

A JSONL file has a row a problem, `{"question": ..., "answer": ...}`; numbers are compared as
numbers, other answers as text. A Python file has `problems` (a list of such rows or a function that
returns it) and, where comparing is not enough, `score(problem, response)` and functions marked
`@aha.reward`.
"""

import hashlib
import importlib.util
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from aha.errors import UserError, nearest
from aha.rewards.accuracy import verify_answer, verify_exact
from aha.rewards.numbers import parse_number, verify_number
from aha.rewards.user import Reward, check_names
from aha.rewards.verdict import Verdict, VerdictKind
from aha.tasks.task import Problem, Split, Task

KEYS = ("question", "answer", "id", "language", "split", "meta")
KEPT_BACK = 20
"""One problem in this many is held out, and as many validate; at least one each."""
ROW_HINT = 'every row is like {"question": "2 + 3 = ?", "answer": "5"}'

Score = Callable[[Problem, str], "Verdict | bool | float"]


class FileTask(Task):
    """Problems from a file; without a `score` of its own, answers are compared with the gold."""

    def __init__(
        self,
        name: str,
        problems: Mapping[Split, Sequence[Problem]],
        *,
        score: Score | None = None,
        rewards: Sequence[Reward] = (),
    ):
        """Raises UserError for rewards whose names are taken or given twice."""
        check_names(rewards)
        self.name = name
        self.rewards = tuple(rewards)
        self._problems = problems
        self._score = score

    def problems(self, split: Split) -> Sequence[Problem]:
        return self._problems[split]

    def score(self, problem: Problem, response: str) -> Verdict:
        if self._score is None:
            return verify_answer(response, lambda answer: compare(answer, problem.gold))
        try:
            return as_verdict(self._score(problem, response))
        except Exception as error:  # the user's code: its failure is a verdict, and counted
            return Verdict.error(f"score() raised {type(error).__name__}: {error}")


def compare(answer: str, gold: str) -> Verdict:
    """As numbers where the gold answer is one, else as text."""
    if parse_number(gold) is not None:
        return verify_number(answer, gold)
    return verify_exact(answer, gold)


def as_verdict(result: object) -> Verdict:
    """What a user's score function may return: a verdict, a bool or a number from 0 to 1."""
    if isinstance(result, Verdict):
        return result
    if not isinstance(result, bool | int | float) or not math.isfinite(result):
        return Verdict.error(f"score() returned {result!r}, not a bool, a number or a Verdict")
    score = float(result)
    if not 0.0 <= score <= 1.0:
        return Verdict.error(f"score() returned {score}, which is not between 0 and 1")
    kind: VerdictKind = "correct" if score == 1.0 else "wrong"
    return Verdict(kind=kind, score=score, reason=f"score() = {score:g}")


def load_file(path: Path) -> Task:
    """The task in a .py or .jsonl file. Raises UserError."""
    if not path.is_file():
        raise UserError(f"no task file {str(path)!r}", hint="give the path of a .py or .jsonl file")
    if path.suffix == ".jsonl":
        return FileTask(path.stem, split_problems(path.stem, read_rows(path), str(path)))
    if path.suffix == ".py":
        return task_of_module(import_file(path), path)
    raise UserError(
        f"cannot tell what task file {str(path)!r} holds", hint="it must end in .py or .jsonl"
    )


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file; blank lines are passed over."""
    rows: list[dict[str, Any]] = []
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}", hint="JSONL is UTF-8 text") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: {error}", hint=ROW_HINT) from error
        if not isinstance(row, dict):
            raise UserError(f"{path}, line {number}: not an object", hint=ROW_HINT)
        rows.append(row)
    return rows


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


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


def task_of_module(module: ModuleType, path: Path) -> Task:
    """A `task` object, or `problems` with an optional `score` and rewards."""
    task = getattr(module, "task", None)
    if isinstance(task, Task):
        return _checked(task, path)
    if isinstance(task, type) and issubclass(task, Task):
        raise UserError(f"{path}: `task` is a class", hint=f"write task = {task.__name__}()")
    problems = getattr(module, "problems", None)
    if problems is None:
        raise UserError(
            f"{path} defines no problems",
            hint="define `problems`, a list of rows, or `task`, an aha.Task",
        )
    try:
        rows = list(problems() if callable(problems) else problems)
    except Exception as error:  # the user's code
        raise UserError(f"{path}: problems() raised {type(error).__name__}: {error}") from error
    score = getattr(module, "score", None)
    if score is not None and not callable(score):
        raise UserError(f"{path}: `score` is not a function")
    marked = [value for value in vars(module).values() if isinstance(value, Reward)]
    rewards = list({id(reward): reward for reward in marked}.values())
    splits = split_problems(path.stem, rows, str(path))
    return FileTask(path.stem, splits, score=score, rewards=rewards)


def _checked(task: Task, path: Path) -> Task:
    if not isinstance(getattr(task, "name", None), str) or not task.name:
        raise UserError(f"{path}: `task` has no name", hint='give its class a name = "..."')
    check_names(task.rewards)
    return task


def split_problems(
    name: str, rows: Iterable[Any], source: str
) -> Mapping[Split, Sequence[Problem]]:
    """Splits as the rows say; rows that say nothing are dealt out by a hash of their question.

    Questions that differ in white space alone are one problem, so splits cannot overlap.
    """
    problems: dict[str, tuple[Problem, Split | None]] = {}
    for number, row in enumerate(rows, start=1):
        where = f"{source}, problem {number}"
        problem, split = _problem(name, row, where)
        known, _ = problems.setdefault(" ".join(problem.question.split()), (problem, split))
        if known.gold.strip() != problem.gold.strip():
            raise UserError(
                f"{where}: the question was asked before with the answer {known.gold!r}",
                hint="a question has one answer: remove one of the rows",
            )
    _check_ids([problem for problem, _ in problems.values()], source)
    if not problems:
        raise UserError(f"{source} holds no problems", hint=ROW_HINT)
    splits: dict[Split, list[Problem]] = {"train": [], "validation": [], "heldout": []}
    open_rows = [problem for problem, split in problems.values() if split is None]
    for problem, split in problems.values():
        if split is not None:
            splits[split].append(problem)
    by_hash = sorted(open_rows, key=lambda p: hashlib.sha256(p.question.encode()).digest())
    share = -(-len(by_hash) // KEPT_BACK)
    splits["heldout"] += by_hash[:share]
    splits["validation"] += by_hash[share : 2 * share]
    splits["train"] += by_hash[2 * share :]
    for split, members in splits.items():
        if not members:
            raise UserError(
                f"{source} has {len(problems)} problems and none for {split}",
                hint="give at least three problems, or one in each split by a `split` key",
            )
    return splits


def _check_ids(problems: Sequence[Problem], source: str) -> None:
    seen: set[str] = set()
    for problem in problems:
        if problem.id in seen:
            raise UserError(
                f"{source}: two problems have the id {problem.id!r}",
                hint="give each its own, or leave `id` out",
            )
        seen.add(problem.id)


def _problem(name: str, row: Any, where: str) -> tuple[Problem, Split | None]:
    if isinstance(row, Problem):
        row = {key: getattr(row, key) for key in ("question", "gold", "language", "meta", "id")}
        name, row["id"] = "", row["id"] or None
    if not isinstance(row, Mapping):
        raise UserError(f"{where}: not a row", hint=ROW_HINT)
    row = {("answer" if key == "gold" else key): value for key, value in row.items()}
    row = {key: value for key, value in row.items() if value is not None}
    for key in row:
        _check_key(key, where)
    question, answer = _text(row, "question", where), _text(row, "answer", where)
    language, split, meta = row.get("language", "en"), row.get("split"), row.get("meta", {})
    if not isinstance(language, str) or not language:
        raise UserError(f"{where}: language is {language!r}", hint='a code such as "en" or "zh"')
    if split is not None and split not in get_args(Split):
        raise UserError(
            f"{where}: unknown split {split!r}", hint=f"known: {', '.join(get_args(Split))}"
        )
    if not isinstance(meta, Mapping):
        raise UserError(f"{where}: meta is {meta!r}", hint='an object such as {"level": 3}')
    identity = row.get("id", hashlib.sha256(question.encode()).hexdigest()[:12])
    problem = Problem(
        id=f"{name}/{identity}" if name else str(identity),
        question=question,
        gold=answer,
        language=language,
        meta=dict(meta),
    )
    return problem, split


def _check_key(key: object, where: str) -> None:
    if key not in KEYS:
        near = nearest(str(key), KEYS)
        raise UserError(
            f"{where}: unknown key {key!r}",
            hint=f"did you mean {near!r}?" if near else f"known: {', '.join(KEYS)}",
        )


def _text(row: Mapping[str, Any], key: str, where: str) -> str:
    """A question or an answer, which may be written as a number."""
    value = row.get(key)
    if not isinstance(value, str | int | float) or not str(value).strip():
        raise UserError(f"{where}: no {key}", hint=ROW_HINT)
    text = str(value)
    if not text.isascii() and text.encode("utf-8", "replace").decode() != text:
        raise UserError(
            f"{where}: the {key} has half a character (a lone surrogate)",
            hint="write the file again as UTF-8",
        )
    return text
