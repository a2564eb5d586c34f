"""`logic`: who is the tallest or the shortest of four, from three comparisons in any order."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from aha.rewards.accuracy import verify_answer, verify_exact
from aha.rewards.verdict import Verdict
from aha.tasks.embedded.splits import Drawn, collect_problems, split_of
from aha.tasks.embedded.voice import Language, Voice
from aha.tasks.task import Problem, Split, Task

NAMES: dict[Language, tuple[str, ...]] = {
    "en": ("Ann", "Bob", "Eve", "Tim", "Max", "Sue", "Leo", "Kim", "Dan", "Zoe"),
    "zh": ("小明", "小红", "小刚", "小丽", "小华", "小军", "小芳", "小强", "小兰", "小虎"),
}
NUM_PEOPLE = 4
CHINESE_FRACTION = 0.3


@dataclass(frozen=True, slots=True)
class Clue:
    """`tall` is taller than `short`."""

    tall: str
    short: str

    def say(self, voice: Voice) -> str:
        return voice.say("taller", a=self.tall, b=self.short)


@dataclass(frozen=True, slots=True)
class Order:
    """People from tallest to shortest, the clues as told, and which end is asked for."""

    people: tuple[str, ...]
    clues: tuple[Clue, ...]
    asks_tallest: bool

    @property
    def key(self) -> str:
        """The same for every order in which the clues may be told."""
        return f"logic {' > '.join(self.people)} {'tallest' if self.asks_tallest else 'shortest'}"

    @property
    def answer(self) -> str:
        return self.people[0] if self.asks_tallest else self.people[-1]

    def beaten_by(self, name: str) -> str | None:
        """The neighbour that is further towards the asked end, if there is one."""
        index = self.people.index(name) + (-1 if self.asks_tallest else 1)
        return self.people[index] if 0 <= index < len(self.people) else None


def draw_order(rng: random.Random, language: Language) -> Order:
    people = tuple(rng.sample(NAMES[language], NUM_PEOPLE))
    clues = [Clue(tall, short) for tall, short in pairwise(people)]
    rng.shuffle(clues)
    return Order(people, tuple(clues), rng.random() < 0.5)


def ask(order: Order, language: Language, rng: random.Random) -> str:
    voice = Voice(language, rng)
    told = "".join(clue.say(voice) for clue in order.clues)
    return (told + voice.say("ask_tallest" if order.asks_tallest else "ask_shortest")).strip()


def _draw(rng: random.Random) -> Drawn:
    language: Language = "zh" if rng.random() < CHINESE_FRACTION else "en"
    order = draw_order(rng, language)
    problem = Problem(
        id="",
        question=ask(order, language, rng),
        gold=order.answer,
        language=language,
        meta={"order": list(order.people)},
    )
    return Drawn(order.key, split_of(order.key), problem)


class LogicTask(Task):
    """The answer is one name."""

    name = "logic"

    def problems(self, split: Split) -> Sequence[Problem]:
        return collect_problems(self.name, split, _draw)

    def score(self, problem: Problem, response: str) -> Verdict:
        return verify_answer(response, lambda answer: verify_exact(answer, problem.gold))
