"""What a cheater could earn, tried before a run: the whole reward, with the user's own parts.

A policy finds what a reward pays for, whatever it was meant to pay for. Paying for the form alone
is the recipe's choice (arXiv 2501.12948v2, Eq. 4), so that is shown and no more; an accuracy reward
or a part of the user's own that pays a response without the right answer is a warning.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aha.rewards.combine import combine
from aha.rewards.user import BUILT_IN_NAMES
from aha.tasks.red_team import cheats, gold_response, judged, some_golds, wrong_answer
from aha.tasks.task import Problem, Task
from aha.trainers.config import GrpoConfig
from aha.trainers.scoring import score_response

TRIED_PROBLEMS = 16
MAX_SECONDS = 20.0
"""A task whose score hangs is left after this time, plus one time-out."""
SHOWN_CHEATS = 3
BY_DESIGN = tuple(name for name in BUILT_IN_NAMES if name != "accuracy")
"""Parts that are about the form alone."""


@dataclass(frozen=True, slots=True)
class Earning:
    """What one cheat earns, means over problems, weights included."""

    cheat: str
    reward: float
    parts: Mapping[str, float]
    """Parts of the reward that are not 0."""
    unscored: int = 0
    """Problems on which there was no verdict."""
    reason: str = ""
    """Of the last of these."""

    @property
    def unearned(self) -> dict[str, float]:
        """Parts that should pay only for a right answer."""
        return {k: v for k, v in self.parts.items() if k not in BY_DESIGN and v > 0}


@dataclass(frozen=True, slots=True)
class Trial:
    """How a task's reward stood up to the cheats."""

    task: str
    num_problems: int
    full_marks: float
    """What the gold answers earn."""
    earnings: tuple[Earning, ...]
    """By cheat, the best paid first."""
    is_cut_short: bool = False

    def warnings(self) -> list[str]:
        """One line for each part of the reward that pays where no right answer is given."""
        lines = []
        for part in dict.fromkeys(part for e in self.earnings for part in e.unearned):
            paid = [earning for earning in self.earnings if part in earning.unearned]
            alone = [earning for earning in paid if len(earning.unearned) == 1] or paid
            best = max(alone, key=lambda earning: earning.unearned[part])
            lines.append(
                f"the reward part {part!r} of task {self.task!r} pays {_count(paid)}: {best.cheat} "
                f"earns {best.reward:.2f} of {self.full_marks:.2f} ({_shares(best.parts)})"
            )
        unscored = [earning for earning in self.earnings if earning.unscored]
        if unscored:
            lines.append(
                f"task {self.task!r} has no verdict on {_count(unscored)}: "
                f"{unscored[0].cheat} ({unscored[0].reason})"
            )
        return lines

    def lines(self) -> list[str]:
        """For people: what cheats earn, those that are paid alike together; and the warnings."""
        alike: dict[str, list[Earning]] = {}
        for earning in self.earnings:
            pay = f"{earning.reward:.2f} of {self.full_marks:.2f} ({_shares(earning.parts)})"
            alike.setdefault(pay if earning.parts else "nothing", []).append(earning)
        cut = f", stopped after {MAX_SECONDS:g} s" if self.is_cut_short else ""
        tried = f"{_count(self.earnings)} on {self.num_problems} problems of {self.task}"
        return [
            f"red-team: {tried}{cut}",
            *(f"  {pay}: {_named(earnings)}" for pay, earnings in alike.items()),
            *(f"WARNING: {warning}" for warning in self.warnings()),
        ]

    def row(self) -> dict[str, Any]:
        """For run.json."""
        return {
            "task": self.task,
            "problems": self.num_problems,
            "full_marks": self.full_marks,
            "earnings": [asdict(earning) for earning in self.earnings],
        }


def try_cheats(task: Task, config: GrpoConfig) -> Trial:
    """Let cheats answer a sample of the training problems and see what `config` pays them."""
    problems = task.problems("train")
    chosen = problems[:: max(1, len(problems) // TRIED_PROBLEMS)][:TRIED_PROBLEMS]
    golds = some_golds(problems)
    full = [_earned(task, (problem, "", gold_response(problem)), config) for problem in chosen]
    tried = [
        (problem, name, text)
        for problem in chosen
        for name, text in cheats(problem, golds, wrong_answer(task, problem, golds)).items()
    ]
    found: dict[str, list[_Earned]] = {}
    deadline, is_cut_short = time.monotonic() + MAX_SECONDS, False
    results = judged(task, lambda task, one: _earned(task, one, config), tried)
    for (_, name, _), earned in zip(tried, results, strict=True):
        found.setdefault(name, []).append(earned)
        if time.monotonic() > deadline:
            is_cut_short = True
            break
    earnings = sorted(
        (_mean(name, rows) for name, rows in found.items()), key=lambda earning: -earning.reward
    )
    marks = [earned.reward for earned in full]
    return Trial(
        task=task.name,
        num_problems=len(chosen),
        full_marks=math.fsum(marks) / max(1, len(marks)),
        earnings=tuple(earnings),
        is_cut_short=is_cut_short,
    )


@dataclass(frozen=True, slots=True)
class _Earned:
    reward: float
    parts: dict[str, float]
    failure: str = ""


def _earned(task: Task, one: tuple[Problem, str, str], config: GrpoConfig) -> _Earned:
    """The reward of one response, as the trainer adds it up (without a penalty for length)."""
    problem, _, text = one
    scored = score_response(task, problem, text)
    if not scored.verdict.is_scored:
        return _Earned(0.0, {}, scored.verdict.reason)
    weights = config.reward_weights | {reward.name: reward.weight for reward in task.rewards}
    weights = {name: weight for name, weight in weights.items() if name in scored.rewards}
    parts = {name: weights[name] * value for name, value in scored.rewards.items()}
    return _Earned(combine(scored.rewards, weights), parts)


def _mean(cheat: str, rows: Sequence[_Earned]) -> Earning:
    names = dict.fromkeys(name for row in rows for name in row.parts)
    means = {
        name: math.fsum(row.parts.get(name, 0.0) for row in rows) / len(rows) for name in names
    }
    failures = [row.failure for row in rows if row.failure]
    return Earning(
        cheat=cheat,
        reward=math.fsum(row.reward for row in rows) / len(rows),
        parts={name: value for name, value in means.items() if value},
        unscored=len(failures),
        reason=failures[-1] if failures else "",
    )


def _shares(parts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in parts.items())


def _count(earnings: Sequence[Earning]) -> str:
    return f"{len(earnings)} cheat{'' if len(earnings) == 1 else 's'}"


def _named(earnings: Sequence[Earning]) -> str:
    names = ", ".join(earning.cheat for earning in earnings[:SHOWN_CHEATS])
    more = len(earnings) - SHOWN_CHEATS
    return names + (f" and {more} more" if more > 0 else "")
