"""All strategies by name, and the points to measure: `budget=8,16,32`, `beam:consensus=4`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aha.errors import UserError, nearest
from aha.evals.scaling import scorers, thinking, verify, votes
from aha.evals.scaling.beam import beam_by
from aha.evals.scaling.mcts import mcts_by
from aha.evals.scaling.sampler import Chunk, Outcome, Sampler

MOST_SIZE = 1_048_576
MOST_BUDGETS = 6
Solve = Callable[[Sampler, Chunk, int], list[Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """A way to spend tokens, measured at several sizes."""

    name: str
    title: str
    unit: str
    """What a size counts."""
    solve: Solve
    sizes: tuple[int, ...]
    """Measured unless others are asked for; empty: not by default."""
    by_length: bool = False
    """Sizes are tokens of thinking: the default ones follow from the limit of a response."""
    is_vote: bool = False
    """A size is that of a subset of the pool."""
    is_oracle: bool = False
    """It knows the right answers: a ceiling, no method."""
    needs_reward: bool = False


def _search(
    name: str, make: Callable[..., Solve], unit: str, sizes: tuple[int, ...]
) -> list[Strategy]:
    title = {"beam": "beam search", "mcts": "MCTS"}[name]
    guides = (
        ("logprob", "log-prob", scorers.by_logprob),
        ("consensus", "consensus of rollouts", scorers.by_consensus),
        ("reward", "reward model", scorers.by_reward),
    )
    return [
        Strategy(
            name=f"{name}:{guide}",
            title=f"{title} by {words}",
            unit=unit,
            solve=make(scorer, guide),
            sizes=sizes,
            needs_reward=guide == "reward",
        )
        for guide, words, scorer in guides
    ]


_ALL = (
    Strategy(name="budget", title="thinking cut at a budget", unit="tokens of thinking",
             solve=thinking.budget, sizes=(), by_length=True),
    Strategy(name="fill", title="thinking filled up to a budget", unit="tokens of thinking",
             solve=thinking.fill, sizes=(), by_length=True),
    Strategy(name="wait", title="thinking extended by Wait", unit="times",
             solve=thinking.wait, sizes=(1, 2, 4)),
    Strategy(name="majority", title="majority vote", unit="samples",
             solve=votes.majority, sizes=(1, 2, 4, 8, 16, 32, 64), is_vote=True),
    Strategy(name="best:logprob", title="best of N by log-prob", unit="samples",
             solve=votes.best_by(votes.by_logprob), sizes=(2, 4, 8, 16, 32, 64), is_vote=True),
    Strategy(name="best:reward", title="best of N by reward model", unit="samples",
             solve=votes.best_by(votes.by_reward), sizes=(2, 4, 8, 16, 32, 64), is_vote=True,
             needs_reward=True),
    Strategy(name="oracle", title="best of N by the verifier (pass@N)", unit="samples",
             solve=votes.oracle, sizes=(2, 4, 8, 16, 32, 64), is_vote=True, is_oracle=True),
    Strategy(name="verify", title="self-verification, thinking on", unit="rounds",
             solve=verify.reopen, sizes=(1, 2, 4)),
    Strategy(name="verify:ask", title="self-verification, asked", unit="rounds",
             solve=verify.ask, sizes=()),
    Strategy(name="beam:none", title="beam search without a scorer", unit="candidates a step",
             solve=beam_by(scorers.by_nothing, "none"), sizes=()),
    *_search("beam", beam_by, "candidates a step", (4, 16)),
    *_search("mcts", mcts_by, "simulations", (4, 8, 16, 32)),
)  # fmt: skip
STRATEGIES = {strategy.name: strategy for strategy in _ALL}


@dataclass(frozen=True, slots=True)
class Point:
    """One strategy at one size."""

    strategy: Strategy
    size: int

    @property
    def name(self) -> str:
        return f"{self.strategy.name}={self.size}"


def default_points(*, max_new_tokens: int, has_reward: bool) -> list[Point]:
    """What is measured when nothing is asked for."""
    budgets = _budgets(max_new_tokens)
    return [
        Point(strategy, size)
        for strategy in STRATEGIES.values()
        if has_reward or not strategy.needs_reward
        for size in (budgets if strategy.by_length else strategy.sizes)
    ]


def _budgets(max_new_tokens: int) -> list[int]:
    """Powers of two below the limit of a response, the largest ones."""
    largest = max(0, (max_new_tokens - 1).bit_length() - 1)
    return [2**power for power in range(max(0, largest - MOST_BUDGETS + 1), largest + 1)]


def parse_points(specs: Sequence[str], *, max_new_tokens: int, has_reward: bool) -> list[Point]:
    """Points of texts such as `majority=1,4,16` or `mcts:logprob`; none: the default ones.

    Raises UserError.
    """
    default = default_points(max_new_tokens=max_new_tokens, has_reward=has_reward)
    if not specs:
        return default
    points: dict[str, Point] = {}
    for spec in specs:
        name, equals, sizes = spec.partition("=")
        strategy = _known(name.strip())
        if strategy.needs_reward and not has_reward:
            raise UserError(f"{strategy.name} needs a reward model", hint="--reward-model FOLDER")
        usual = [point.size for point in default if point.strategy is strategy]
        chosen = _sizes(spec, sizes) if equals else usual or [2, 4]
        points |= {point.name: point for point in (Point(strategy, size) for size in chosen)}
    return list(points.values())


def _known(name: str) -> Strategy:
    if name in STRATEGIES:
        return STRATEGIES[name]
    near = nearest(name, STRATEGIES)
    hint = f"did you mean {near!r}?" if near else f"known: {', '.join(STRATEGIES)}"
    raise UserError(f"unknown strategy {name!r}", hint=hint)


def _sizes(spec: str, text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if all(part.isascii() and part.isdigit() for part in parts):
        sizes = [int(part) for part in parts if len(part) < 9]
        if len(sizes) == len(parts) and all(1 <= size <= MOST_SIZE for size in sizes):
            return sizes
    raise UserError(
        f"{spec!r} has sizes that are no numbers from 1 to {MOST_SIZE}",
        hint="write NAME=SIZE,SIZE, as in majority=1,4,16",
    )
