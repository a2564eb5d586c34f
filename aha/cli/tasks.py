"""`aha tasks`: list, show and validate tasks."""

from typing import Annotated, Any

import typer

from aha.errors import UserError

app = typer.Typer(
    help="List, show and validate tasks.", no_args_is_help=True, rich_markup_mode=None
)
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
    """Check that gold answers score full marks and that junk scores nothing, for every problem."""
    from aha.tasks.registry import load_task, validate_task

    task = load_task(name)
    faults = validate_task(task)
    for fault in faults[:20]:
        print(fault)
    if faults:
        hint = "every gold answer must score 1, everything else 0"
        raise UserError(f"the task {task.name} has {len(faults)} faults", hint=hint)
    print(f"{task.name}: good")


def _sizes(task: Any) -> str:
    from aha.tasks.task import SPLITS

    return ", ".join(f"{split} {len(task.problems(split)):,}" for split in SPLITS)
