"""How the embedded world talks: sentences in English and Chinese, kept in one table.

A voice speaks one language or mixes them sentence by sentence, as R1-Zero does.
Numbers and names always follow a space, so that each is one token in both languages.
"""

import random
from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "zh"]
Style = Literal["en", "zh", "mixed"]

SENTENCES: dict[str, dict[Language, tuple[str, ...]]] = {
    # questions
    "ask_value": {
        "en": (" What is {expression}?", " Compute {expression}"),
        "zh": ("{expression} 等于多少？", "计算 {expression}"),
    },
    "ask_countdown": {
        "en": (" Use {numbers} to make {target}",),
        "zh": ("用 {numbers} 得到 {target}",),
    },
    "taller": {"en": (" {a} is taller than {b}.",), "zh": (" {a} 比 {b} 高。",)},
    "ask_tallest": {"en": (" Who is the tallest?",), "zh": ("谁最高？",)},
    "ask_shortest": {"en": (" Who is the shortest?",), "zh": ("谁最矮？",)},
    # thinking
    "ponder": {
        "en": (" Let me think.", " Let me see."),
        "zh": ("让我想想。", "我们来看看。"),
    },
    "first": {"en": (" First {equation}.",), "zh": ("首先 {equation}。",)},
    "then": {"en": (" Then {equation}.",), "zh": ("然后 {equation}。",)},
    "check": {
        "en": (" Wait, check: {equations}, want {target}:{verdict}.",),
        "zh": ("等等，检查： {equations}，应为 {target}：{verdict}。",),
    },
    "again": {"en": (" Again: {equations}.",), "zh": ("重算： {equations}。",)},
    "attempt": {
        "en": (" Try {equations}, want {target}:{verdict}.",),
        "zh": ("试试 {equations}，应为 {target}：{verdict}。",),
    },
    "another": {
        "en": (" Wait, try {equations}, want {target}:{verdict}.",),
        "zh": ("等等，试试 {equations}，应为 {target}：{verdict}。",),
    },
    "guess": {"en": (" Try {equations}.",), "zh": ("试试 {equations}。",)},
    "compare": {
        "en": (" {value}, want {target}:{verdict}.",),
        "zh": (" {value}，应为 {target}：{verdict}。",),
    },
    "maybe": {"en": (" Maybe {name}.",), "zh": ("也许是 {name}。",)},
    "but_taller": {"en": (" But {a} is taller than {b}.",), "zh": ("但是 {a} 比 {b} 高。",)},
    "settled": {"en": (" Nobody beats {name}.",), "zh": ("没有人超过 {name}。",)},
    # answers
    "conclude": {"en": (" So the answer is {answer}.",), "zh": ("所以答案是 {answer}。",)},
    "casual": {
        "en": (" It is {answer}, I think.", " I would say {answer}."),
        "zh": ("大概是 {answer} 吧。", "我觉得是 {answer}。"),
    },
}


VERDICTS: dict[Language, tuple[str, str]] = {"en": (" wrong", " right"), "zh": ("不对", "正确")}


@dataclass(frozen=True, slots=True)
class Voice:
    """Says sentences in a style; every choice comes from its random stream."""

    style: Style
    rng: random.Random

    def language(self) -> Language:
        """The language of the next sentence."""
        if self.style != "mixed":
            return self.style
        return "en" if self.rng.random() < 0.5 else "zh"

    def say(self, sentence: str, **fields: object) -> str:
        """One sentence; equations are joined by its comma, a verdict (bool) is put in its words."""
        language = self.language()
        variants = SENTENCES[sentence][language]
        text = variants[0] if len(variants) == 1 else self.rng.choice(variants)
        if "equations" in fields:
            comma = ", " if language == "en" else "， "
            fields["equations"] = comma.join(fields["equations"])  # type: ignore[arg-type]
        if "verdict" in fields:
            fields["verdict"] = VERDICTS[language][bool(fields["verdict"])]
        return text.format(**fields)
