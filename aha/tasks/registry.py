"""The tasks there are, by name; a file path is a task too."""

from collections.abc import Callable, Iterable

from aha.errors import UserError, nearest
from aha.pipeline.sources import is_file
from aha.tasks.embedded.arithmetic import ArithmeticTask
from aha.tasks.embedded.assistant import AssistantTask, RequestsTask
from aha.tasks.embedded.countdown import CountdownTask
from aha.tasks.embedded.logic import LogicTask
from aha.tasks.embedded.smalltalk import SmalltalkTask
from aha.tasks.red_team import check_gold as check_gold
from aha.tasks.red_team import gold_response as gold_response
from aha.tasks.red_team import validate_task as validate_task
from aha.tasks.sources.load import load_source
from aha.tasks.sources.measured import by_difficulty
from aha.tasks.sources.reference import MEASURED_OPTIONS, parse_reference
from aha.tasks.task import Task

EMBEDDED: dict[str, Callable[[], Task]] = {
    "arithmetic": ArithmeticTask,
    "arithmetic-5": lambda: ArithmeticTask("arithmetic-5", operands=(5,)),
    "countdown": CountdownTask,
    "logic": LogicTask,
    "smalltalk": SmalltalkTask,
    "assistant": AssistantTask,
    "requests": RequestsTask,
}


def task_names() -> list[str]:
    """Names of the tasks that come with aha."""
    return list(EMBEDDED)


def load_task(name_or_file: str) -> Task:
    """A task by name, file, `hub:...` or `gym:...`, with options after a question mark.

    Files are read anew. The forms are in `aha.tasks.sources`. Raises UserError.
    """
    reference = parse_reference(name_or_file)
    if reference.target in EMBEDDED:
        reference.check_options(MEASURED_OPTIONS)
        return by_difficulty(EMBEDDED[reference.target](), reference)
    if reference.is_remote or reference.path.suffix or is_file(reference.path):
        return by_difficulty(load_source(reference), reference)
    near = nearest(reference.target, EMBEDDED)
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
