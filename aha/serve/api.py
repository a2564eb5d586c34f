"""What the API does, apart from HTTP: requests to jobs of the engine, jobs to answers and streams.

The address, the parameters and the objects are OpenAI's; `reasoning_content` is DeepSeek's
(https://api-docs.deepseek.com/guides/reasoning_model).
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aha.chat.grammar import ends_in_open_think
from aha.chat.templates import Message, render_turns
from aha.errors import UserError, nearest
from aha.serve.api_reply import (
    Json,
    Style,
    Writer,
    first_pieces,
    last_piece,
    new_pieces,
    whole_answer,
)
from aha.serve.api_request import Asked, read_chat, read_completion
from aha.serve.service import Busy, Closed, EngineService, Job, TooLong

POLL_SECONDS = 0.25
"""How often it is looked whether the client is still there."""


class ApiError(Exception):
    """An error as the client gets it."""

    def __init__(self, status: int, message: str, *, code: str | None = None):
        super().__init__(message)
        self.status, self.message, self.code = status, message, code

    @property
    def body(self) -> Json:
        """In OpenAI's shape."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        if self.status == 429:
            kind = "rate_limit_error"
        said = {"message": self.message, "type": kind, "param": None, "code": self.code}
        return {"error": said}


class Gone(Exception):
    """The client has closed its connection."""


@dataclass(frozen=True, slots=True)
class Work:
    """A request that the engine has taken."""

    job: Job
    style: Style
    writers: list[Writer]
    asked: Asked


class Api:
    """A model by one name."""

    def __init__(
        self,
        service: EngineService,
        *,
        name: str,
        template: str | None = None,
        unwraps_answer: bool = False,
    ):
        """template: "chat", "r1-zero" or "none"; None: the model's own if it has one, else r1-zero.

        Raises UserError.
        """
        self.service, self.name = service, name
        has_template = service.tokenizer.chat_template is not None
        self.template = template or ("chat" if has_template else "r1-zero")
        self._unwraps_answer = unwraps_answer
        self._created = int(time.time())
        self._prompt([{"role": "user", "content": "hello"}], {})  # an unknown template ends here

    def health(self) -> Json:
        """Raises ApiError when nothing is served any more."""
        if not self.service.is_open:
            raise ApiError(503, "the server is shutting down")
        return {"status": "ok", "model": self.name}

    def models(self) -> Json:
        """The list of the one model."""
        return {"object": "list", "data": [self._card()]}

    def model(self, name: str) -> Json:
        """What is known about a model. Raises ApiError."""
        self._check_name(name)
        return self._card()

    def start(self, body: Any, *, is_chat: bool) -> Work:
        """Check a request and hand it to the engine. Raises ApiError."""
        try:
            return self._start(body, is_chat=is_chat)
        except TooLong as error:
            raise ApiError(400, _line(error), code="context_length_exceeded") from None
        except UserError as error:
            raise ApiError(400, _line(error)) from None
        except Busy:
            raise ApiError(429, "too many requests wait already", code="queue_full") from None
        except Closed:
            raise ApiError(503, "the server is shutting down") from None

    def finish(self, work: Work, is_there: Callable[[], bool]) -> Json:
        """The whole answer. Raises ApiError, Gone."""
        for _ in self._news(work, is_there):
            pass
        return whole_answer(work.style, work.writers, work.job.prompt_tokens)

    def stream(self, work: Work, is_there: Callable[[], bool]) -> Iterator[Json]:
        """The answer in pieces, as it is written. Raises ApiError, Gone."""
        yield from first_pieces(work.style, work.writers)
        for _ in self._news(work, is_there):
            for index, writer in enumerate(work.writers):
                if not writer.is_done:
                    yield from new_pieces(work.style, index, writer)
        if work.asked.include_usage:
            yield last_piece(work.style, work.writers, work.job.prompt_tokens)

    def _start(self, body: Any, *, is_chat: bool) -> Work:
        context = self.service.context_tokens
        asked = read_chat(body, context_tokens=context) if is_chat else read_completion(body)
        self._check_name(asked.model)
        texts: list[str | tuple[int, ...]] = list(asked.prompts)
        if is_chat:
            texts = [self._prompt(list(asked.messages), dict(asked.template_kwargs))]
        encode = self.service.tokenizer.encode
        prompts = [encode(t, with_bos=True) if isinstance(t, str) else list(t) for t in texts]
        style = Style(
            model=self.name,
            is_chat=is_chat,
            stop=asked.params.stop,
            opens_think=isinstance(texts[0], str) and ends_in_open_think(texts[0]),
            unwraps_answer=self._unwraps_answer,
        )
        job = self.service.submit(
            prompts,
            asked.params,
            samples=asked.samples,
            seed=asked.seed,
            is_streamed=asked.stream,
        )
        writers = [Writer(row, self.service.tokenizer, style) for row in job.rows]
        return Work(job, style, writers, asked)

    def _news(self, work: Work, is_there: Callable[[], bool]) -> Iterator[None]:
        """Comes back whenever there may be something to read, the last time when all is written."""
        job = work.job
        while True:
            is_new = job.changed.wait(POLL_SECONDS)
            job.changed.clear()
            is_over = job.is_over  # before what is read
            if error := job.failure or next((row.error for row in job.rows if row.error), ""):
                raise ApiError(500 if self.service.is_open else 503, error)
            if not is_over and not is_there():
                raise Gone
            if is_new or is_over:
                yield
            if is_over:
                return

    def _prompt(self, messages: list[Message], variables: dict[str, Any]) -> str:
        """Raises UserError where the template has no turns."""
        tokenizer = self.service.tokenizer
        return render_turns(self.template, messages, tokenizer, chat_template_kwargs=variables)

    def _check_name(self, name: str) -> None:
        if name != self.name:
            near = " (did you mean it?)" if nearest(name, [self.name]) else ""
            message = (
                f"the model {name[:100]!r} does not exist; this server has {self.name!r}{near}"
            )
            raise ApiError(404, message, code="model_not_found")

    def _card(self) -> Json:
        return {
            "id": self.name,
            "object": "model",
            "created": self._created,
            "owned_by": "aha",
            "max_model_len": self.service.context_tokens,
        }


def _line(error: UserError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message
