"""Think and answer tags: the grammar of a response, and where its reasoning ends.

This is the only module that knows the tags. Two questions are asked of a response:

- training: is it exactly one think block and one answer block (`parse_response`)? The template of
  arXiv 2501.12948v1, Table 1, asks for that; the format reward and every verifier go through here.
- serving: which part is reasoning, which is content (`split_reasoning`, `ReasoningStream`)? The
  conventions are those of the DeepSeek API and of vLLM's reasoning parsers.

Everything runs in linear time and takes any text: tags are found by plain substring search.
"""

from dataclasses import dataclass
from typing import NamedTuple

THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"
ANSWER_OPEN = "<answer>"
ANSWER_CLOSE = "</answer>"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedResponse:
    """The blocks of a response, stripped of outer white space."""

    think: str | None
    """Inside of the think block when there is exactly one, else None."""
    answer: str | None
    """Inside of the answer block when there is exactly one and no thinking ends after it opens."""
    well_formed: bool
    problem: str
    """What is wrong, in words; empty when `well_formed`."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Where one block lies in the text: `[start, end)` with its tags, `[inner, close)` without."""

    start: int = -1
    inner: int = -1
    close: int = -1
    end: int = -1
    problem: str = ""

    def text(self, source: str) -> str | None:
        return None if self.problem else source[self.inner : self.close].strip()


def parse_response(text: str, *, prompt_opens_think: bool = False) -> ParsedResponse:
    """The think and answer blocks of a response, and whether it has the form of R1-Zero.

    Well formed: the whole text is one think block and then one answer block, with nothing but white
    space around them, and no tag a second time anywhere, also not inside a block. Empty blocks are
    allowed: what stands in them is for other rewards. `prompt_opens_think`: the prompt ended with
    `<think>`, so the response starts inside the block.
    """
    text = THINK_OPEN + text if prompt_opens_think else text
    think = _find_block(text, THINK_OPEN, THINK_CLOSE, "think")
    answer = _find_block(text, ANSWER_OPEN, ANSWER_CLOSE, "answer")
    problem = think.problem or answer.problem or _layout_problem(text, think, answer)
    is_final = text.rfind(THINK_CLOSE) < answer.start
    return ParsedResponse(
        think=think.text(text),
        answer=answer.text(text) if is_final else None,
        well_formed=not problem,
        problem=problem,
    )


def parse_thinking(text: str, *, prompt_opens_think: bool = False) -> ParsedResponse:
    """Like `parse_response` for models without answer tags: one think block, then the answer.

    `answer` is the text after the block. A second think tag anywhere is a problem.
    """
    text = THINK_OPEN + text if prompt_opens_think else text
    think = _find_block(text, THINK_OPEN, THINK_CLOSE, "think")
    problem = think.problem
    if not problem and not _is_blank(text[: think.start]):
        problem = f"text before {THINK_OPEN}"
    return ParsedResponse(
        think=think.text(text),
        answer=None if think.problem else text[think.end :].strip(),
        well_formed=not problem,
        problem=problem,
    )


def ends_in_open_think(prompt: str) -> bool:
    """Whether a prompt ends with `<think>`, as the chat template of R1 makes it."""
    return prompt.rstrip().endswith(THINK_OPEN)


def drop_reasoning(text: str) -> str:
    """A past turn as it goes back into a conversation: what follows the last `</think>`.

    The rule of R1's chat template; text without the tag comes back unchanged.
    """
    _, tag, content = text.rpartition(THINK_CLOSE)
    return content.strip() if tag else text


def _find_block(text: str, open_tag: str, close_tag: str, name: str) -> _Block:
    opened, closed = text.count(open_tag), text.count(close_tag)
    if opened == 0 or closed == 0:
        missing = f"{name} block" if opened == closed else (close_tag if opened else open_tag)
        return _Block(problem=f"no {missing}")
    if opened > 1 and closed > 1:
        return _Block(problem=f"{min(opened, closed)} {name} blocks")
    for tag, count in ((open_tag, opened), (close_tag, closed)):
        if count > 1:
            return _Block(problem=f"{count} times {tag}")
    start, close = text.find(open_tag), text.find(close_tag)
    if close < start:
        return _Block(problem=f"{close_tag} before {open_tag}")
    return _Block(start, start + len(open_tag), close, close + len(close_tag))


def _layout_problem(text: str, think: _Block, answer: _Block) -> str:
    """What is wrong with the places of one think block and one answer block."""
    if answer.end <= think.start:
        return "answer block before the think block"
    if answer.start < think.end:
        return "think and answer blocks overlap"
    gaps = {
        f"text before {THINK_OPEN}": text[: think.start],
        f"text between {THINK_CLOSE} and {ANSWER_OPEN}": text[think.end : answer.start],
        f"text after {ANSWER_CLOSE}": text[answer.end :],
    }
    return next((problem for problem, gap in gaps.items() if not _is_blank(gap)), "")


def _is_blank(text: str) -> bool:
    return not text or text.isspace()


class SplitText(NamedTuple):
    """Reasoning and content of a response, or of one piece of it; empty where there is none."""

    reasoning: str
    content: str


def split_reasoning(
    text: str,
    *,
    prompt_opens_think: bool = False,
    trim: bool = False,
    unwrap_answer: bool = False,
    open_tag: str = THINK_OPEN,
    close_tag: str = THINK_CLOSE,
) -> SplitText:
    """Split a whole response into its reasoning and its content.

    Reasoning runs from a think tag at the start (after white space) to the first closing tag; a
    block that is never closed is all reasoning, and every later tag is content. Without a think tag
    at the start everything is content, except with `prompt_opens_think` (the prompt, or the chat
    template, ended with the think tag): then the response starts inside the reasoning, and an
    opening tag of its own is optional.

    `trim` drops the white space that follows a removed tag. `unwrap_answer` takes the content of
    R1-Zero out of its answer tags.
    """
    stream = ReasoningStream(
        prompt_opens_think=prompt_opens_think,
        trim=trim,
        unwrap_answer=unwrap_answer,
        open_tag=open_tag,
        close_tag=close_tag,
    )
    first, rest = stream.feed(text), stream.finish()
    return SplitText(first.reasoning + rest.reasoning, first.content + rest.content)


class ReasoningStream:
    """The same split for text that arrives in pieces; tags may be cut at any place.

    `feed` returns what is new and certain: it holds back no more than a tag that has begun and
    white space that may turn out to stand before a tag. `finish` returns what was held back. Each
    character is looked at a bounded number of times, whatever the sizes of the pieces.
    """

    def __init__(
        self,
        *,
        prompt_opens_think: bool = False,
        trim: bool = False,
        unwrap_answer: bool = False,
        open_tag: str = THINK_OPEN,
        close_tag: str = THINK_CLOSE,
    ):
        self._trim = trim
        self._unwrap_answer = unwrap_answer
        self._open_tag, self._close_tag = open_tag, close_tag
        self._without_tag = "think" if prompt_opens_think else "before_answer"
        self._state = "before_think"
        self._buffer = ""  # between calls never longer than a tag
        self._spaces: list[str] = []  # white space that is dropped when a tag follows it
        self._skip_spaces = False
        self._emitted: dict[str, list[str]] = {"reasoning": [], "content": []}

    @property
    def reasoning_ended(self) -> bool:
        """Whether everything that follows is content."""
        return self._state not in ("before_think", "think")

    def feed(self, chunk: str) -> SplitText:
        """Take the next piece of text, return what it adds to reasoning and content."""
        self._buffer += chunk
        while self._advance():
            pass
        return self._take()

    def finish(self) -> SplitText:
        """Say that the text has ended, return what was held back."""
        if self._state == "before_think":
            self._state = self._without_tag
        self._emit(self._buffer)
        self._buffer = ""
        return self._take()

    def _advance(self) -> bool:
        """Make one step; False when more text is needed."""
        if self._skip_spaces:
            self._buffer = self._buffer.lstrip()
            self._skip_spaces = not self._buffer
        match self._state:
            case "before_think":
                return self._expect(self._open_tag, "think", self._without_tag, self._trim)
            case "think":
                return self._until(self._close_tag, "before_answer", self._trim)
            case "before_answer" if self._unwrap_answer:
                return self._expect(ANSWER_OPEN, "answer", "content", True)
            case "answer":
                return self._until(ANSWER_CLOSE, "content", False)
        self._state = "content"
        self._emit(self._buffer)
        self._buffer = ""
        return False

    def _expect(self, tag: str, inside: str, otherwise: str, skip_spaces: bool) -> bool:
        """Look for `tag` after optional white space and go to `inside`, else to `otherwise`."""
        text = self._buffer.lstrip()
        self._spaces.append(self._buffer[: len(self._buffer) - len(text)])
        self._buffer = text
        if text.startswith(tag):
            self._buffer = text[len(tag) :]
            self._spaces.clear()
            self._state, self._skip_spaces = inside, skip_spaces
            return True
        if tag.startswith(text) or self._close_tag[:-1].startswith(text):
            return False
        self._state = otherwise
        return True

    def _until(self, tag: str, after: str, skip_spaces: bool) -> bool:
        """Emit text up to `tag`, then go to `after`; keep back the beginning of a tag."""
        body, found, rest = self._buffer.partition(tag)
        if found:
            self._emit(body)
            self._state, self._buffer, self._skip_spaces = after, rest, skip_spaces
            return True
        cut = len(body) - _overlap(body, tag)
        self._emit(body[:cut])
        self._buffer = body[cut:]
        return False

    def _emit(self, text: str) -> None:
        side = "reasoning" if self._state == "think" else "content"
        self._emitted[side] += [*self._spaces, text]
        self._spaces.clear()

    def _take(self) -> SplitText:
        out = SplitText("".join(self._emitted["reasoning"]), "".join(self._emitted["content"]))
        self._emitted = {"reasoning": [], "content": []}
        return out


def _overlap(text: str, tag: str) -> int:
    """Length of the longest proper beginning of `tag` that ends `text`."""
    sizes = range(min(len(tag) - 1, len(text)), 0, -1)
    return next((size for size in sizes if text.endswith(tag[:size])), 0)
