"""The API over HTTP, by the standard library: one thread a connection, one engine for all."""

import contextlib
import json
import secrets
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aha.errors import UserError
from aha.serve.api import Api, ApiError, Gone, Work
from aha.serve.api_metrics import Metrics
from aha.serve.api_reply import Json

MAX_BODY_BYTES = 8 << 20
SILENT_SECONDS = 60
"""A connection that says nothing for so long, or takes nothing, is closed."""
RETRY_SECONDS = 1
FAREWELL_SECONDS = 2.0
"""For the last answers, at the end of the server."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
POSTS = {"/chat/completions": True, "/completions": False}
"""Paths, and whether they are chats."""


class ApiServer:
    """Serves an API at an address; a context manager for tests, `run` for people."""

    def __init__(
        self,
        api: Api,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        key: str = "",
        log: Callable[[str], None] | None = None,
    ):
        """port: 0 takes a free one. key: what clients have to send; empty: nothing.

        Raises UserError for an address that cannot be had.
        """
        self.api, self.key, self.log = api, key, log or (lambda line: None)
        self.is_local = host in LOOPBACK
        self.metrics = Metrics(api.service)
        self._idle, self._num_active = threading.Condition(), 0
        try:
            self._http = _listener(host)((host, port), _handler(self))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            hint = "choose another --host or --port"
            raise UserError(f"{host}, port {port}: {reason}", hint=hint) from None
        self.host: str = host
        self.port: int = self._http.server_address[1]

    @property
    def url(self) -> str:
        """The base that clients are given."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/v1"

    def __enter__(self) -> "ApiServer":
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take no more requests, end those under way with 503, let the engine go."""
        self._http.shutdown()
        self._thread.join()
        self.api.service.close()
        with self._idle:
            self._idle.wait_for(lambda: self._num_active == 0, timeout=FAREWELL_SECONDS)
        self._http.server_close()

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """While a request is answered; the end of the server waits for it."""
        with self._idle:
            self._num_active += 1
        try:
            yield
        finally:
            with self._idle:
                self._num_active -= 1
                self._idle.notify_all()

    def is_welcome(self, host: str, origin: str | None) -> bool:
        """Whether a request may come from a program of this machine's user.

        A server that only this machine reaches answers to no other name, so that no site can turn
        its own name to it, and to no page of another site.
        """
        if not self.is_local:
            return True
        return _name_of(host) in LOOPBACK and (
            origin is None or _name_of(origin.partition("//")[2]) in LOOPBACK
        )


def _name_of(address: str) -> str:
    """The name in NAME:PORT or [NAME]:PORT."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0].lower()


def _listener(host: str) -> type[ThreadingHTTPServer]:
    class Listener(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = True
        request_queue_size = 512
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        def handle_error(self, request: Any, client_address: Any) -> None:
            if not isinstance(sys.exception(), OSError):  # the client has gone
                super().handle_error(request, client_address)

    return Listener


def _handler(server: ApiServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = SILENT_SECONDS
        protocol_version = "HTTP/1.1"
        server_version, sys_version = "aha", ""
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            with server.active():
                self._serve(self._get)

        def do_POST(self) -> None:
            with server.active():
                self._serve(self._post)

        def _serve(self, answer: Callable[[str], None]) -> None:
            started, self._status, self._about = time.monotonic(), 0, ""
            path = self.path.partition("?")[0].rstrip("/")
            try:
                self._check(path)
                answer(path.removeprefix("/v1"))
            except ApiError as error:
                self._refuse(error)
            except (Gone, OSError):
                self.close_connection, self._about = True, "the client has gone"
            seconds = time.monotonic() - started
            server.metrics.count(self._status or 499)
            shown = ascii(path)[1:-1][:100]
            line = f"{self.command} {shown} {self._status or '-'} {seconds:.2f} s {self._about}"
            server.log(line.rstrip())

        def _check(self, path: str) -> None:
            if not server.is_welcome(self.headers.get("Host", ""), self.headers.get("Origin")):
                raise ApiError(403, "this server answers programs of its own machine only")
            given = self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
            is_right = secrets.compare_digest(given.encode(), server.key.encode())
            if server.key and path != "/health" and not is_right:
                raise ApiError(401, "the API key is missing or wrong", code="invalid_api_key")

        def _get(self, path: str) -> None:
            if path == "/health":
                return self._send_json(200, server.api.health())
            if path == "/metrics":
                return self._send(200, server.metrics.text().encode(), "text/plain; version=0.0.4")
            if path == "/models":
                return self._send_json(200, server.api.models())
            if path.startswith("/models/"):
                return self._send_json(200, server.api.model(path.removeprefix("/models/")))
            raise _not_found(path, is_known=path in POSTS)

        def _post(self, path: str) -> None:
            if path not in POSTS:
                raise _not_found(path, is_known=path in ("/health", "/metrics", "/models"))
            work = server.api.start(self._body(), is_chat=POSTS[path])
            try:
                self._answer(work)
            except BaseException:
                work.job.cancel()
                raise
            finally:
                written = sum(len(row.token_ids) for row in work.job.rows)
                self._about = f"{work.job.prompt_tokens} + {written} tokens"

        def _answer(self, work: Work) -> None:
            if not work.asked.stream:
                return self._send_json(200, server.api.finish(work, self._is_there))
            self._status, self.close_connection = 200, True
            self.send_response(200)
            for name, value in (
                ("Content-Type", "text/event-stream; charset=utf-8"),
                ("Cache-Control", "no-cache"),
                ("Connection", "close"),
            ):
                self.send_header(name, value)
            self.end_headers()
            try:
                for piece in server.api.stream(work, self._is_there):
                    self._send_event(json.dumps(piece, ensure_ascii=False))
            except ApiError as error:
                work.job.cancel()
                self._send_event(json.dumps(error.body, ensure_ascii=False))
            self._send_event("[DONE]")

        def _send_event(self, data: str) -> None:
            self.wfile.write(f"data: {data}\n\n".encode())

        def _is_there(self) -> bool:
            """Whether the client has not closed its end."""
            ready, _, _ = select.select([self.connection], [], [], 0)
            return not ready or bool(self.connection.recv(1, socket.MSG_PEEK))

        def _body(self) -> Any:
            """The JSON of the request. Raises ApiError."""
            kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or len(length) > 18:
                raise ApiError(411, "send the body with its Content-Length")
            if int(length) > MAX_BODY_BYTES:
                raise ApiError(413, f"the body is larger than {MAX_BODY_BYTES >> 20} MiB")
            data = self.rfile.read(int(length))
            self._is_read = True
            if kind != "application/json":
                raise ApiError(415, "send JSON, with Content-Type: application/json")
            try:
                return json.loads(data, parse_constant=_no_number)
            except (ValueError, RecursionError) as error:
                raise ApiError(400, f"the body is not JSON: {str(error)[:200]}") from None

        def _refuse(self, error: ApiError) -> None:
            """Send an error. What was not read of the body would be taken for a request."""
            length = self.headers.get("Content-Length", "0")
            if length != "0" and not getattr(self, "_is_read", False):
                self.close_connection = True
            self._about = error.message[:200]
            extra = {"Retry-After": str(RETRY_SECONDS)} if error.status in (429, 503) else {}
            try:
                self._send_json(error.status, error.body, extra)
            except OSError:
                self.close_connection = True

        def _send_json(
            self, status: int, answer: Json, extra: dict[str, str] | None = None
        ) -> None:
            data = json.dumps(answer, ensure_ascii=False).encode()
            self._send(status, data, "application/json", extra)

        def _send(
            self, status: int, data: bytes, kind: str, extra: dict[str, str] | None = None
        ) -> None:
            self._status, self._is_read = status, False
            self.send_response(status)
            headers = {"Content-Type": kind, "Content-Length": str(len(data)), **(extra or {})}
            if self.close_connection:
                headers["Connection"] = "close"
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def send_error(
            self, code: int, message: str | None = None, explain: str | None = None
        ) -> None:
            """What is no request, or has a method that nothing here takes."""
            self.close_connection = True
            self._send_json(code, ApiError(code, message or "bad request").body)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    return Handler


def _not_found(path: str, *, is_known: bool) -> ApiError:
    if is_known:
        return ApiError(405, "that address takes the other method")
    return ApiError(404, f"there is nothing at {ascii(path)[1:-1][:100]}", code="unknown_url")


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
