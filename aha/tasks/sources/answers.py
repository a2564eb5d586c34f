"""Where the gold answer of a published row is: after `####`, in `\\boxed{}`, among the options."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PREFIX = re.compile(r"\s*\(?([A-Z])\s*[).:\uff0e\u3001]\s*")
_LETTER = re.compile(r"\(?\s*([A-Z])\s*[).:]?")
BOXED = ("\\boxed{", "\\fbox{")


def gold_of_text(text: str) -> str:
    """The answer in a gold text: what GSM8K has after `####`, MATH in its last `\\boxed{}`.

    A text with neither is the answer itself.
    """
    _, mark, tail = text.rpartition("####")
    if mark and tail.strip() and "\n" not in tail.strip():
        return tail.strip()
    boxed = last_boxed(text)
    return text.strip() if boxed is None else boxed


def last_boxed(text: str) -> str | None:
    """The inside of the last `\\boxed{...}` whose braces close; linear time."""
    starts = [(text.rfind(command), command) for command in BOXED]
    start, command = max(starts)
    if start < 0:
        return None
    begin, depth = start + len(command), 1
    for index in range(begin, len(text)):
        char = text[index]
        if char in "{}" and text[index - 1] != "\\":
            depth += 1 if char == "{" else -1
            if depth == 0:
                return text[begin:index].strip()
    return None


def options_of(value: Any) -> list[str] | None:
    """Answer options as texts without their letters, or None where there are none.

    Takes a list, a list in JSON, {"A": ..., "B": ...} and {"text": [...], "label": [...]}.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if isinstance(value, Mapping):
        texts = value.get("text")
        value = texts if isinstance(texts, Sequence) else [value[k] for k in sorted(value)]
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    if not 2 <= len(value) <= len(LETTERS):
        return None
    return _without_letters([str(option).strip() for option in value])


def _without_letters(options: list[str]) -> list[str]:
    """AQuA's options bring their own "A)": dropped where all have the right one."""
    found = [_PREFIX.match(option) for option in options]
    letters = [match.group(1) if match else "" for match in found]
    if letters != list(LETTERS[: len(options)]):
        return options
    return [option[m.end() :] for option, m in zip(options, found, strict=True) if m]


def with_options(question: str, options: Sequence[str]) -> str:
    """The question with its options below it, one a line: `A) first`."""
    lines = [f"{letter}) {option}" for letter, option in zip(LETTERS, options, strict=False)]
    return "\n".join([question.rstrip(), *lines])


def letter_of(answer: Any, options: Sequence[str], labels: Any = None) -> str | None:
    """The letter of the right option: from a letter, an index from 0, a label or the text."""
    letters = LETTERS[: len(options)]
    if isinstance(answer, int) and not isinstance(answer, bool):
        return letters[answer] if 0 <= answer < len(options) else None
    text = str(answer).strip()
    if isinstance(labels, Sequence) and not isinstance(labels, str) and text in labels:
        return letters[list(labels).index(text)]
    match = _LETTER.fullmatch(text)
    if not match and text in options:
        return letters[list(options).index(text)]
    match = match or _PREFIX.match(text)
    if match and match.group(1) in letters:
        return match.group(1)
    if text.isascii() and text.isdecimal() and int(text) < len(options):
        return letters[int(text)]
    return None
