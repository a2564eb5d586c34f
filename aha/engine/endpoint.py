"""Chat models behind an OpenAI-compatible endpoint: vLLM, llama.cpp, SGLang, hosted services.

    endpoint:http://localhost:8000/v1#MODEL

Without `#MODEL` the server has to serve exactly one. The key is read from the environment variable
AHA_API_KEY, or from the one that `#MODEL?key=NAME` names, at every request; it is never stored.
Requests run at the same time on a few threads, are tried again when the server is busy, and their
replies are kept on disk, so that a stage that was killed pays for nothing twice.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aha.engine.http import Failure, HttpClient, Refused
from aha.engine.replies import Conversation, Reply, ReplyCache, Usage, default_cache, parted
from aha.engine.types import SamplingParams
from aha.errors import UserError, nearest
from aha.pipeline.endpoints import EXAMPLE, KEY_VARIABLE, checked_url, parse_endpoint
from aha.rewards.service import in_order

MOST_AT_ONCE = 16
TIMEOUT_SECONDS = 600.0
TOO_LONG = ("context length", "context_length", "maximum context", "context size", "too long")


class Endpoint:
    """A chat model on a server."""

    def __init__(
        self,
        base_url: str,
        model: str = "",
        *,
        key_variable: str = KEY_VARIABLE,
        cache: ReplyCache | None = None,
        most_at_once: int = MOST_AT_ONCE,
        timeout_seconds: float = TIMEOUT_SECONDS,
        max_retries: int = 6,
        backoff_seconds: float = 1.0,
    ):
        """base_url: up to and including `/v1`. model: empty for a server's only one.

        most_at_once: requests at a time. backoff_seconds: before the first retry; it doubles.
        """
        self.base_url = checked_url(base_url)
        self.cache = cache
        self.most_at_once = most_at_once
        self._model, self._model_lock = model, threading.Lock()
        self._key_variable = key_variable
        self._limit_key = "max_tokens"
        self._http = HttpClient(
            timeout_seconds=timeout_seconds,
            max_retries=max_retries,
            backoff_seconds=backoff_seconds,
        )

    @classmethod
    def parse(cls, reference: str, **options: Any) -> "Endpoint":
        """From `endpoint:URL#MODEL`, with the cache of the user. Raises UserError."""
        named = parse_endpoint(reference)
        return cls(
            named.url,
            named.model,
            key_variable=named.key_variable,
            **{"cache": default_cache(), **options},
        )

    @property
    def model(self) -> str:
        """The model's name; asks a server that was named without one. Raises UserError."""
        with self._model_lock:
            if not self._model:
                self._model = self._only_model()
            return self._model

    def complete(
        self, conversations: Sequence[Conversation], params: SamplingParams, *, seed: int = 0
    ) -> list[Reply]:
        """One reply to each conversation, in order. Raises UserError."""
        return [group[0] for group in self.sample(conversations, params, seed=seed)]

    def sample(
        self,
        conversations: Sequence[Conversation],
        params: SamplingParams,
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[list[Reply]]:
        """`samples` replies to each conversation, in order.

        A conversation that is too long for the model, or that the server filters, gets empty
        replies that say so. Raises UserError for everything else that the server refuses.
        """
        shared = {"model": self.model, "seed": seed, **_options(params)}
        requests = [
            {**shared, "messages": [dict(m) for m in messages], "n": samples}
            for messages in conversations
        ]
        stop = threading.Event()
        replies = []
        try:
            for group in in_order(
                lambda request: self._replies(request, stop),
                requests,
                num_threads=max(1, min(self.most_at_once, len(requests))),
            ):
                replies.append(group)
        finally:
            stop.set()  # the others' waiting is over
        return replies

    def _replies(self, request: Mapping[str, Any], stop: threading.Event) -> list[Reply]:
        """From the cache, else from the server; again for servers that give less than asked."""
        asked = {"url": self.base_url, **request}
        cached = self.cache.get(asked) if self.cache else None
        if cached is not None:
            return cached
        replies: list[Reply] = []
        while (missing := request["n"] - len(replies)) > 0:
            seed = request["seed"] + len(replies)
            replies += self._request({**request, "n": missing, "seed": seed}, stop)[:missing]
        if self.cache:
            self.cache.put(asked, replies)
        return replies

    def _request(self, request: Mapping[str, Any], stop: threading.Event) -> list[Reply]:
        count = request["n"]
        body = {k: v for k, v in request.items() if k != "max_tokens" and (k, v) != ("n", 1)}
        body[self._limit_key] = request["max_tokens"]
        try:
            answer = self._http.post(
                f"{self.base_url}/chat/completions", body, headers=self._headers(), stop=stop
            )
        except Refused as refused:
            if "max_completion_tokens" in refused.message and "max_tokens" in body:
                self._limit_key = "max_completion_tokens"  # the newer name of the same limit
                return self._request(request, stop)
            if (reason := _about_the_text(refused)) is not None:
                return [Reply(text="", finish_reason=reason) for _ in range(count)]
            raise self._user_error(refused) from None
        except Failure as failure:
            raise UserError(f"{self.base_url}: {failure}", hint=failure.hint) from None
        return read_replies(answer, self.base_url)

    def _headers(self) -> dict[str, str]:
        key = os.environ.get(self._key_variable, "").strip()
        if any(not 32 < ord(char) < 127 for char in key):
            raise UserError(f"the key in {self._key_variable} holds characters that no key has")
        return {"Authorization": f"Bearer {key}"} if key else {}

    def _models(self) -> list[str]:
        """What the server says that it serves; nothing where it does not."""
        try:
            answer = self._http.get(f"{self.base_url}/models", headers=self._headers())
        except Refused as refused:
            if refused.status in (401, 403):
                raise self._user_error(refused) from None
            return []
        except Failure as failure:
            raise UserError(f"{self.base_url}: {failure}", hint=failure.hint) from None
        rows = answer.get("data") if isinstance(answer, Mapping) else None
        found = rows if isinstance(rows, list) else []
        return [str(row["id"]) for row in found if isinstance(row, Mapping) and "id" in row]

    def _only_model(self) -> str:
        models = self._models()
        if len(models) == 1:
            return models[0]
        known = f"it serves {', '.join(models[:20])}" if models else "it does not list its models"
        raise UserError(f"{self.base_url}: no model named; {known}", hint=f"write {EXAMPLE}")

    def _user_error(self, refused: Refused) -> UserError:
        where, said = self.base_url, f"({refused.status}: {refused.message})"
        if refused.status in (401, 403):
            state = "is refused" if os.environ.get(self._key_variable) else "is not set"
            message = f"{where}: the key in {self._key_variable} {state} {said}"
            return UserError(message, hint=f"export {self._key_variable}=...")
        if refused.status == 404 or "model" in refused.message.lower():
            models = self._models()
            if models and self._model not in models:
                near = nearest(self._model, models)
                hint = f"did you mean {near}?" if near else f"it serves {', '.join(models[:20])}"
                return UserError(f"{where}: unknown model {self._model!r} {said}", hint=hint)
        if refused.status == 404:
            hint = "the address ends where /chat/completions follows, most often in /v1"
            return UserError(f"{where}: no chat completions there {said}", hint=hint)
        return UserError(f"{where} refuses the request {said}", hint="see the server's log")


def read_replies(answer: Any, where: str) -> list[Reply]:
    """The choices of a chat completion. Raises UserError where there are none."""
    choices = answer.get("choices") if isinstance(answer, Mapping) else None
    if not isinstance(choices, list) or not choices:
        raise UserError(
            f"{where} does not answer as an OpenAI-compatible server does",
            hint="the address ends where /chat/completions follows, most often in /v1",
        )
    replies = [_reply(choice) for choice in choices]
    return [replace(replies[0], usage=_usage(answer.get("usage"))), *replies[1:]]


def _reply(choice: Any) -> Reply:
    message = choice.get("message") if isinstance(choice, Mapping) else None
    message = message if isinstance(message, Mapping) else {}
    reasoning = message.get("reasoning_content") or message.get("reasoning") or ""
    text, reasoning = parted(_text(message.get("content")), _text(reasoning))
    reason = choice.get("finish_reason") if isinstance(choice, Mapping) else None
    return Reply(text=text, reasoning=reasoning, finish_reason=str(reason or "stop"))


def _text(content: Any) -> str:
    """Text, also where it comes in parts."""
    if isinstance(content, list):
        parts = [part.get("text", "") for part in content if isinstance(part, Mapping)]
        content = "".join(part for part in parts if isinstance(part, str))
    text = content if isinstance(content, str) else ""
    return text.encode("utf-8", "replace").decode("utf-8")  # without lone surrogates


def _usage(usage: Any) -> Usage:
    if not isinstance(usage, Mapping):
        return Usage()
    details = usage.get("completion_tokens_details")
    details = details if isinstance(details, Mapping) else {}

    def number(value: Any) -> int:
        return value if isinstance(value, int) else 0

    return Usage(
        prompt_tokens=number(usage.get("prompt_tokens")),
        completion_tokens=number(usage.get("completion_tokens")),
        reasoning_tokens=number(details.get("reasoning_tokens")),
    )


def _options(params: SamplingParams) -> dict[str, Any]:
    """The sampling parameters of a request. Raises UserError for what no server can do."""
    if params.forbidden_token_ids or not params.stop_at_eos:
        raise UserError("an endpoint can neither forbid tokens nor pass over the end of a text")
    options: dict[str, Any] = {
        "temperature": params.temperature,
        "top_p": params.top_p,
        "max_tokens": params.max_new_tokens,
    }
    if params.stop:
        options["stop"] = list(params.stop)
    if params.top_k is not None:
        options["top_k"] = params.top_k
    if params.min_p:
        options["min_p"] = params.min_p
    return options


def _about_the_text(refused: Refused) -> str | None:
    """The finish reason where a server refuses this conversation, not the request as such."""
    said = refused.message.lower()
    if refused.status in (400, 413, 422) and any(words in said for words in TOO_LONG):
        return "length"
    if refused.status == 400 and ("content_filter" in said or "content management" in said):
        return "content_filter"
    return None
