"""The format reward of arXiv 2501.12948 (v2, Eq. 4): reasoning and answer in their tags."""

from typing import Literal, get_args

from aha.chat.grammar import parse_response, parse_thinking

FormatKind = Literal["think_answer", "think"]
FORMAT_KINDS: tuple[FormatKind, ...] = get_args(FormatKind)


def format_reward(
    response: str, *, kind: FormatKind = "think_answer", prompt_opens_think: bool = False
) -> float:
    """1.0 for a response of exactly the asked form, else 0.0.

    "think_answer": one think block, one answer block, nothing else (R1-Zero). "think": one think
    block, then the answer without tags (R1 and chat models).
    """
    if kind not in FORMAT_KINDS:
        raise ValueError(f"unknown format {kind!r}; known: {', '.join(FORMAT_KINDS)}")
    parse = parse_response if kind == "think_answer" else parse_thinking
    return float(parse(response, prompt_opens_think=prompt_opens_think).well_formed)
