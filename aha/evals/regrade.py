"""An old run's samples, judged again by what its tasks say today."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from aha.chat.grammar import ends_in_open_think
from aha.errors import UserError
from aha.rewards.response import ResponseForm, form_of
from aha.rewards.verdict import Verdict
from aha.tasks.red_team import judged
from aha.tasks.registry import load_task
from aha.tasks.task import SPLITS, Problem, Task
from aha.trainers.scoring import score_response

SAMPLE_KEYS = ("problem_id", "task", "text", "verdict")


@dataclass(frozen=True, slots=True)
class Regraded:
    """One sample and its two verdicts."""

    file: Path
    row: Mapping[str, Any]
    verdict: Verdict

    @property
    def has_changed(self) -> bool:
        return self.row["verdict"] != self.verdict.kind

    def table(self) -> dict[str, Any]:
        """As one line of JSON: which sample, and the verdict then and now."""
        return {
            "id": self.row["problem_id"],
            "step": self.row.get("step"),
            "sample": self.row.get("sample"),
            "before": self.row["verdict"],
            "verdict": self.verdict.kind,
            "reason": self.verdict.reason,
            "extracted": self.verdict.extracted,
            "gold": self.row.get("gold"),
            "file": str(self.file),
        }


def sample_files(path: Path) -> list[Path]:
    """The sample files of a run directory, or the one file. Raises UserError without any."""
    files = sorted(path.glob("stages/*/samples/*.jsonl")) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path} has no samples", hint="a run writes them every sample_every steps")
    return files


def is_sample_file(path: Path) -> bool:
    """Whether a file's first row is a sample of a run."""
    with path.open(encoding="utf-8", errors="replace") as file:
        first = next((line for line in file if line.strip()), "")
    try:
        row = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and all(key in row for key in SAMPLE_KEYS)


def regrade(files: Iterable[Path]) -> Iterator[Regraded]:
    """Every sample of the files with its present verdict, in order.

    Raises UserError for a line that is no sample, and for a task that is not there any more.
    """
    tasks: dict[str, Task] = {}
    problems: dict[str, dict[str, Problem]] = {}
    for file in files:
        rows = list(_rows(file))
        form = form_of(str(_config(file).get("template", "r1-zero")))
        for name in dict.fromkeys(str(row["task"]) for row in rows):
            if name not in tasks:
                tasks[name] = _task(name, file)
                splits = (tasks[name].problems(split) for split in SPLITS)
                problems[name] = {p.id: p for split in splits for p in split}
        for name, group in _runs_of_one_task(rows):
            task, known = tasks[name], problems[name]
            pairs = ((row, known.get(row["problem_id"]) or _old_problem(row)) for row in group)
            verdict_of = partial(_verdict, form=form)
            yield from (
                Regraded(file, row, verdict) for row, verdict in judged(task, verdict_of, pairs)
            )


def _verdict(
    task: Task, pair: tuple[Mapping[str, Any], Problem], *, form: ResponseForm
) -> tuple[Mapping[str, Any], Verdict]:
    row, problem = pair
    opened = ends_in_open_think(str(row.get("prompt", "")))
    scored = score_response(task, problem, row["text"], form=form, prompt_opens_think=opened)
    return row, scored.verdict


def _runs_of_one_task(
    rows: Iterable[Mapping[str, Any]],
) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    group: list[Mapping[str, Any]] = []
    for row in rows:
        if group and row["task"] != group[0]["task"]:
            yield str(group[0]["task"]), group
            group = []
        group.append(row)
    if group:
        yield str(group[0]["task"]), group


def _rows(file: Path) -> Iterator[Mapping[str, Any]]:
    with file.open(encoding="utf-8", errors="surrogatepass") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{file}, line {number}: {error}") from error
            if not isinstance(row, dict) or any(
                not isinstance(row.get(key), str) for key in SAMPLE_KEYS
            ):
                raise UserError(
                    f"{file}, line {number}: not a sample of a run",
                    hint=f"a sample has the keys {', '.join(SAMPLE_KEYS)}",
                )
            yield row


def _old_problem(row: Mapping[str, Any]) -> Problem:
    """As the sample remembers it, for a problem that the task no longer has."""
    return Problem(
        id=row["problem_id"],
        question=str(row.get("question", "")),
        gold=str(row.get("gold", "")),
        language=str(row.get("language", "en")),
    )


def _task(name: str, file: Path) -> Task:
    """The task of that name: as the stage's config refers to it, else one that comes with aha."""
    for reference in _references(file):
        task = load_task(reference)
        if task.name == name:
            return task
    return load_task(name)


def _references(file: Path) -> list[str]:
    task = _config(file).get("task")
    return [str(name) for name in ([task] if isinstance(task, str) else task or [])]


def _config(file: Path) -> dict[str, Any]:
    """The config of the stage that wrote a sample file; empty where it is not beside it."""
    try:
        config = json.loads((file.parent.parent / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}
