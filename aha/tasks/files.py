"""A task of given problems, with a score of its own or by comparing with the gold answers.

`aha.tasks.sources` reads such tasks from files and other places.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence

from aha.rewards.accuracy import verify_answer
from aha.rewards.numbers import parse_number, verify_number
from aha.rewards.user import Reward, check_names
from aha.rewards.verdict import Verdict, VerdictKind
from aha.tasks.sources.readers import read_rows as read_rows
from aha.tasks.task import Problem, Split, Task

_DRESSED = re.compile(
    r"\$?\\boxed\{([^{}]*)\}\$?|\$\$([^$]*)\$\$|\$([^$]*)\$?|\\\(([^\\]*)\\\)|\\\[([^\\]*)\\\]"
)
"""A box, dollar signs (a price as well) or LaTeX delimiters around an answer."""
MAX_COMPARED_CHARS = 1_000

Score = Callable[[Problem, str], "Verdict | bool | float"]


class FileTask(Task):
    """Problems from a file; without a `score` of its own, answers are compared with the gold."""

    def __init__(
        self,
        name: str,
        problems: Mapping[Split, Sequence[Problem]],
        *,
        score: Score | None = None,
        rewards: Sequence[Reward] = (),
        isolated: bool = False,
    ):
        """`isolated` as of any task. Raises UserError for reward names taken or given twice."""
        check_names(rewards)
        self.name = name
        self.isolated = isolated
        self.rewards = tuple(rewards)
        self._problems = problems
        self._score = score

    def problems(self, split: Split) -> Sequence[Problem]:
        return self._problems[split]

    def score(self, problem: Problem, response: str) -> Verdict:
        if self._score is None:
            return verify_answer(response, lambda answer: compare(answer, problem.gold))
        try:
            return as_verdict(self._score(problem, response))
        except Exception as error:  # the user's code: its failure is a verdict, and counted
            return Verdict.error(f"score() raised {type(error).__name__}: {error}")


def compare(answer: str, gold: str) -> Verdict:
    """As numbers where the gold answer is one, else by `aha.rewards.math`.

    A number stands alone, but for a box or dollar signs around it, and nothing is looked for in a
    sentence: whoever does that, or works a sum out, pays for the question repeated.
    """
    if parse_number(gold) is not None:
        return verify_number(_undressed(answer), gold)
    from aha.rewards import math as answers

    return answers.verify(answer, gold, marked_only=True)


def _undressed(answer: str) -> str:
    text = answer[:MAX_COMPARED_CHARS] if len(answer) > MAX_COMPARED_CHARS else answer
    match = _DRESSED.fullmatch(text.strip())
    return answer if match is None else next(part for part in match.groups() if part is not None)


def as_verdict(result: object) -> Verdict:
    """What a user's score function may return: a verdict, a bool or a number from 0 to 1."""
    if isinstance(result, Verdict):
        return result
    if not isinstance(result, bool | int | float) or not math.isfinite(result):
        return Verdict.error(f"score() returned {result!r}, not a bool, a number or a Verdict")
    score = float(result)
    if not 0.0 <= score <= 1.0:
        return Verdict.error(f"score() returned {score}, which is not between 0 and 1")
    kind: VerdictKind = "correct" if score == 1.0 else "wrong"
    return Verdict(kind=kind, score=score, reason=f"score() = {score:g}")
