"""Rewards of a user's own, beside accuracy and format."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, overload

from aha.errors import UserError

RewardFunction = Callable[[Any, str], float]
BUILT_IN_NAMES = ("accuracy", "format", "language", "overlong", "cosine", "repetition")
"""Parts that every reward has, or may have; `aha.trainers.config` weighs them."""


@dataclass(frozen=True, slots=True)
class Reward:
    """A named part of the reward: `function(problem, response)` times `weight`."""

    name: str
    weight: float
    function: RewardFunction

    def __call__(self, problem: Any, response: str) -> float:
        return float(self.function(problem, response))

    def evaluate(self, problem: Any, response: str) -> tuple[float, str]:
        """The value, and in words what went wrong where there is none; it never raises."""
        try:
            value = self(problem, response)
        except Exception as error:  # the user's code
            return 0.0, f"reward {self.name!r} raised {type(error).__name__}: {error}"
        if not math.isfinite(value):
            return 0.0, f"reward {self.name!r} is {value}"
        return value, ""


@overload
def reward(function: RewardFunction) -> Reward: ...
@overload
def reward(
    *, weight: float = 1.0, name: str | None = None
) -> Callable[[RewardFunction], Reward]: ...


def reward(
    function: RewardFunction | None = None, *, weight: float = 1.0, name: str | None = None
) -> Reward | Callable[[RewardFunction], Reward]:
    """Mark a function of a task file as a part of the reward.

    @aha.reward(weight=0.5)
    def short(problem, response):
        return 1.0 if len(response) < 200 else 0.0
    """

    def mark(function: RewardFunction) -> Reward:
        return Reward(name or _name_of(function), _checked(weight), function)

    return mark if function is None else mark(function)


def check_names(rewards: Iterable[Reward]) -> None:
    """Raises UserError when a part would take the place of another."""
    taken = set(BUILT_IN_NAMES)
    for part in rewards:
        if part.name in taken:
            raise UserError(
                f"there is a reward part {part.name!r} already",
                hint='rename the function, or use @aha.reward(name="...")',
            )
        taken.add(part.name)


def _name_of(function: object) -> str:
    name = getattr(function, "__name__", None)
    if not callable(function) or not isinstance(name, str):
        raise UserError(
            f"@aha.reward on {function!r}, which is not a named function",
            hint="write @aha.reward or @aha.reward(weight=0.5) above a function",
        )
    return name


def _checked(weight: float) -> float:
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
        raise UserError(f"the weight of a reward is {weight!r}", hint="give a number such as 0.5")
    return float(weight)
