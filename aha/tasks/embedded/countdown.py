"""`countdown`: make a target from three numbers. A guess can only be tested by computing it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product

from aha.rewards.accuracy import verify_answer
from aha.rewards.expression import verify_countdown
from aha.rewards.verdict import Verdict
from aha.tasks.embedded.splits import Drawn, collect_problems, split_of
from aha.tasks.embedded.voice import Language, Voice
from aha.tasks.task import Problem, Split, Task

NUMBERS = (2, 20)
OPERATORS = "+-*"
LARGEST = 99
CHINESE_FRACTION = 0.3


@dataclass(frozen=True, slots=True)
class Guess:
    """One way to combine three numbers: `(a op1 b) op2 c`."""

    a: int
    op1: str
    b: int
    op2: str
    c: int

    @property
    def inner(self) -> int:
        return _apply(self.a, self.op1, self.b)

    @property
    def value(self) -> int:
        return _apply(self.inner, self.op2, self.c)

    @property
    def usable(self) -> bool:
        return 0 <= self.inner <= LARGEST and 1 <= self.value <= LARGEST

    @property
    def expression(self) -> str:
        return f"( {self.a} {self.op1} {self.b} ) {self.op2} {self.c}"

    def equations(self) -> list[str]:
        return [
            f"{self.a} {self.op1} {self.b} = {self.inner}",
            f"{self.inner} {self.op2} {self.c} = {self.value}",
        ]


def _apply(left: int, op: str, right: int) -> int:
    return left + right if op == "+" else left - right if op == "-" else left * right


@dataclass(frozen=True, slots=True)
class Puzzle:
    """Three numbers, in the order shown, and a target that they can make."""

    numbers: tuple[int, int, int]
    solution: Guess

    @property
    def target(self) -> int:
        return self.solution.value

    @property
    def key(self) -> str:
        return "countdown {} {} {} -> {}".format(*sorted(self.numbers), self.target)

    def guesses(self) -> list[Guess]:
        """All usable ways to combine the numbers, right or wrong."""
        return all_guesses(tuple(sorted(self.numbers)))  # type: ignore[arg-type]


def all_guesses(numbers: tuple[int, int, int]) -> list[Guess]:
    guesses = (
        Guess(a, op1, b, op2, c)
        for (a, b, c), (op1, op2) in product(permutations(numbers), product(OPERATORS, repeat=2))
    )
    return [guess for guess in dict.fromkeys(guesses) if guess.usable]


def draw_puzzle(rng: random.Random) -> Puzzle:
    while True:
        numbers = (rng.randint(*NUMBERS), rng.randint(*NUMBERS), rng.randint(*NUMBERS))
        guess = Guess(
            numbers[0], rng.choice(OPERATORS), numbers[1], rng.choice(OPERATORS), numbers[2]
        )
        if guess.usable:
            a, b, c = rng.sample(numbers, 3)
            return Puzzle((a, b, c), guess)


def ask(puzzle: Puzzle, language: Language, rng: random.Random) -> str:
    numbers = ", ".join(str(number) for number in puzzle.numbers)
    return Voice(language, rng).say("ask_countdown", numbers=numbers, target=puzzle.target).strip()


def _draw(rng: random.Random) -> Drawn:
    puzzle = draw_puzzle(rng)
    language: Language = "zh" if rng.random() < CHINESE_FRACTION else "en"
    problem = Problem(
        id="",
        question=ask(puzzle, language, rng),
        gold=puzzle.solution.expression,
        language=language,
        meta={"numbers": list(puzzle.numbers), "target": puzzle.target},
    )
    return Drawn(puzzle.key, split_of(puzzle.key), problem)


class CountdownTask(Task):
    """The answer is an expression that uses each number once and equals the target."""

    name = "countdown"

    def problems(self, split: Split) -> Sequence[Problem]:
        return collect_problems(self.name, split, _draw)

    def score(self, problem: Problem, response: str) -> Verdict:
        numbers, target = problem.meta["numbers"], problem.meta["target"]
        return verify_answer(
            response, lambda answer: verify_countdown(answer, numbers=numbers, target=target)
        )
