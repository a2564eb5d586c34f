"""Every task proves itself: its gold answers score full marks, and what a cheater writes nothing.

A policy finds whatever a reward pays for. The cheats here are those that were paid by reward
functions in use elsewhere: a number looked for anywhere in the text, the first of several answers,
a match after Unicode normalisation, `eval` behind a filter that lets `**` through, and texts that a
verifier takes minutes to read.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from aha.chat.grammar import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN
from aha.errors import UserError
from aha.rewards.service import default_pool, in_order
from aha.rewards.verdict import Verdict
from aha.tasks.task import SPLITS, Judgement, Problem, Task

GOLD_CHECKED = 64
"""Problems whose gold answers are tried before a run starts."""
MAX_REPORTED = 10
MANY_ANSWERS = 20
"""So many answers in one answer block must not score."""
LONG_CHEATED = 2
"""Problems of each split that also get replies of LONG_CHARS; more would take minutes."""
LONG_CHARS = 10_000_000
SLOW_SECONDS = 10.0
"""No judgement may take longer."""

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]

_CYRILLIC = str.maketrans(
    "ABCEHIKMOPSTXYaceiopsxy",
    "\u0410\u0412\u0421\u0415\u041d\u0406\u041a\u041c\u041e\u0420\u0405\u0422\u0425\u0423"
    "\u0430\u0441\u0435\u0456\u043e\u0440\u0455\u0445\u0443",
)
_BOLD_DIGITS = str.maketrans("0123456789", "".join(chr(0x1D7CE + d) for d in range(10)))
_LETTERS = "ABCDE"


def validate_task(
    task: Task, *, max_problems: int | None = None, on_progress: Progress | None = None
) -> list[str]:
    """What is wrong with a task: its gold answers must score, and no cheat may.

    Returns at most `MAX_REPORTED` findings in words; none for a good task. max_problems: of each
    split; None: all. on_progress: called with the number of problems done and of all.
    """
    findings: list[str] = []
    for finding in _all_findings(task, max_problems, on_progress or (lambda done, total: None)):
        findings.append(finding)
        if len(findings) == MAX_REPORTED:
            break
    return findings


def check_gold(task: Task, *, max_problems: int = GOLD_CHECKED) -> None:
    """UserError when a gold answer scores neither in its tags nor bare: what would be learnt?

    A task without gold answers (empty ones) is taken at its word.
    """
    problems = [problem for problem in task.problems("train")[:max_problems] if problem.gold]
    for problem, verdict in zip(problems, judged(task, _gold_verdict, problems), strict=True):
        if not verdict.is_correct:
            raise UserError(
                f"task {task.name!r} judges its own gold answer {problem.gold!r} of {problem.id} "
                f"{verdict.kind} ({verdict.reason})",
                hint="see: aha tasks validate; a problem may bring its own meta.gold_response",
            )


def gold_response(problem: Problem) -> str:
    """A well-formed response with the gold answer; a problem may bring its own."""
    own = problem.meta.get("gold_response")
    return str(own) if own else f"<think> {problem.gold} </think><answer> {problem.gold}</answer>"


def judged(
    task: Task, function: Callable[[Task, Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """`function(task, item)` for every item, in order; at once where the task is judged apart."""
    if not task.isolated:
        return map(partial(function, task), items)
    return in_order(partial(function, task), items, num_threads=default_pool().num_workers)


def wrong_answer(task: Task, problem: Problem, golds: Sequence[str]) -> str:
    """An answer that the task does not take: another problem's, if it is not right here too."""
    for other in (*golds, f"{problem.gold}0", "0"):
        is_other = _plain(other) not in _plain(problem.gold)
        if is_other and judge(task, problem, _answered(other)).verdict.score <= 0:
            return other
    return "?"


def cheats(problem: Problem, golds: Sequence[str], wrong: str) -> dict[str, str]:
    """Responses that deserve nothing, by what they try.

    golds: some gold answers of the task; wrong: an answer that is not right.
    """
    gold, good = problem.gold, gold_response(problem)
    tried = {
        "an empty response": "",
        "garbage": "<answer></think>\ufffd\u2603 0 <answer> ><",
        "the question repeated": problem.question,
        "an empty answer": _answered(""),
        "an answer only in the thinking": f"<think> {gold} </think>",
        "the right answer only in the thinking": f"<think> {gold} </think><answer></answer>",
        "another answer than in the thinking": f"<think> {gold} </think><answer> {wrong} </answer>",
        "a response cut off": good[: good.rindex("<")] if "<" in good else "",
        "two answer blocks": f"{_answered(gold)}<answer>{gold}</answer>",
        "two different answer blocks": f"{_answered(gold)}<answer>{wrong}</answer>",
        "two different answer blocks, the last right": f"{_answered(wrong)}<answer>{gold}</answer>",
        "text after the answer": f"{_answered(wrong)} or rather {gold}",
        "several boxed answers": _answered(f"\\boxed{{{gold}}} \\boxed{{{wrong}}}"),
        "tag spam": (THINK_OPEN + ANSWER_OPEN) * 20 + gold + (ANSWER_CLOSE + THINK_CLOSE) * 20,
        "an answer in nested tags": _answered(f"<answer>{gold}</answer>"),
        "a tower of powers": _answered("99**98**97"),
        "a LaTeX tower of powers": _answered("\\boxed{9^{9^{9^{9^{9}}}}}"),
        "a LaTeX bomb": _answered("\\boxed{" + "\\frac{1+" * 1_000 + "1" + "}{2}" * 1_000 + "}"),
        "open braces": _answered("\\boxed{" * 2_000 + wrong),
    }
    if _plain(problem.question) != _plain(gold):
        tried["the question repeated as the answer"] = _answered(problem.question)
    if len(golds) > 1:
        others = [other for other in golds if other != gold][: MANY_ANSWERS - 1]
        tried["many answers at once"] = _answered(", ".join([*others[::2], gold, *others[1::2]]))
    if options := _options(problem):
        tried["all options listed"] = _answered(", ".join(options))
        tried["all options in a row"] = _answered(" ".join(options))
    if (like := gold.translate(_CYRILLIC).translate(_BOLD_DIGITS)) != gold:
        tried["Unicode look-alikes"] = _answered(like)
    return tried


def long_cheats(problem: Problem) -> dict[str, str]:
    """Replies of LONG_CHARS, which deserve nothing in bounded time."""
    many = LONG_CHARS // (len(problem.gold) + 2)
    return {
        "10 MB of digits": _answered("7" * LONG_CHARS),
        "10 MB of the right answer": _answered(f"{problem.gold}, " * many),
        "10 MB of tags": ANSWER_OPEN * (LONG_CHARS // len(ANSWER_OPEN)),
        "10 MB of braces": _answered("\\boxed{" * (LONG_CHARS // 7)),
    }


def some_golds(problems: Sequence[Problem]) -> list[str]:
    """Different gold answers of the first problems."""
    return list(dict.fromkeys(problem.gold for problem in problems[:MANY_ANSWERS]))


def judge(task: Task, problem: Problem, text: str) -> Judgement:
    """A judgement, also from a task that raises."""
    try:
        return task.judge(problem, text)
    except Exception as error:  # the user's code
        return Judgement(Verdict.error(f"score() raised {type(error).__name__}: {error}"))


def _gold_verdict(task: Task, problem: Problem) -> Verdict:
    in_tags = judge(task, problem, gold_response(problem)).verdict
    bare = in_tags if in_tags.is_correct else judge(task, problem, problem.gold).verdict
    return bare if bare.is_correct else in_tags


def _answered(answer: str) -> str:
    return f"{THINK_OPEN}{THINK_CLOSE}{ANSWER_OPEN}{answer}{ANSWER_CLOSE}"


def _plain(text: str) -> str:
    return "".join(text.casefold().split())


def _options(problem: Problem) -> list[str]:
    """The options of a multiple-choice problem; letters where they are not known."""
    options = problem.meta.get("options")
    if isinstance(options, list | tuple) and len(options) > 1:
        return [str(option) for option in options]
    gold = problem.gold.strip().strip("().")
    return list(_LETTERS) if len(gold) == 1 and gold.upper() in _LETTERS else []


def _all_findings(task: Task, max_problems: int | None, tell: Progress) -> Iterator[str]:
    splits = {split: task.problems(split) for split in SPLITS}
    total, done = sum(len(problems[:max_problems]) for problems in splits.values()), 0
    seen: dict[tuple[str, str], str] = {}
    for split, problems in splits.items():
        if not problems:
            yield f"there are no problems for {split}"
        for problem in problems:
            yield from _repetitions(problem, seen)
        golds = some_golds(problems)
        chosen = [(p, golds, i < LONG_CHEATED) for i, p in enumerate(problems[:max_problems])]
        for findings in judged(task, _findings, chosen):
            yield from findings
            done += 1
            tell(done, total)


def _repetitions(problem: Problem, seen: dict[tuple[str, str], str]) -> Iterator[str]:
    for name, value in (("id", problem.id), ("question", problem.question)):
        if (name, value) in seen:
            yield f"{problem.id}: {seen[name, value]} has the same {name}"
        seen[name, value] = problem.id


def _findings(task: Task, item: tuple[Problem, Sequence[str], bool]) -> list[str]:
    """Of one problem, its golds as for `cheats`, and whether it gets the long cheats too."""
    problem, golds, with_long = item
    wrong = wrong_answer(task, problem, golds)
    tried = cheats(problem, golds, wrong) | (long_cheats(problem) if with_long else {})
    found = _good_findings(task, problem)
    for name, text in tried.items():
        found += _cheat_findings(task, problem, name, text)
    return [f"{problem.id}: {finding}" for finding in found]


def _good_findings(task: Task, problem: Problem) -> list[str]:
    if not task.checkable:
        return _reward_failures(task, problem, gold_response(problem))
    verdict = judge(task, problem, gold_response(problem)).verdict
    if verdict.is_correct:
        return []
    return [f"the gold answer {problem.gold!r} is {verdict.kind} ({verdict.reason})"]


def _reward_failures(task: Task, problem: Problem, text: str) -> list[str]:
    """Of a task without right answers: of its own reward parts."""
    failures = [reward.evaluate(problem, text)[1] for reward in task.rewards]
    return [f"{failure} on {text[:40]!r}" for failure in failures if failure]


def _cheat_findings(task: Task, problem: Problem, name: str, text: str) -> Iterator[str]:
    if not task.checkable:
        yield from _reward_failures(task, problem, text)
        return
    started = time.monotonic()
    verdict = judge(task, problem, text).verdict
    seconds = time.monotonic() - started
    if seconds > SLOW_SECONDS and verdict.is_scored:
        yield f"{name} takes {seconds:.0f} s"
    if verdict.score > 0:
        yield f"{name} scores {verdict.score:g}"
    elif not verdict.is_scored:
        yield f"no verdict on {name} ({verdict.reason})"
