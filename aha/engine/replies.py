"""Replies of chat models, wherever they run, and a cache that pays for each of them once."""

import hashlib
import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aha.chat.grammar import THINK_CLOSE, split_reasoning
from aha.pipeline.cache import cache_root
from aha.pipeline.files import disk_full_named

FORMAT_VERSION = 1
Conversation = Sequence[Mapping[str, str]]
"""Messages with `role` and `content`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens that a request took, as the server counts them; 0 where it does not say."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    """Thoughts included."""
    reasoning_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a chat model said."""

    text: str
    reasoning: str = ""
    finish_reason: str = "stop"
    """stop, length, content_filter, or what else the server says."""
    usage: Usage = field(default_factory=Usage)
    """Of the whole request; of several replies to one request the first one carries it."""

    @property
    def is_whole(self) -> bool:
        """Whether the model came to its end."""
        return self.finish_reason == "stop"

    @property
    def response(self) -> str:
        """Reasoning and text as one response with think tags, as models are trained on it."""
        if not self.reasoning:
            return self.text
        return f"<think>\n{self.reasoning}\n{THINK_CLOSE}\n\n{self.text}"


def parted(text: str, reasoning: str = "", *, prompt_opens_think: bool = False) -> tuple[str, str]:
    """(text, reasoning) where a server or a template may have left the thoughts in the text."""
    if reasoning or (THINK_CLOSE not in text and not prompt_opens_think):
        return text.strip(), reasoning.strip()
    split = split_reasoning(text, prompt_opens_think=prompt_opens_think, trim=True)
    return split.content.strip(), split.reasoning.strip()


class ReplyCache:
    """One small file a request, named by the hash of what was asked; safe to delete at any time.

    Threads and processes may share it: files appear whole, and equal requests have equal names.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def get(self, request: Mapping[str, Any]) -> list[Reply] | None:
        """The replies to a request that was made before; None for a new one or a damaged file."""
        try:
            stored = json.loads(self._path(request).read_text(encoding="utf-8"))
            return [Reply(**{**r, "usage": Usage(**r["usage"])}) for r in stored["replies"]]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, request: Mapping[str, Any], replies: Sequence[Reply]) -> None:
        """Keep the replies to a request."""
        path = self._path(request)
        path.parent.mkdir(parents=True, exist_ok=True)
        stored = {"request": dict(request), "replies": [asdict(reply) for reply in replies]}
        partial = path.with_name(f".{path.stem}.{os.getpid()}.{threading.get_ident()}")
        with disk_full_named(path):
            partial.write_text(json.dumps(stored), encoding="utf-8")
            partial.replace(path)

    def _path(self, request: Mapping[str, Any]) -> Path:
        name = request_hash(request)
        return self.folder / name[:2] / f"{name}.json"


def request_hash(request: Mapping[str, Any]) -> str:
    """SHA-256 of a request (hexadecimal)."""
    whole = {"format_version": FORMAT_VERSION, **request}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def default_cache() -> ReplyCache:
    """In the user's cache folder ($AHA_CACHE), so that runs share what they have paid for."""
    return ReplyCache(cache_root() / "replies")
