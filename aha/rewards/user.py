"""Rewards of a user's own, beside accuracy and format."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, overload

RewardFunction = Callable[[Any, str], float]


@dataclass(frozen=True, slots=True)
class Reward:
    """A named part of the reward: `function(problem, response)` times `weight`."""

    name: str
    weight: float
    function: RewardFunction

    def __call__(self, problem: Any, response: str) -> float:
        return float(self.function(problem, response))


@overload
def reward(function: RewardFunction) -> Reward: ...
@overload
def reward(*, weight: float = 1.0, name: str | None = None) -> Callable[[RewardFunction], Reward]: ...


def reward(
    function: RewardFunction | None = None, *, weight: float = 1.0, name: str | None = None
) -> Reward | Callable[[RewardFunction], Reward]:
    """Mark a function of a task file as a part of the reward.

        @aha.reward(weight=0.5)
        def short(problem, response):
            return 1.0 if len(response) < 200 else 0.0
    """

    def mark(function: RewardFunction) -> Reward:
        return Reward(name or function.__name__, weight, function)

    return mark if function is None else mark(function)
