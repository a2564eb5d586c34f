"""How people in the embedded world solve problems: short or long, with mistakes and with checks.

A quick step is unreliable where ones carry or borrow. A check goes back by the inverse operation,
in two easy parts, and compares with where the step started; the verdict always follows from that
comparison. After `wrong` the step is done again in easy parts, after `right` its value is used: so
the verdict decides what happens next. A guess in `countdown` or `logic` can only be judged after
its consequences have been worked out.
"""

import random
from dataclasses import dataclass
from typing import Literal

from aha.tasks.embedded.arithmetic import LARGEST, Chain, Step
from aha.tasks.embedded.countdown import Guess, Puzzle
from aha.tasks.embedded.logic import Order
from aha.tasks.embedded.voice import Voice

Mode = Literal["direct", "short", "worked", "checked"]
Rest = tuple[tuple[str, int], ...]

SLIP_WITH_CARRY = 0.45
SLIP_WITHOUT_CARRY = 0.20
SLIP_IN_PARTS = 0.01
CHECKS_ALL = 0.85
"""How often a writer who checks does so after every step; the others after every second one."""
CHECKS_AGAIN = 0.3
"""How often a step that was done again is checked again."""
DIRECT_IS_WRONG = 0.2
LUCKY_GUESS = 0.2
"""How often a writer's countdown guess is the right one; the others are drawn blindly."""
GIVE_UP = 0.3
"""How often a writer stops after a rejected countdown guess and answers with it anyway."""
MAX_GUESSES = 7
OVERLOOKS = 0.2
"""How often a writer of a logic answer takes a name for the end of the order that is not."""


@dataclass(frozen=True, slots=True)
class Solution:
    """What is thought before the answer, and the answer (right or wrong)."""

    thinking: str
    answer: str


def slip(value: int, carries: bool, rng: random.Random) -> int:
    """A wrong value near the right one; a forgotten carry is off by ten."""
    offsets = (10, -10, 10, -10, 1, -1) if carries else (1, -1, 2, -2, 10, -10)
    wrong = [value + offset for offset in offsets if 0 <= value + offset <= LARGEST]
    return rng.choice(wrong)


def quick_value(step: Step, rest: Rest, rng: random.Random) -> int:
    """A step done at a glance; a slip never leads out of 0..99."""
    chance = SLIP_WITH_CARRY if step.carries else SLIP_WITHOUT_CARRY
    if rng.random() < chance:
        value = slip(step.value, step.carries, rng)
        if stays_in_range(value, rest) and stays_in_range(value, inverse_parts(step)):
            return value
    return step.value


def careful_value(step: Step, rest: Rest, rng: random.Random) -> tuple[list[str], int]:
    """A step done in easy parts: the equations and the value they reach."""
    *first, last = step.parts()
    value = last.value
    if rng.random() < SLIP_IN_PARTS:
        slipped = slip(last.value, False, rng)
        value = slipped if stays_in_range(slipped, rest) else value
    return [*(part.equation(part.value) for part in first), last.equation(value)], value


def inverse_parts(step: Step) -> Rest:
    """What leads back from the step's value to its left operand, tens first."""
    back = "-" if step.op == "+" else "+"
    return tuple((back, part.right) for part in Step(LARGEST, "-", step.right).parts())


def stays_in_range(value: int, rest: Rest) -> bool:
    """Whether a chain that goes on from a value stays in 0..99."""
    return not rest or all(0 <= step.value <= LARGEST for step in Chain(value, rest).steps())


def solve_chain(chain: Chain, mode: Mode, voice: Voice) -> Solution:
    """Work through an arithmetic chain in a mode."""
    rng = voice.rng
    if mode == "direct":
        wrong = rng.random() < DIRECT_IS_WRONG
        return Solution("", str(slip(chain.value, True, rng) if wrong else chain.value))
    check_rate = 0.0 if mode != "checked" else 1.0 if rng.random() < CHECKS_ALL else 0.5
    said, value = [voice.say("ponder")] if rng.random() < 0.1 else [], chain.first
    partial: list[int] = []
    for index, (op, right) in enumerate(chain.rest):
        step, rest = Step(value, op, right), chain.rest[index + 1 :]
        value = quick_value(step, rest, rng)
        if mode != "short":
            said.append(voice.say("then" if index else "first", equation=step.equation(value)))
        if rng.random() < check_rate:
            value = _check(step, value, rest, voice, said)
        partial.append(value)
    if mode == "short":
        said.append(" " + ", ".join(map(str, partial)) + ".")
    return Solution("".join(said), str(value))


def _check(step: Step, value: int, rest: Rest, voice: Voice, said: list[str]) -> int:
    """Check a value until it is found right, or done again and trusted."""
    while True:
        back = Step(value, "-" if step.op == "+" else "+", step.right)
        equations, reached = careful_value(back, (), voice.rng)
        is_right = reached == step.left
        said.append(voice.say("check", equations=equations, target=step.left, verdict=is_right))
        if is_right:
            return value
        equations, value = careful_value(step, rest, voice.rng)
        said.append(voice.say("again", equations=equations))
        if not stays_in_range(value, inverse_parts(step)) or voice.rng.random() >= CHECKS_AGAIN:
            return value


def solve_countdown(puzzle: Puzzle, mode: Mode, voice: Voice) -> Solution:
    """Guess; in the longer modes compute each guess and go on after a miss."""
    rng = voice.rng
    guesses = puzzle.guesses()
    if mode == "direct":
        return Solution("", _pick(puzzle, guesses, rng).expression)
    said: list[str] = []
    tried: list[Guess] = []
    while True:
        guess = _pick(puzzle, [g for g in guesses if g not in tried] or guesses, rng)
        is_right = guess.value == puzzle.target
        if mode == "short":
            said.append(voice.say("guess", equations=guess.equations()))
        else:
            said.append(
                voice.say(
                    "another" if tried else "attempt",
                    equations=guess.equations(),
                    target=puzzle.target,
                    verdict=is_right,
                )
            )
        tried.append(guess)
        if is_right or mode == "short" or rng.random() < GIVE_UP or len(tried) >= MAX_GUESSES:
            return Solution("".join(said), guess.expression)


def _pick(puzzle: Puzzle, guesses: list[Guess], rng: random.Random) -> Guess:
    right = [guess for guess in guesses if guess.value == puzzle.target]
    return rng.choice(right if right and rng.random() < LUCKY_GUESS else guesses)


def solve_order(order: Order, mode: Mode, voice: Voice) -> Solution:
    """Start from someone and move on as long as a clue names a better one."""
    rng = voice.rng
    if mode == "direct":
        return Solution("", order.answer if rng.random() < 0.5 else rng.choice(order.people))
    name = rng.choice(order.people)
    said = [voice.say("maybe", name=name)]
    while (better := order.beaten_by(name)) is not None:
        if rng.random() < OVERLOOKS or (mode == "short" and len(said) > 1):
            return Solution("".join(said), name)
        tall, short = (better, name) if order.asks_tallest else (name, better)
        said.append(voice.say("but_taller", a=tall, b=short))
        said.append(voice.say("maybe", name=better))
        name = better
    said.append(voice.say("settled", name=name))
    return Solution("".join(said), name)
