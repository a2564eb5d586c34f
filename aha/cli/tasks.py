"""`aha tasks`: list, show and validate tasks."""

import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from aha.cli.tasks_data import register
from aha.errors import UserError

app = typer.Typer(
    help="List, show and validate tasks.", no_args_is_help=True, rich_markup_mode=None
)
register(app)  # clean, measure
TELL_SECONDS = 2.0
TaskName = Annotated[str, typer.Argument(help="A task's name, or FILE.py.", show_default=False)]


@app.command("list")
def list_tasks() -> None:
    """Print the names of the tasks that come with aha."""
    from aha.tasks.registry import load_task, task_names

    for name in task_names():
        about = (type(load_task(name)).__doc__ or "").split("\n")[0]
        print(f"{name:<16} {about}")


@app.command("show")
def show_task(
    name: TaskName,
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many problems.")] = 3,
) -> None:
    """Print a task's first held-out problems with their gold answers."""
    from aha.tasks.registry import load_task

    task = load_task(name)
    print(f"{task.name}: {_sizes(task)}")
    for problem in task.problems("heldout")[:count]:
        print(f"\n{problem.id} ({problem.language})\n  Q: {problem.question}\n  A: {problem.gold}")


@app.command("validate")
def validate(name: TaskName) -> None:
    """Check every problem: its gold answer scores full marks, and what a cheater writes nothing.

    Then print what a cheater could earn from the whole reward, parts of your own included.
    """
    from aha.tasks.red_team import MAX_REPORTED, validate_task
    from aha.tasks.registry import load_task

    task = load_task(name)
    faults = validate_task(task, on_progress=_progress())
    for fault in faults:
        print(fault)
    if faults:
        more = " or more" if len(faults) == MAX_REPORTED else ""
        hint = "every gold answer must score 1, everything else 0"
        count = "1 fault" if len(faults) == 1 else f"{len(faults)}{more} faults"
        raise UserError(f"the task {task.name} has {count}", hint=hint)
    if task.checkable:
        from aha.trainers.config import GrpoConfig
        from aha.trainers.red_team import try_cheats

        print("\n".join(try_cheats(task, GrpoConfig()).lines()))
    print(f"{task.name}: good")


def _progress() -> Callable[[int, int], None]:
    """A line on stderr every few seconds, with the time left."""
    from aha.pipeline.progress import format_seconds

    started = last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= TELL_SECONDS:
            last = now
            left = format_seconds((now - started) / done * (total - done))
            typer.echo(f"{done:,} of {total:,} problems, {left} left", err=True)

    return tell


def _sizes(task: Any) -> str:
    from aha.tasks.task import SPLITS

    return ", ".join(f"{split} {len(task.problems(split)):,}" for split in SPLITS)
