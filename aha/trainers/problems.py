"""Which problems a step asks: the tasks in turn, every problem once before any a second time."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from aha.data.curriculum import easy_to_hard
from aha.errors import UserError
from aha.tasks.registry import check_distinct
from aha.tasks.task import Problem, Task
from aha.trainers.rollouts import Asked


@dataclass(slots=True)
class ProblemStream:
    """An endless, seeded order of problems; `position` is all there is to save and restore.

    A task with a curriculum begins every epoch with its easy problems.
    """

    tasks: Sequence[Task]
    seed: int
    position: int = 0
    _orders: dict[tuple[str, int], list[Problem]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_distinct(self.tasks)

    def take(self, count: int) -> list[Asked]:
        """The next problems. Their running number names the random streams of their samples."""
        taken = [self._at(index) for index in range(self.position, self.position + count)]
        self.position += count
        return taken

    def _at(self, index: int) -> Asked:
        task = self.tasks[index % len(self.tasks)]
        turn = index // len(self.tasks)
        num_problems = len(task.problems("train"))
        if not num_problems:
            raise UserError(
                f"task {task.name!r} has no training problems", hint="add problems to its file"
            )
        epoch, place = divmod(turn, num_problems)
        return Asked(index, task, self._order(task, epoch)[place])

    def _order(self, task: Task, epoch: int) -> list[Problem]:
        key = (task.name, epoch)
        if key not in self._orders:
            rng = random.Random(f"{self.seed}/{task.name}/{epoch}")
            order = list(task.problems("train"))
            if task.curriculum:
                order = easy_to_hard(order, task.curriculum, rng)
            else:
                rng.shuffle(order)
            self._orders[key] = order
        return self._orders[key]
