"""A generative judge: grades what rules cannot, compares replies, labels safety.

A judge is a writer that is asked for a verdict (arXiv 2501.12948v2, B.2 and Listing 4). What it
says is read with care: the last verdict counts, a reply without one is None, never a guess. Each
reply is kept by the hash of its prompt (`aha.engine.replies`), so no verdict is paid for twice.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aha.data.prompts import compare_prompt, grade_prompt, safety_prompt
from aha.data.writers import WRITER_TEMPERATURE, WRITER_TOP_P, Writer
from aha.engine.replies import Reply
from aha.engine.types import SamplingParams

MAX_READ_CHARS = 20_000
"""Of a judge's reply, from its end."""
MAX_OBJECTS = 200
MAX_ANALYSIS_CHARS = 2_000
GRADES = {"correct": True, "true": True, "yes": True,
          "incorrect": False, "wrong": False, "false": False, "no": False}  # fmt: skip
SAFETY = {"safe": True, "unsafe": False}
PREFERENCES = {("A", ">>", "B"): 2, ("A", ">", "B"): 1, ("A", "=", "B"): 0,
               ("A", "<", "B"): -1, ("A", "<<", "B"): -2}  # fmt: skip
_LABEL = re.compile(r"\[\[\s*([AB])\s*(>>|>|==?|<<|<)\s*([AB])\s*\]\]")
_SIGNS = str.maketrans({"\u226b": ">>", "\u226a": "<<", "\uff1e": ">", "\uff1c": "<"})


@dataclass(frozen=True, slots=True)
class Grade:
    """Whether an answer is right."""

    is_correct: bool | None
    """None: the judge gave no verdict."""
    analysis: str = ""


class Judge:
    """Asks a writer for verdicts."""

    def __init__(self, writer: Writer, *, max_new_tokens: int = 1_024):
        self.writer = writer
        self.once = SamplingParams(temperature=0.0, max_new_tokens=max_new_tokens)
        """One verdict: the likeliest."""
        self.often = SamplingParams(
            temperature=WRITER_TEMPERATURE, top_p=WRITER_TOP_P, max_new_tokens=max_new_tokens
        )
        """Several verdicts on the same, which are to differ where the judge is unsure."""

    def grade(self, items: Sequence[tuple[str, str, str]]) -> list[Grade]:
        """Grades of (question, reference answer, answer)."""
        return [read_grade(reply) for reply in self._ask([grade_prompt(*i) for i in items])]

    def are_safe(self, items: Sequence[tuple[str, str]]) -> list[bool | None]:
        """Labels of (prompt, whole response); None without a verdict."""
        replies = self._ask([safety_prompt(*item) for item in items])
        return [_last_value(reply.text, "safety", SAFETY)[0] for reply in replies]

    def compare(self, pairs: Sequence[tuple[str, str, str]], judgements: int) -> list[list[int]]:
        """`judgements` of each (prompt, first, second), every second one with swapped places.

        How much better the first reply is, -2 to 2; judgements without a verdict are left out.
        """
        straight, swapped = judgements - judgements // 2, judgements // 2
        as_given = [compare_prompt(prompt, a, b) for prompt, a, b in pairs]
        turned = [compare_prompt(prompt, b, a) for prompt, a, b in pairs]
        opinions: list[list[int]] = [[] for _ in pairs]
        for prompts, samples, sign in ((as_given, straight, 1), (turned, swapped, -1)):
            if not samples:
                continue
            groups = self.writer.sample(prompts, self.often, samples=samples)
            for found, group in zip(opinions, groups, strict=True):
                read = (read_preference(reply.text) for reply in group)
                found += [sign * value for value in read if value is not None]
        return opinions

    def _ask(self, prompts: Sequence[str]) -> list[Reply]:
        return [group[0] for group in self.writer.sample(prompts, self.once)]


def read_grade(reply: Reply) -> Grade:
    """The last correctness in a reply."""
    value, analysis = _last_value(reply.text, "correctness", GRADES)
    return Grade(value, analysis)


def read_preference(text: str) -> int | None:
    """The last [[A>B]] of a reply as -2 to 2 in favour of A; None without one."""
    found = _LABEL.findall(text[-MAX_READ_CHARS:].translate(_SIGNS))
    if not found:
        return None
    left, sign, right = found[-1]
    sign = "=" if sign.startswith("=") else sign
    if left == "B" and right == "A":
        left, right, sign = "A", "B", sign.translate(str.maketrans("<>", "><"))
    return PREFERENCES.get((left, sign, right))


def _last_value(text: str, key: str, values: Mapping[str, bool]) -> tuple[bool | None, str]:
    """(meaning, analysis) of the last object with `key`.

    Where no object can be read, as with LaTeX that is not escaped, the last mention of the key.
    """
    text = text[-MAX_READ_CHARS:]
    objects = [found for found in _objects(text) if key in found]
    if objects:
        said = str(objects[-1][key])
        analysis = str(objects[-1].get("analysis", ""))[:MAX_ANALYSIS_CHARS]
        return values.get(_word(said)), analysis
    mentions = re.findall(rf'"{key}"\s*:\s*"?(\w+)', text)
    return (values.get(_word(mentions[-1])) if mentions else None), ""


def _word(said: str) -> str:
    return said.strip().strip(".!*\"' ").lower()


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a text that are not inside another, at most MAX_OBJECTS attempts."""
    decoder, place = json.JSONDecoder(), 0
    for _ in range(MAX_OBJECTS):
        place = text.find("{", place)
        if place < 0:
            return
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            place += 1
            continue
        if isinstance(value, dict):
            yield value
