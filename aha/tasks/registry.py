"""The tasks there are, by name; a file path is a task too."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from aha.errors import UserError, nearest
from aha.rewards.verdict import Verdict
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
GOLD_CHECKED = 64
"""Problems whose gold answers are tried before a run starts."""
MAX_REPORTED = 10
MANY_ANSWERS = 20
"""So many answers in one answer block must not score."""


def task_names() -> list[str]:
    """Names of the tasks that come with aha."""
    return list(EMBEDDED)


def load_task(name_or_file: str) -> Task:
    """A task by name, or from a .py or .jsonl file, which is read anew. Raises UserError."""
    if name_or_file in EMBEDDED:
        return EMBEDDED[name_or_file]()
    path = Path(name_or_file)
    if path.suffix or path.is_file():
        return load_file(path)
    near = nearest(name_or_file, EMBEDDED)
    raise UserError(
        f"unknown task {name_or_file!r}",
        hint=f"did you mean {near!r}?"
        if near
        else f"known: {', '.join(EMBEDDED)}; or the path of a .py or .jsonl file",
    )


def check_distinct(tasks: Iterable[Task]) -> None:
    """Raises UserError when two tasks of a run have one name: their metrics would be mixed up."""
    seen: set[str] = set()
    for task in tasks:
        if task.name in seen:
            raise UserError(
                f"two tasks of this run are called {task.name!r}",
                hint="name each task once; rename one of two files of the same name",
            )
        seen.add(task.name)


def validate_task(task: Task, *, max_problems: int | None = None) -> list[str]:
    """What is wrong with a task: its gold answers must score, and cheap text must not.

    Returns at most `MAX_REPORTED` findings in words; none for a good task.
    """
    findings: list[str] = []
    for finding in _all_findings(task, max_problems):
        findings.append(finding)
        if len(findings) == MAX_REPORTED:
            break
    return findings


def check_gold(task: Task, *, max_problems: int = GOLD_CHECKED) -> None:
    """UserError when a gold answer scores neither in its tags nor bare: what would be learnt?

    A task without gold answers (empty ones) is taken at its word.
    """
    for problem in task.problems("train")[:max_problems]:
        if not problem.gold:
            continue
        verdict = _score(task, problem, gold_response(problem))
        if not verdict.is_correct and not _score(task, problem, problem.gold).is_correct:
            raise UserError(
                f"task {task.name!r} judges its own gold answer {problem.gold!r} of {problem.id} "
                f"{verdict.kind} ({verdict.reason})",
                hint="see: aha tasks validate; a problem may bring its own meta.gold_response",
            )


def gold_response(problem: Problem) -> str:
    """A well-formed response with the gold answer; a problem may bring its own."""
    own = problem.meta.get("gold_response")
    return str(own) if own else f"<think> {problem.gold} </think><answer> {problem.gold}</answer>"


def _all_findings(task: Task, max_problems: int | None) -> Iterator[str]:
    seen: dict[tuple[str, str], str] = {}
    for split in SPLITS:
        problems = task.problems(split)
        golds = list(dict.fromkeys(problem.gold for problem in problems[:MANY_ANSWERS]))
        if not problems:
            yield f"there are no problems for {split}"
        for problem in problems:
            for name, value in (("id", problem.id), ("question", problem.question)):
                if (name, value) in seen:
                    yield f"{problem.id}: {seen[name, value]} has the same {name}"
                seen[name, value] = problem.id
        for problem in problems[:max_problems]:
            yield from _findings(task, problem, golds)


def _findings(task: Task, problem: Problem, golds: Sequence[str]) -> Iterator[str]:
    """Of one problem. `golds`: some gold answers of the task, to name them all at once."""
    good, cheap = gold_response(problem), _cheap_responses(problem, golds)
    for text in (good, *cheap.values()):
        yield from _reward_findings(task, problem, text)
    if not task.checkable:
        return
    verdict = _score(task, problem, good)
    if not verdict.is_correct:
        yield f"{problem.id}: the gold answer {problem.gold!r} is {verdict.kind} ({verdict.reason})"
    for name, text in cheap.items():
        verdict = _score(task, problem, text)
        if verdict.score > 0:
            yield f"{problem.id}: {name} scores {verdict.score:g}"
        elif not verdict.is_scored:
            yield f"{problem.id}: no verdict on {name} ({verdict.reason})"


def _score(task: Task, problem: Problem, text: str) -> Verdict:
    try:
        return task.score(problem, text)
    except Exception as error:  # the user's code
        return Verdict.error(f"score() raised {type(error).__name__}: {error}")


def _reward_findings(task: Task, problem: Problem, text: str) -> Iterator[str]:
    for reward in task.rewards:
        _, failure = reward.evaluate(problem, text)
        if failure:
            yield f"{problem.id}: {failure} on {text[:40]!r}"


def _cheap_responses(problem: Problem, golds: Sequence[str]) -> dict[str, str]:
    gold, good = problem.gold, gold_response(problem)
    responses = {
        "an empty response": "",
        "garbage": "<answer></think>\ufffd\u2603 0 <answer> ><",
        "the question repeated": problem.question,
        "an empty answer": "<think></think><answer></answer>",
        "an answer only in the thinking": f"<think> {gold} </think>",
        "a response cut off": good[: good.rindex("<")] if "<" in good else "",
        "two answer blocks": f"<think></think><answer>{gold}</answer><answer>{gold}</answer>",
    }
    if len(golds) > 1:
        responses["many answers at once"] = f"<think></think><answer>{', '.join(golds)}</answer>"
    return responses
