"""Conversations to train on: what the model reads, what it says, and where its turns end.

A turn is rendered as it is generated: the prompt is the chat template's, with its generation
prompt, and what the assistant says follows it. So training, rollouts and serving see the same text,
whatever a template does with assistant messages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from aha.chat.grammar import THINK_CLOSE, THINK_OPEN, ends_in_open_think, split_reasoning
from aha.chat.templates import PLAIN_CHAT_TEMPLATE, HasChatTemplate, render_chat
from aha.errors import UserError

Role = Literal["system", "user", "assistant"]
ROLES: tuple[str, ...] = get_args(Role)
MESSAGES_HINT = (
    'a row is like {"messages": [{"role": "user", "content": "2 + 3 = ?"}, '
    '{"role": "assistant", "reasoning_content": "2 and 3 is 5.", "content": "5"}]}'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message; `reasoning` is what the assistant thought before it said `content`."""

    role: Role
    content: str
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a sample's text. After one that is trained comes the end-of-turn token."""

    text: str
    is_trained: bool


@dataclass(frozen=True, slots=True)
class _Turn:
    prompt: str
    response: str


def read_messages(value: object) -> list[Message]:
    """Checked messages: an optional system message, then user and assistant in turns.

    Reasoning stands in `reasoning_content`, or between think tags in the content. Raises UserError.
    """
    if not isinstance(value, list) or not value:
        raise UserError("messages is no list of messages", hint=MESSAGES_HINT)
    messages = [_read_message(number, item) for number, item in enumerate(value, start=1)]
    expected: tuple[str, ...] = ("system", "user")
    for number, message in enumerate(messages, start=1):
        if message.role not in expected:
            wanted = " or ".join(expected)
            raise UserError(
                f"message {number} is of the {message.role}, expected {wanted}",
                hint="an optional system message, then user and assistant take turns",
            )
        expected = ("assistant",) if message.role == "user" else ("user",)
    if all(message.role != "assistant" for message in messages):
        raise UserError("no assistant turn, so there is nothing to learn", hint=MESSAGES_HINT)
    return messages


def training_samples(
    messages: Sequence[Message], tokenizer: HasChatTemplate, *, end_of_turn: str
) -> list[list[Piece]]:
    """The texts to train on; every assistant turn is trained on exactly once, as it is generated.

    Usually that is one text. A turn that looks different once it is past (its reasoning is dropped)
    gets a text of its own, which ends with it.
    """
    turns = [
        _turn(messages[:index], message, tokenizer)
        for index, message in enumerate(messages)
        if message.role == "assistant"
    ]
    samples: list[list[Piece]] = []
    while turns:
        last = turns.pop()
        kept = [turn.prompt + turn.response + end_of_turn for turn in turns]
        inside = [last.prompt.startswith(text) for text in kept]
        trained = [turn for turn, is_in in zip(turns, inside, strict=True) if is_in]
        samples.append(_pieces([*trained, last], end_of_turn))
        turns = [turn for turn, is_in in zip(turns, inside, strict=True) if not is_in]
    return samples[::-1]


def response_text(message: Message, prompt: str, *, compact: bool = False) -> str:
    """What the assistant says after a prompt: `<think>` reasoning `</think>` content.

    With the white space of R1 and Qwen3, or `compact`, as in our plain chat template. If the prompt
    has already opened the think block, that part is left out.
    """
    content, reasoning = message.content, message.reasoning
    opened = ends_in_open_think(prompt)
    if not reasoning and not opened:
        return " " + content if compact else content
    if compact:
        text = f"{THINK_OPEN} {reasoning}{THINK_CLOSE} {content}"
    else:
        text = f"{THINK_OPEN}\n{reasoning}\n{THINK_CLOSE}\n\n{content}"
    if not opened:
        return text
    said = prompt[prompt.rindex(THINK_OPEN) :]
    return text.removeprefix(said if text.startswith(said) else THINK_OPEN)


def find_end_of_turn(tokenizer: HasChatTemplate) -> str:
    """What the chat template writes after an answer, white space aside; empty if nothing."""
    probe = [{"role": "user", "content": "A"}, {"role": "assistant", "content": "ANSWER"}]
    text = render_chat(probe, tokenizer, add_generation_prompt=False)
    return text.rpartition("ANSWER")[2].strip()


def _read_message(number: int, item: object) -> Message:
    if not isinstance(item, Mapping) or not isinstance(item.get("content"), str):
        raise UserError(f"message {number} has no content that is text", hint=MESSAGES_HINT)
    role, content = item.get("role"), item["content"]
    if role not in ROLES:
        raise UserError(
            f"message {number} has the role {role!r}", hint=f"roles: {', '.join(ROLES)}"
        )
    reasoning = item.get("reasoning_content") or ""
    if not isinstance(reasoning, str) or (reasoning and role != "assistant"):
        raise UserError(
            f"message {number} has reasoning_content that is no text of the assistant",
            hint=MESSAGES_HINT,
        )
    if role != "assistant":
        return Message(role=role, content=content)
    if not reasoning and THINK_CLOSE in content:
        reasoning, content = split_reasoning(content, trim=True)
    if not content.strip():
        raise UserError(
            f"message {number}: the assistant says nothing", hint="delete the row, or the turn"
        )
    return Message(role=role, content=content.strip(), reasoning=reasoning.strip())


def _turn(past: Sequence[Message], message: Message, tokenizer: HasChatTemplate) -> _Turn:
    history: list[dict[str, Any]] = [{"role": m.role, "content": m.content} for m in past]
    prompt = render_chat(history, tokenizer)
    compact = tokenizer.chat_template == PLAIN_CHAT_TEMPLATE
    return _Turn(prompt, response_text(message, prompt, compact=compact))


def _pieces(turns: Sequence[_Turn], end_of_turn: str) -> list[Piece]:
    """The last turn's prompt, cut where the turns in it begin and end, and its response."""
    pieces, start = [], 0
    for turn in turns:
        pieces.append(Piece(turns[-1].prompt[start : len(turn.prompt)], False))
        pieces.append(Piece(turn.response, True))
        start = len(turn.prompt) + len(turn.response) + len(end_of_turn)
    return pieces
