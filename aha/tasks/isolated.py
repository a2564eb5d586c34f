"""A user's task whose code runs in worker processes: it may hang, crash or eat memory.

The lower half is what a worker runs. It reads the task file once, before the clock of its first
call starts (`prepare`), and does not make its problems: the caller sends the problem.
"""

import functools
import hashlib
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from aha.errors import UserError
from aha.rewards.service import Call, default_pool
from aha.rewards.verdict import Verdict
from aha.tasks.task import Judgement, Problem, Split, Task

JUDGE_SECONDS = 10.0
"""For one judgement of a user's code; a task file sets its own with `timeout_seconds = ...`."""


class IsolatedTask(Task):
    """The task in a Python file, judged by worker processes within `timeout_seconds`.

    Time-outs, crashes and exceptions are verdicts. Judging waits, so call it from several threads.
    """

    isolated = True

    def __init__(self, inner: Task, path: Path, *, timeout_seconds: float = JUDGE_SECONDS):
        """Raises UserError for a limit that is not above 0. `inner` was read from `path`."""
        is_number = isinstance(timeout_seconds, int | float) and timeout_seconds is not True
        if not is_number or not timeout_seconds > 0:
            raise UserError(f"{path}: timeout_seconds is {timeout_seconds!r}", hint="above 0")
        self.name, self.checkable, self.notes = inner.name, inner.checkable, inner.notes
        self.timeout_seconds = float(timeout_seconds)
        self.rewards = tuple(
            replace(reward, function=functools.partial(self._reward, reward.name))
            for reward in inner.rewards
        )
        self._inner = inner
        self._file = (str(path.resolve()), _digest(path))

    def problems(self, split: Split) -> Sequence[Problem]:
        return self._inner.problems(split)

    def score(self, problem: Problem, response: str) -> Verdict:
        return self._judged("score_here", problem, response).verdict

    def judge(self, problem: Problem, response: str) -> Judgement:
        return self._judged("judge_here", problem, response)

    def _judged(self, function: str, problem: Problem, response: str) -> Judgement:
        value, failure = self._call(function, problem, response)
        return Judgement(failure) if failure is not None else value

    def _reward(self, name: str, problem: Problem, response: str) -> float:
        """One reward part; RuntimeError says why there is none."""
        value, failure = self._call("reward_here", problem, response, name)
        if failure is not None:
            raise RuntimeError(failure.reason)
        return float(value)

    def _call(self, function: str, problem: Problem, *args: Any) -> tuple[Any, Verdict | None]:
        sent = (*self._file, _packed(problem), *args)
        reply = default_pool().call(Call(f"{__name__}:{function}", sent, self.timeout_seconds))
        return reply.value, reply.failure


def _packed(problem: Problem) -> bytes:
    """A pickle of its own, because what is in `meta` may be of the task file's own types."""
    try:
        return pickle.dumps(problem)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise UserError(
            f"{problem.id}: its meta cannot be sent to a worker process: {error}",
            hint="keep texts, numbers, lists and dicts in meta",
        ) from error


def prepare(path: str, digest: str, *_: Any) -> None:
    """Read the task file, outside the clock of the calls."""
    _task(path, digest)


def score_here(path: str, digest: str, problem: bytes, response: str) -> Judgement:
    """The verdict alone, in this process and without a clock."""
    try:
        return Judgement(_task(path, digest).score(pickle.loads(problem), response))
    except Exception as error:
        return _raised(error)


def judge_here(path: str, digest: str, problem: bytes, response: str) -> Judgement:
    """The verdict and the reward parts, in this process and without a clock."""
    try:
        return _task(path, digest).judge(pickle.loads(problem), response)
    except Exception as error:
        return _raised(error)


def reward_here(path: str, digest: str, problem: bytes, response: str, name: str) -> float:
    """One reward part; raises what the user's function raises."""
    reward = next(reward for reward in _task(path, digest).rewards if reward.name == name)
    return reward(pickle.loads(problem), response)


def _raised(error: Exception) -> Judgement:
    return Judgement(Verdict.error(f"score() raised {type(error).__name__}: {error}"))


@functools.cache
def _task(path: str, digest: str) -> Task:
    from aha.tasks.sources.python import judging_task

    if _digest(Path(path)) != digest:
        raise UserError(f"{path} has changed since it was read", hint="start anew")
    return judging_task(Path(path))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
