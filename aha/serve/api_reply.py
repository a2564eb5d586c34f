"""What the API answers: OpenAI's objects, with `reasoning_content` beside `content` as DeepSeek."""

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aha.chat.grammar import THINK_CLOSE, ReasoningStream, SplitText
from aha.model.tokenizer import Tokenizer
from aha.serve.live_batch import Row
from aha.serve.text_stream import TextStream

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How the texts of a request become its answer."""

    model: str
    is_chat: bool
    stop: tuple[str, ...] = ()
    opens_think: bool = False
    """Whether the prompt ends inside the thoughts."""
    unwraps_answer: bool = False
    """Whether the answer is taken out of R1-Zero's tags."""
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    created: int = field(default_factory=lambda: int(time.time()))

    def envelope(self, *, is_chunk: bool) -> Json:
        """What every answer and every piece of one begins with."""
        kind = "chat.completion" if self.is_chat else "text_completion"
        return {
            "id": ("chatcmpl-" if self.is_chat else "cmpl-") + self.id,
            "object": f"{kind}.chunk" if is_chunk and self.is_chat else kind,
            "created": self.created,
            "model": self.model,
        }


class Writer:
    """Turns the tokens of a row into reasoning and content, as they come or all at once."""

    def __init__(self, row: Row, tokenizer: Tokenizer, style: Style):
        self.row, self._tokenizer, self._style = row, tokenizer, style
        self._text = TextStream(tokenizer, style.stop)
        self._split = ReasoningStream(
            prompt_opens_think=style.opens_think, trim=True, unwrap_answer=style.unwraps_answer
        )
        self._num_read = 0
        self.has_reasoned = False
        self.is_done = False

    def read(self) -> SplitText:
        """What has been written since the last time; of a row that is over, the rest."""
        is_over = self.row.finish_reason is not None  # before the tokens are looked at
        ids = self.row.token_ids[self._num_read :]
        self._num_read += len(ids)
        if ids and ids[-1] in self._tokenizer.eos_token_ids:
            ids = ids[:-1]
        text = self._text.feed(ids) if ids else ""
        if is_over:
            self.is_done = True
            text += self._text.finish()
        if not self._style.is_chat:
            return SplitText("", text)
        new = self._split.feed(text)
        if is_over:
            rest = self._split.finish()
            new = SplitText(new.reasoning + rest.reasoning, new.content + rest.content)
        self.has_reasoned |= bool(new.reasoning)
        return new

    def num_reasoning_tokens(self) -> int:
        """Tokens up to the one that ends the thoughts; 0 where there are none."""
        ids = self.row.token_ids
        if not self.has_reasoned:
            return 0
        if not self._split.reasoning_ended:
            return len(ids)
        low, high = 1, len(ids)  # the fewest tokens whose text holds the closing tag
        while low < high:
            middle = (low + high) // 2
            if THINK_CLOSE in self._tokenizer.decode(ids[:middle]):
                high = middle
            else:
                low = middle + 1
        return low


def whole_answer(style: Style, writers: Sequence[Writer], prompt_tokens: int) -> Json:
    """The answer to a request that was not streamed, all rows over."""
    choices = [_choice(style, index, writer) for index, writer in enumerate(writers)]
    return {
        **style.envelope(is_chunk=False),
        "choices": choices,
        "usage": usage(writers, prompt_tokens, is_chat=style.is_chat),
    }


def _choice(style: Style, index: int, writer: Writer) -> Json:
    reasoning, content = writer.read()
    ended = {"finish_reason": writer.row.finish_reason, "logprobs": None}
    if not style.is_chat:
        return {"index": index, "text": content, **ended}
    message = {
        "role": "assistant",
        "content": content,
        "reasoning_content": reasoning if writer.has_reasoned else None,
    }
    return {"index": index, "message": message, **ended}


def usage(writers: Sequence[Writer], prompt_tokens: int, *, is_chat: bool) -> Json:
    """Tokens of a request; those of the thoughts are some of the completion's."""
    completion = sum(len(writer.row.token_ids) for writer in writers)
    counted: Json = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": prompt_tokens + completion,
    }
    if is_chat:
        reasoning = sum(writer.num_reasoning_tokens() for writer in writers)
        counted["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return counted


def first_pieces(style: Style, writers: Sequence[Writer]) -> Iterator[Json]:
    """What a stream begins with: who speaks."""
    if style.is_chat:
        for index in range(len(writers)):
            yield _piece(style, index, {"role": "assistant", "content": ""})


def new_pieces(style: Style, index: int, writer: Writer) -> Iterator[Json]:
    """What a row has written since the last time; its last piece has the finish reason."""
    reasoning, content = writer.read()
    if not style.is_chat:
        if content or writer.is_done:
            yield _piece(
                style, index, content, writer.row.finish_reason if writer.is_done else None
            )
        return
    for name, text in (("reasoning_content", reasoning), ("content", content)):
        if text:
            yield _piece(style, index, {name: text})
    if writer.is_done:
        yield _piece(style, index, {}, writer.row.finish_reason)


def last_piece(style: Style, writers: Sequence[Writer], prompt_tokens: int) -> Json:
    """The usage, after all choices."""
    counted = usage(writers, prompt_tokens, is_chat=style.is_chat)
    return {**style.envelope(is_chunk=True), "choices": [], "usage": counted}


def _piece(
    style: Style, index: int, said: Mapping[str, Any] | str, reason: str | None = None
) -> Json:
    name = "text" if isinstance(said, str) else "delta"
    choice = {"index": index, name: said, "finish_reason": reason, "logprobs": None}
    return {**style.envelope(is_chunk=True), "choices": [choice]}
