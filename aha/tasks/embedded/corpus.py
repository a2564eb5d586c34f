"""The pre-training corpus: documents as they come, most of them careless, some of them careful.

Nobody teaches a format: the template of R1-Zero heads one document in eight, tags appear in about
a third of them and are often broken. No validation or held-out problem is ever asked.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from aha.chat.templates import R1_ZERO_TEMPLATE
from aha.tasks.embedded import arithmetic, countdown, logic, smalltalk
from aha.tasks.embedded.solutions import (
    Mode,
    Solution,
    solve_chain,
    solve_countdown,
    solve_order,
)
from aha.tasks.embedded.splits import split_of, stream
from aha.tasks.embedded.voice import Language, Style, Voice

T = TypeVar("T")

MODES: dict[Mode, float] = {"direct": 0.42, "short": 0.18, "worked": 0.18, "checked": 0.22}
MIXES_LANGUAGES: dict[Mode, float] = {"direct": 0.0, "short": 0.1, "worked": 0.1, "checked": 0.75}
OPERANDS = {2: 0.35, 3: 0.35, 4: 0.30}
TOPICS = {"arithmetic": 0.48, "drill": 0.20, "countdown": 0.15, "logic": 0.13, "talk": 0.04}
TAGS = {"none": 0.62, "good": 0.25, "broken": 0.13}
DRILLS = {"tens": 0.22, "ones": 0.22, "both": 0.16, "products": 0.10, "compare": 0.30}
FORMS = {"template": 0.12, "dialogue": 0.34, "plain": 0.34, "labelled": 0.20}


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and a response as somebody wrote them."""

    question: str
    response: str
    language: Language


def documents(seed: int, *, part: object = 0) -> Iterator[str]:
    """An endless stream of documents; different parts are different streams."""
    rng = stream("corpus", seed, part)
    while True:
        topic = _choose(TOPICS, rng)
        if topic == "drill":
            yield _drill(rng)
            continue
        form = _choose(FORMS, rng)
        text = _frame(_exchange(topic, rng), form, rng)
        while form != "template" and rng.random() < 0.12:
            text += "\n" + _frame(_exchange(topic, rng), form, rng)
        yield text


def _choose(shares: dict[T, float], rng: random.Random) -> T:
    return rng.choices(list(shares), weights=list(shares.values()))[0]


def _frame(exchange: Exchange, form: str, rng: random.Random) -> str:
    question, response = exchange.question, exchange.response
    if form == "template":
        return R1_ZERO_TEMPLATE.replace("{question}", question) + response
    if question[-1].isdigit():
        question += "。" if exchange.language == "zh" else "."
    if form == "dialogue":
        return f"User: {question} Assistant:{response}"
    if form == "labelled":
        zh = exchange.language == "zh" and rng.random() < 0.7
        return (
            f"问： {question}\n答：{response}" if zh else f"Question: {question}\nAnswer:{response}"
        )
    return f" {question}{response}"


def _exchange(topic: str, rng: random.Random) -> Exchange:
    if topic == "talk":
        return _talk(rng)
    language: Language = "zh" if rng.random() < 0.3 else "en"
    mode = _choose(MODES, rng)
    voice = Voice(_style(mode, language, rng), rng)
    if topic == "arithmetic":
        chain = _chain(rng)
        question, solution = arithmetic.ask(chain, language, rng), solve_chain(chain, mode, voice)
    elif topic == "countdown":
        puzzle = _puzzle(rng)
        question = countdown.ask(puzzle, language, rng)
        solution = solve_countdown(puzzle, mode, voice)
    else:
        order = _order(language, rng)
        question, solution = logic.ask(order, language, rng), solve_order(order, mode, voice)
    return Exchange(question, respond(solution, voice, rng), language)


def _style(mode: Mode, language: Language, rng: random.Random) -> Style:
    if rng.random() < MIXES_LANGUAGES[mode]:
        return "mixed"
    if rng.random() < 0.05:
        return "en" if language == "zh" else "zh"
    return language


def respond(solution: Solution, voice: Voice, rng: random.Random) -> str:
    """A response as it is written down: with tags, with broken tags, mostly without."""
    tags = _choose(TAGS, rng)
    answer = " " + solution.answer
    if tags == "good":
        return f"<think>{solution.thinking}</think><answer>{answer}</answer>"
    if tags == "broken":
        return rng.choice(BROKEN_TAGS).format(thinking=solution.thinking, answer=answer)
    if solution.thinking:
        return solution.thinking + (_conclusion(solution, voice) if rng.random() < 0.8 else "")
    return rng.choice((answer, _conclusion(solution, voice), _casually(solution, voice)))


BROKEN_TAGS = (
    "<think>{thinking}</think>{answer}",
    "<think>{thinking}<answer>{answer}</answer>",
    "{thinking}</think><answer>{answer}</answer>",
    "{thinking}<answer>{answer}</answer>",
    "<think>{thinking}</think><answer>{answer}",
    "<think>{thinking}</think><answer>{answer}</answer><answer>{answer}</answer>",
)


def _conclusion(solution: Solution, voice: Voice) -> str:
    return voice.say("conclude", answer=solution.answer)


def _casually(solution: Solution, voice: Voice) -> str:
    return voice.say("casual", answer=solution.answer)


def _talk(rng: random.Random) -> Exchange:
    while True:
        talk = smalltalk.draw_talk(rng)
        if split_of(talk.said) == "train":
            reply = talk.reply if talk.language == "zh" else " " + talk.reply
            return Exchange(talk.said, reply, talk.language)


def _chain(rng: random.Random) -> arithmetic.Chain:
    while True:
        chain = arithmetic.draw_chain(rng, _choose(OPERANDS, rng))
        if len(chain.rest) == 1 or chain.split() == "train":
            return chain


def _puzzle(rng: random.Random) -> countdown.Puzzle:
    while True:
        puzzle = countdown.draw_puzzle(rng)
        if split_of(puzzle.key) == "train":
            return puzzle


def _order(language: Language, rng: random.Random) -> logic.Order:
    while True:
        order = logic.draw_order(rng, language)
        if split_of(order.key) == "train":
            return order


def _drill(rng: random.Random) -> str:
    """A list of facts of one kind: whole tens, single digits, two digits, products, equality."""
    kind = _choose(DRILLS, rng)
    if kind == "compare":
        voice = Voice(rng.choice(("en", "zh")), rng)
        return "".join(_comparison(voice, rng) for _ in range(rng.randint(6, 12)))
    return "".join(f" {_fact(kind, rng)}." for _ in range(rng.randint(6, 12)))


def _comparison(voice: Voice, rng: random.Random) -> str:
    value = target = rng.randint(0, arithmetic.LARGEST)
    if rng.random() < 0.5:
        offset = rng.choice((1, -1, 2, -2, 10, -10, rng.randint(-50, 50)))
        target = min(arithmetic.LARGEST, max(0, value + offset))
    return voice.say("compare", value=value, target=target, verdict=value == target)


def _fact(kind: str, rng: random.Random) -> str:
    while True:
        left, op = rng.randint(0, arithmetic.LARGEST), rng.choice("+-")
        right = {
            "tens": 10 * rng.randint(1, 4),
            "ones": rng.randint(1, 9),
            "both": rng.randint(*arithmetic.OTHER_OPERANDS),
        }.get(kind, rng.randint(*countdown.NUMBERS))
        if kind == "products":
            left, op = rng.randint(2, 49), "*"
        value = left * right if op == "*" else arithmetic.Step(left, op, right).value
        if 0 <= value <= arithmetic.LARGEST:
            return f"{left} {op} {right} = {value}"
