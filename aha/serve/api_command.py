"""`aha serve`: load a model, serve it, and end in order at Ctrl-C or SIGTERM."""

import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import torch

from aha.chat.terminal import resolve_chat_model
from aha.errors import UserError
from aha.model.hf_folder import default_device, load_model
from aha.serve.api import Api
from aha.serve.api_http import ApiServer
from aha.serve.service import EngineService


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the command line says."""

    model: str
    host: str
    port: int
    template: str | None
    name: str | None
    key_variable: str | None
    dtype: str
    context_tokens: int | None
    max_rows: int
    max_waiting: int
    num_threads: int
    unwraps_answer: bool


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. Raises UserError."""
    key = _key(settings.key_variable)
    folder = resolve_chat_model(settings.model)
    service = EngineService(
        load_model(folder, dtype=getattr(torch, settings.dtype), device=default_device()),
        max_rows=settings.max_rows,
        max_waiting=settings.max_waiting,
        context_tokens=settings.context_tokens,
        num_threads=settings.num_threads,
    )
    name = settings.name or Path(settings.model).expanduser().resolve().name
    api = Api(
        service,
        name=name,
        template=settings.template,
        unwraps_answer=settings.unwraps_answer,
    )
    server = ApiServer(api, host=settings.host, port=settings.port, key=key, log=_say)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with server:
        print(server.url, flush=True)
        _greet(server)
        ended.wait()
        _say("ending")


def _greet(server: ApiServer) -> None:
    api, service = server.api, server.api.service
    _say(
        f"{api.name}: template {api.template}, context {service.context_tokens:,} tokens, "
        f"{service.batch.max_rows} completions at once. Ctrl-C ends."
    )
    if not server.is_local and not server.key:
        _say("warning: other machines may use this server without a key (--api-key-variable)")


def _key(variable: str | None) -> str:
    if variable is None:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UserError(f"the environment variable {variable} holds no key")
    if any(not 32 < ord(char) < 127 for char in key):
        raise UserError(f"the key in {variable} holds characters that no key has")
    return key


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
