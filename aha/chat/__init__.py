"""Prompts and responses as text: templates, the think/answer grammar, the reasoning split."""

from aha.chat.grammar import (
    ParsedResponse,
    ReasoningStream,
    SplitText,
    drop_reasoning,
    ends_in_open_think,
    parse_response,
    parse_thinking,
    split_reasoning,
)
from aha.chat.templates import R1_ZERO_TEMPLATE, TEMPLATES, render_chat, render_prompt

__all__ = [
    "R1_ZERO_TEMPLATE",
    "TEMPLATES",
    "ParsedResponse",
    "ReasoningStream",
    "SplitText",
    "drop_reasoning",
    "ends_in_open_think",
    "parse_response",
    "parse_thinking",
    "render_chat",
    "render_prompt",
    "split_reasoning",
]
