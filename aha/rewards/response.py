"""The two forms of a response: R1-Zero's answer tags, and R1's summary after the thinking.

A task judges answers in answer tags. For models that end in a summary instead, the final answer is
taken out of the summary and put in tags, so that a task is written once.
"""

from typing import Literal

from aha.chat.grammar import (
    ANSWER_CLOSE,
    ANSWER_OPEN,
    THINK_CLOSE,
    THINK_OPEN,
    parse_response,
    parse_thinking,
)

ResponseForm = Literal["think_answer", "think"]
TAGS = (THINK_OPEN, THINK_CLOSE, ANSWER_OPEN, ANSWER_CLOSE)


def form_of(template: str) -> ResponseForm:
    """What a prompt template asks for: chat templates a summary, all others answer tags."""
    return "think" if template == "chat" else "think_answer"


def final_summary(text: str, form: ResponseForm, *, prompt_opens_think: bool = False) -> str | None:
    """What the user reads: the answer block, or the text after the thinking.

    None where a response does not have its form; a response in the form `think` may leave the
    thinking out altogether.
    """
    if form == "think_answer":
        return parse_response(text, prompt_opens_think=prompt_opens_think).answer
    if not prompt_opens_think and not any(tag in text for tag in TAGS):
        return text.strip() or None
    parsed = parse_thinking(text, prompt_opens_think=prompt_opens_think)
    summary = parsed.answer if parsed.well_formed else None
    return None if not summary or any(tag in summary for tag in TAGS) else summary


def is_well_formed(
    text: str, form: ResponseForm, *, prompt_opens_think: bool = False, must_think: bool = True
) -> bool:
    """Whether a response has its form. must_think: False where a plain reply will do."""
    if form == "think_answer":
        return parse_response(text, prompt_opens_think=prompt_opens_think).well_formed
    thinks = prompt_opens_think or THINK_OPEN in text
    is_whole = final_summary(text, form, prompt_opens_think=prompt_opens_think) is not None
    return is_whole and (thinks or not must_think)


def in_answer_tags(text: str, form: ResponseForm, *, prompt_opens_think: bool = False) -> str:
    """The response as a task judges it: the final answer of the summary in answer tags.

    A response without a well-formed summary has no answer: nothing is left of it.
    """
    if form == "think_answer":
        return text
    summary = final_summary(text, form, prompt_opens_think=prompt_opens_think)
    if summary is None or not is_well_formed(text, form, prompt_opens_think=prompt_opens_think):
        return ""
    from aha.rewards.math import extract  # parses formulas: loaded where it is needed

    found = extract(summary)
    answer = summary if found is None else found.text
    return f"{THINK_OPEN}{THINK_CLOSE}{ANSWER_OPEN}{answer}{ANSWER_CLOSE}"
