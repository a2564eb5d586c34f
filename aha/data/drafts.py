"""Drafts: responses on their way to a row of data, judged, filtered and counted once each."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from aha.chat.grammar import THINK_CLOSE, THINK_OPEN
from aha.data.config import ColdStartConfig, RejectionConfig
from aha.data.filters import READING_REASONS, reading_fault
from aha.data.funnel import Funnel
from aha.data.judge import Judge
from aha.errors import UserError
from aha.rewards.response import in_answer_tags
from aha.rewards.service import default_pool, in_order
from aha.rewards.verdict import Verdict
from aha.tasks.registry import check_distinct, load_task
from aha.tasks.task import Problem, Task
from aha.trainers.rollouts import Asked

SAMPLED_REASONS = (
    *("unfinished", "malformed", "unscored", "wrong", *READING_REASONS),
    *("duplicate", "more of one"),
)
Row = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Draft:
    """One response to one problem: a thought and an answer or summary."""

    asked: Asked
    index: int
    """Which of the problem's responses it is."""
    thinking: str
    summary: str
    length: int
    """Tokens, or characters where the writer does not say."""
    source: str
    verdict: Verdict | None = None
    """None: not judged yet, or not to be judged."""
    fault: str | None = None
    """Why it goes."""
    needs_summary: bool = False
    """Whether `summary` is a bare answer that a writer still has to make readable."""

    @property
    def problem(self) -> Problem:
        return self.asked.problem

    def row(self) -> Row:
        """As it stands in data.jsonl."""
        return {
            "id": f"{self.problem.id}/{self.index}",
            "task": self.asked.task.name,
            "language": self.problem.language,
            "source": self.source,
            "messages": [
                {"role": "user", "content": self.problem.question},
                {
                    "role": "assistant",
                    "reasoning_content": self.thinking,
                    "content": self.summary,
                },
            ],
            "meta": {"gold": self.problem.gold},
        }


def asked_problems(
    names: Sequence[str], problems: int, *, needs_answers: bool = True
) -> list[Asked]:
    """Training problems, the tasks in turn. Raises UserError for a task that cannot be checked."""
    tasks = [load_task(name) for name in names]
    check_distinct(tasks)
    for task in tasks:
        if needs_answers and not task.checkable:
            raise UserError(
                f"task {task.name!r} has no answers that can be checked",
                hint="name checkable tasks; for rejection sampling a judge grades other ones",
            )
    found = [task.problems("train")[:problems] for task in tasks]
    longest = max(map(len, found))
    turns = [(t, i) for i in range(longest) for t in range(len(tasks)) if i < len(found[t])]
    return [Asked(group, tasks[t], found[t][i]) for group, (t, i) in enumerate(turns)]


def judge_summaries(drafts: Sequence[Draft]) -> list[Verdict]:
    """The tasks' verdicts on what the summaries answer; several at once where judging waits."""

    def judged(draft: Draft) -> Verdict:
        whole = f"{THINK_OPEN}{THINK_CLOSE}{draft.summary}"
        task: Task = draft.asked.task
        return task.judge(draft.problem, in_answer_tags(whole, "think")).verdict

    if not any(draft.asked.task.isolated for draft in drafts):
        return [judged(draft) for draft in drafts]
    return list(in_order(judged, drafts, num_threads=default_pool().num_workers))


def set_verdict_faults(drafts: Iterable[Draft], judge: Judge | None = None) -> None:
    """Drop what is not right; the judge decides where rules cannot."""
    drafts = [draft for draft in drafts if draft.fault is None]
    for draft in drafts:
        if not draft.asked.task.checkable:
            draft.verdict = None
    if judge:
        _grade([draft for draft in drafts if _is_open(draft)], judge)
    for draft in drafts:
        if draft.verdict is None or not draft.verdict.is_scored:
            draft.fault = "unscored"
        elif not draft.verdict.is_correct:
            draft.fault = "wrong"


def _is_open(draft: Draft) -> bool:
    """Whether rules have not decided; without a reference answer a judge could not either."""
    is_decided = draft.verdict is not None and draft.verdict.kind in ("correct", "wrong")
    return not is_decided and bool(draft.problem.gold.strip())


def _grade(drafts: Sequence[Draft], judge: Judge) -> None:
    grades = judge.grade([(d.problem.question, d.problem.gold, d.summary) for d in drafts])
    for draft, grade in zip(drafts, grades, strict=True):
        if grade.is_correct is None:
            draft.verdict = Verdict.error("the judge gave no verdict")
        elif grade.is_correct:
            draft.verdict = Verdict.correct("", grade.analysis)
        else:
            draft.verdict = Verdict.wrong("", grade.analysis)


def set_reading_faults(
    drafts: Iterable[Draft],
    config: ColdStartConfig | RejectionConfig,
    *,
    is_rewritten: bool = False,
) -> None:
    """Drop what a person would not want to read.

    is_rewritten: a writer is yet to write the missing summaries, so they are not looked at.
    """
    for draft in drafts:
        if draft.fault is None:
            draft.fault = reading_fault(
                draft.thinking,
                "" if draft.needs_summary and is_rewritten else draft.summary,
                language=draft.problem.language,
                filters=config,
            )


def groups_of(drafts: Iterable[Draft]) -> Iterator[list[Draft]]:
    """The drafts of one problem together; they stand in order."""
    for _, group in groupby(drafts, key=lambda draft: draft.asked.group):
        yield list(group)


def choose(drafts: Sequence[Draft], config: ColdStartConfig | RejectionConfig) -> None:
    """Keep the best few of each problem; the others go as duplicates, or as more of one."""
    for group in groups_of(drafts):
        seen: set[tuple[str, str]] = set()
        places = config.per_problem
        for draft in in_preference(group, config):
            text = (draft.thinking, draft.summary)
            if text in seen:
                draft.fault = "duplicate"
            elif places == 0:
                draft.fault = "more of one"
            else:
                seen.add(text)
                places -= 1


def in_preference(
    group: Sequence[Draft], config: ColdStartConfig | RejectionConfig, *, fault: str | None = None
) -> list[Draft]:
    """Those of one problem with a fault (None: the good ones), the preferred ones first."""
    order: Mapping[str, Callable[[Draft], int]] = {
        "first": lambda draft: draft.index,
        "longest": lambda draft: -draft.length,
        "shortest": lambda draft: draft.length,
    }
    return sorted((d for d in group if d.fault == fault), key=order[config.prefer])


def counted(drafts: Sequence[Draft], reasons: Sequence[str]) -> tuple[list[Row], Funnel]:
    """The rows of what is left, and the count of everything."""
    funnel = Funnel(tuple(reasons))
    return [draft.row() for draft in drafts if funnel.count(draft.fault)], funnel
