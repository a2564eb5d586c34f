"""From a reference to a suite: a published one, an embedded task, or rows of one's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aha.errors import UserError, nearest
from aha.evals.suites import prompts
from aha.evals.suites.entry import Entry, Grade
from aha.evals.suites.graders import own_row, same_math
from aha.evals.suites.registry import BY_PLAIN_NAME, SUITES, plain
from aha.evals.suites.reply import tagged
from aha.evals.suites.rows import load_rows
from aha.evals.suites.suite import Protocol, Suite
from aha.pipeline.sources import is_file
from aha.rewards.verdict import Verdict
from aha.tasks.files import FileTask
from aha.tasks.registry import EMBEDDED, load_task
from aha.tasks.sources.reference import GYM, parse_reference
from aha.tasks.task import SPLITS, Problem, Split, Task

if TYPE_CHECKING:
    from aha.data.judge import Judge


def load(reference: str, data: Path | None, judge: "Judge | None") -> Suite:
    """See `aha.evals.suites.load_suite`."""
    entry = BY_PLAIN_NAME.get(plain(reference))
    if entry is not None and (data is not None or reference not in EMBEDDED):
        return _published(entry, data, judge)
    if data is not None:
        raise UserError(f"unknown suite {reference!r}", hint=_near(reference))
    target = parse_reference(reference)
    is_task = target.target in EMBEDDED or target.is_remote or target.path.suffix
    if not is_task and not is_file(target.path):
        raise UserError(f"unknown suite {reference!r}", hint=_near(reference))
    task = load_task(reference)
    has_own_score = target.target in EMBEDDED or target.target.startswith(GYM)
    return _embedded(task) if has_own_score or target.path.suffix == ".py" else _own(task)


def _published(entry: Entry, data: Path | None, judge: "Judge | None") -> Suite:
    loaded = load_rows(entry, data)
    if entry.without_gold is not None and not any(problem.gold for problem in loaded.problems):
        entry = entry.without_gold
    return Suite(
        name=entry.name,
        description=entry.description,
        task=_heldout(entry.name, loaded.problems, _grade(entry, judge), loaded.notes),
        protocol=entry.protocol,
        metric=entry.metric,
        figures=entry.figures,
        whole=entry.whole,
        same_answer=entry.same_answer,
        has_turns=entry.has_turns,
        needs_judge=entry.grade is None,
    )


def _heldout(name: str, problems: Sequence[Problem], grade: Grade, notes: tuple[str, ...]) -> Task:
    splits: dict[Split, Sequence[Problem]] = dict.fromkeys(SPLITS, ())
    splits["heldout"] = problems
    task = FileTask(name, splits, score=grade, isolated=True)
    task.notes = notes
    return task


def _grade(entry: Entry, judge: "Judge | None") -> Grade:
    if judge is not None and entry.judged is not None:
        return entry.judged(judge)
    return entry.grade or _unjudged


def _unjudged(problem: Problem, response: str) -> Verdict:
    return Verdict.error("this suite is graded by a judge: --judge endpoint:URL#MODEL")


class _AnyForm(Task):
    """A task that judges answer tags, for responses that may end in a summary instead."""

    def __init__(self, task: Task):
        self.task = task
        self.name, self.checkable, self.notes = task.name, task.checkable, task.notes
        self.isolated = task.isolated

    def problems(self, split: Split) -> Sequence[Problem]:
        return self.task.problems(split)

    def score(self, problem: Problem, response: str) -> Verdict:
        return self.task.score(problem, tagged(response))


def _embedded(task: Task) -> Suite:
    """An embedded task, reasoning-gym, or a Python file: problems with a score of their own."""
    return Suite(
        name=task.name,
        description=(type(task).__doc__ or "").partition("\n")[0],
        task=_AnyForm(task),
        protocol=Protocol(template="r1-zero"),
        same_answer=same_math,
    )


def _own(task: Task) -> Suite:
    """The held-out problems of one's own rows, as training keeps them back."""
    heldout = task.problems("heldout")
    total = sum(len(task.problems(split)) for split in SPLITS)
    about = f"{len(heldout):,} held-out problems of {total:,}; all: --suite rows --data FILE"
    return Suite(
        name=task.name,
        description=about,
        task=_heldout(task.name, heldout, own_row, task.notes),
        protocol=Protocol(instruction=prompts.MATH),
        same_answer=same_math,
    )


def _near(reference: str) -> str:
    names = {*SUITES, *EMBEDDED}
    near = nearest(reference, names)
    known = f"known: {', '.join(sorted(names))}; or a .jsonl or .py file, hub:owner/name"
    return f"did you mean {near!r}?" if near else known
