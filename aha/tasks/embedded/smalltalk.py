"""`smalltalk`: prompts without a right answer, for the later stages of R1."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from aha.rewards.verdict import Verdict
from aha.tasks.embedded.logic import NAMES
from aha.tasks.embedded.splits import Drawn, collect_problems, split_of
from aha.tasks.embedded.voice import Language
from aha.tasks.task import Problem, Split, Task

CHINESE_FRACTION = 0.3

OPENINGS: dict[Language, tuple[str, ...]] = {
    "en": ("Hello.", "Hi.", "Good morning.", "Good evening.", "Hey there."),
    "zh": ("你好。", "嗨。", "早上好。", "晚上好。", "您好。"),
}
INTRODUCTIONS: dict[Language, tuple[str, ...]] = {
    "en": ("", " My name is {name}.", " I am {name}.", " This is {name}."),
    "zh": ("", "我叫 {name}。", "我是 {name}。", "这里是 {name}。"),
}
TURNS: dict[Language, tuple[tuple[str, str], ...]] = {
    "en": (
        (" How are you?", " I am fine, thank you."),
        (" What do you like?", " I like tea and long walks."),
        (" Tell me a story.", " Once there was a small cat that liked the moon."),
        (" It rains today.", " Then we stay inside and drink tea."),
        (" I am tired.", " Take a rest, it will help."),
        (" What can you do?", " I can talk with you and solve small problems."),
        (" Thank you for your help.", " You are welcome."),
        (" What is a good breakfast?", " Bread, fruit and tea make a good breakfast."),
    ),
    "zh": (
        ("你好吗？", "我很好，谢谢。"),
        ("你喜欢什么？", "我喜欢喝茶和散步。"),
        ("讲个故事吧。", "从前有一只小猫，它喜欢月亮。"),
        ("今天下雨了。", "那我们在家里喝茶吧。"),
        ("我累了。", "休息一下，会好的。"),
        ("你会做什么？", "我会聊天，也会做小题目。"),
        ("谢谢你的帮助。", "不客气。"),
        ("早饭吃什么好？", "面包、水果和茶都很好。"),
    ),
}


@dataclass(frozen=True, slots=True)
class Talk:
    """Something said and a friendly reply."""

    said: str
    reply: str
    language: Language


def draw_talk(rng: random.Random) -> Talk:
    language: Language = "zh" if rng.random() < CHINESE_FRACTION else "en"
    name = rng.choice(NAMES[language])
    said, reply = rng.choice(TURNS[language])
    opening = rng.choice(OPENINGS[language])
    introduction = rng.choice(INTRODUCTIONS[language]).format(name=name)
    return Talk(opening + introduction + said, reply.strip(), language)


def _draw(rng: random.Random) -> Drawn:
    talk = draw_talk(rng)
    problem = Problem(id="", question=talk.said, gold=talk.reply, language=talk.language)
    return Drawn(talk.said, split_of(talk.said), problem)


class SmalltalkTask(Task):
    """Nothing to verify: reward models judge these in R1's later stages."""

    name = "smalltalk"
    checkable = False

    def problems(self, split: Split) -> Sequence[Problem]:
        return collect_problems(self.name, split, _draw)

    def score(self, problem: Problem, response: str) -> Verdict:
        return Verdict.error("small talk has no right answer to compare with")
