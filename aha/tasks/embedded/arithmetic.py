"""`arithmetic`: chains of additions and subtractions whose partial results stay in 0..99."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from aha.rewards.accuracy import verify_answer
from aha.rewards.numbers import verify_number
from aha.rewards.verdict import Verdict
from aha.tasks.embedded.splits import Drawn, collect_problems, split_of
from aha.tasks.embedded.voice import Language, Voice
from aha.tasks.task import Problem, Split, Task

FIRST_OPERAND = (11, 79)
OTHER_OPERANDS = (11, 49)
LARGEST = 99
CHINESE_FRACTION = 0.3


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of a chain: `left op right = value`."""

    left: int
    op: str
    right: int

    @property
    def value(self) -> int:
        return self.left + self.right if self.op == "+" else self.left - self.right

    @property
    def carries(self) -> bool:
        """Whether the ones carry or borrow: where mistakes are made."""
        ones, other = self.left % 10, self.right % 10
        return ones + other > 9 if self.op == "+" else ones < other

    def equation(self, value: int) -> str:
        return f"{self.left} {self.op} {self.right} = {value}"

    def parts(self) -> list["Step"]:
        """The same operation in two easy ones: first the tens, then the ones."""
        tens, ones = self.right - self.right % 10, self.right % 10
        parts = [Step(self.left, self.op, tens)] if tens else []
        if ones or not tens:
            left = parts[-1].value if parts else self.left
            parts.append(Step(left, self.op, ones))
        return parts


@dataclass(frozen=True, slots=True)
class Chain:
    """`first op1 b1 op2 b2 ...`, computed from the left."""

    first: int
    rest: tuple[tuple[str, int], ...]

    @property
    def text(self) -> str:
        return f"{self.first}" + "".join(f" {op} {value}" for op, value in self.rest)

    @property
    def value(self) -> int:
        return self.steps()[-1].value

    def steps(self) -> list[Step]:
        steps, left = [], self.first
        for op, right in self.rest:
            steps.append(Step(left, op, right))
            left = steps[-1].value
        return steps

    def split(self) -> Split | None:
        """Where the chain may be used: trained on only if no chain inside it is kept back."""
        own = split_of(self.text)
        if own != "train":
            return own
        operands = [self.first, *(value for _, value in self.rest)]
        inner = (
            Chain(operands[start], self.rest[start:end])
            for start in range(len(operands))
            for end in range(start + 2, len(operands))
        )
        return "train" if all(split_of(chain.text) == "train" for chain in inner) else None


def draw_chain(rng: random.Random, num_operands: int) -> Chain:
    """A random chain whose partial results all lie in 0..99."""
    value = first = rng.randint(*FIRST_OPERAND)
    rest: list[tuple[str, int]] = []
    while len(rest) < num_operands - 1:
        op, right = rng.choice("+-"), rng.randint(*OTHER_OPERANDS)
        result = value + right if op == "+" else value - right
        if 0 <= result <= LARGEST:
            rest.append((op, right))
            value = result
    return Chain(first, tuple(rest))


def ask(chain: Chain, language: Language, rng: random.Random) -> str:
    return Voice(language, rng).say("ask_value", expression=chain.text).strip()


@dataclass(frozen=True)
class _Draw:
    """Hashable, so that a task's problems are made once."""

    operands: tuple[int, ...]

    def __call__(self, rng: random.Random) -> Drawn:
        chain = draw_chain(rng, rng.choice(self.operands))
        language: Language = "zh" if rng.random() < CHINESE_FRACTION else "en"
        problem = Problem(
            id="",
            question=ask(chain, language, rng),
            gold=str(chain.value),
            language=language,
            meta={"expression": chain.text, "operands": len(chain.rest) + 1},
        )
        return Drawn(chain.text, chain.split(), problem)


class ArithmeticTask(Task):
    """Chains of three and four operands; `arithmetic-5` has one more than was ever seen."""

    def __init__(self, name: str = "arithmetic", operands: tuple[int, ...] = (3, 4)):
        self.name = name
        self._draw = _Draw(operands)

    def problems(self, split: Split) -> Sequence[Problem]:
        return collect_problems(self.name, split, self._draw)

    def score(self, problem: Problem, response: str) -> Verdict:
        return verify_answer(response, lambda answer: verify_number(answer, problem.gold))
