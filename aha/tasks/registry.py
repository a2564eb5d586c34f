"""The tasks there are, by name; a file path is a task too."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from aha.errors import UserError, nearest
from aha.tasks.embedded.arithmetic import ArithmeticTask
from aha.tasks.embedded.countdown import CountdownTask
from aha.tasks.embedded.logic import LogicTask
from aha.tasks.embedded.smalltalk import SmalltalkTask
from aha.tasks.files import load_file
from aha.tasks.task import SPLITS, Problem, Task

EMBEDDED: dict[str, Callable[[], Task]] = {
    "arithmetic": ArithmeticTask,
    "arithmetic-5": lambda: ArithmeticTask("arithmetic-5", operands=(5,)),
    "countdown": CountdownTask,
    "logic": LogicTask,
    "smalltalk": SmalltalkTask,
}
MAX_REPORTED = 10


def task_names() -> list[str]:
    """Names of the tasks that come with aha."""
    return list(EMBEDDED)


@lru_cache(maxsize=32)
def load_task(name_or_file: str) -> Task:
    """A task by name, or from a .py or .jsonl file. Raises UserError."""
    if name_or_file in EMBEDDED:
        return EMBEDDED[name_or_file]()
    path = Path(name_or_file)
    if path.suffix or path.exists():
        return load_file(path)
    near = nearest(name_or_file, EMBEDDED)
    raise UserError(
        f"unknown task {name_or_file!r}",
        hint=f"did you mean {near!r}?"
        if near
        else f"known: {', '.join(EMBEDDED)}; or the path of a .py or .jsonl file",
    )


def validate_task(task: Task, *, max_problems: int | None = None) -> list[str]:
    """What is wrong with a task: its gold answers must score, and cheap text must not.

    Returns at most a few findings in words; none for a good task.
    """
    findings: list[str] = []
    for split in SPLITS:
        for problem in task.problems(split)[:max_problems]:
            findings += _findings(task, problem)
            if len(findings) >= MAX_REPORTED:
                return findings
    return findings


def gold_response(problem: Problem) -> str:
    """A well-formed response with the gold answer; a problem may bring its own."""
    own = problem.meta.get("gold_response")
    return str(own) if own else f"<think> {problem.gold} </think><answer> {problem.gold}</answer>"


def _findings(task: Task, problem: Problem) -> list[str]:
    if not task.checkable:
        return []
    verdict = task.score(problem, gold_response(problem))
    findings = []
    if not verdict.is_correct:
        findings.append(
            f"{problem.id}: the gold answer {problem.gold!r} is {verdict.kind} ({verdict.reason})"
        )
    for name, text in _cheap_responses(problem).items():
        verdict = task.score(problem, text)
        if verdict.score > 0:
            findings.append(f"{problem.id}: {name} scores {verdict.score:g}")
    return findings


def _cheap_responses(problem: Problem) -> dict[str, str]:
    gold = problem.gold
    return {
        "an empty response": "",
        "the question repeated": problem.question,
        "an empty answer": "<think></think><answer></answer>",
        "an answer only in the thinking": f"<think> {gold} </think>",
        "two answer blocks": f"<think></think><answer>{gold}</answer><answer>{gold}</answer>",
    }
