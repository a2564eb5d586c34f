"""The part of a reply that is its answer."""

import re

from aha.chat.grammar import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, parse_response

MAX_ANSWER_CHARS = 10_000

_MARKER = re.compile(
    r"(?:\banswer|\bsolution|\bconclusion|\u7b54\u6848)(?: is)?[*_]{0,2} ?[:\uff1a][*_]{0,2}|####",
    re.IGNORECASE,
)
_BOXED = re.compile(r"\\boxed\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}")


class NoAnswer(Exception):
    """Why a reply has no answer that could be read; stays in this package."""


def answer_of(reply: str) -> str:
    """The answer block; without tags what follows the thinking and the last "answer:", or boxed.

    Raises NoAnswer when there is none, or more than one block, or it is too long.
    """
    if ANSWER_OPEN in reply or ANSWER_CLOSE in reply:
        parsed = parse_response(reply)
        if parsed.answer is None:
            raise NoAnswer(parsed.problem)
        text = parsed.answer
    else:
        text = _without_tags(reply.rpartition(THINK_CLOSE)[2])
    if len(text) > MAX_ANSWER_CHARS:
        raise NoAnswer(f"{len(text)} characters are too long for an answer")
    if not text.strip():
        raise NoAnswer("the answer is empty")
    return text.strip()


def _without_tags(text: str) -> str:
    tail = text[-2 * MAX_ANSWER_CHARS :]
    for marker in _MARKER.finditer(tail):
        text = tail[marker.end() :]
    boxed = _BOXED.findall(text[-2 * MAX_ANSWER_CHARS :])
    if len(boxed) > 1:
        raise NoAnswer(f"{len(boxed)} boxed answers")
    return boxed[0] if boxed else text
