"""Accuracy of a whole response: its one answer block, judged by a verifier of bare answers."""

from collections.abc import Callable

from aha.chat.grammar import parse_response
from aha.rewards.verdict import Verdict

MAX_TEXT_ANSWER_CHARS = 10_000


def verify_answer(
    response: str, check: Callable[[str], Verdict], *, prompt_opens_think: bool = False
) -> Verdict:
    """Judge the inside of the answer block by `check`.

    The rest of the response may be malformed (the format reward's business), but there has to be
    exactly one answer block, and outside the reasoning; else the verdict is `unparseable`.
    """
    parsed = parse_response(response, prompt_opens_think=prompt_opens_think)
    if parsed.answer is None:
        return Verdict.unparseable(parsed.problem)
    return check(parsed.answer)


def verify_exact(prediction: str, gold: str) -> Verdict:
    """Whether a text answer is `gold`, but for case and white space."""
    expected = _normalized(gold)
    if not expected:
        return Verdict.error("the gold answer is empty")
    text = prediction.strip()
    if not text:
        return Verdict.unparseable("the answer is empty")
    if len(text) > max(MAX_TEXT_ANSWER_CHARS, 2 * len(gold)):
        return Verdict.unparseable(f"{len(text)} characters are too long for this answer")
    if _normalized(text) != expected:
        return Verdict.wrong(text, "not the gold answer")
    return Verdict.correct(text)


def _normalized(text: str) -> str:
    return " ".join(text.casefold().split())
