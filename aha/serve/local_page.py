"""A page on this machine for the person who started it: 127.0.0.1, a secret in its address.

Only who knows the secret gets an answer. Requests that other sites make in the person's browser are
refused: the name in `Host` has to be this machine's, and so has `Origin`. The page loads nothing
and runs only its own script.
"""

import base64
import hashlib
import html
import json
import secrets
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from string import Template
from typing import Any, Protocol

import typer

from aha.errors import UserError

MAX_BODY_BYTES = 8 << 20
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Desk(Protocol):
    """The work that a page shows, one item after the other."""

    kind: str
    """Which page: assets/KIND.html and assets/KIND.js."""
    name: str

    def __len__(self) -> int:
        """How many items there are."""

    def state(self, after: int = -1) -> dict[str, Any]:
        """Progress, and under "next" the first item behind `after` that is undecided."""

    def item(self, index: int) -> dict[str, Any]:
        """What the page shows of an item."""

    def decide(self, index: int, said: Mapping[str, Any]) -> None:
        """Keep a decision. Raises UserError for one that cannot be."""

    def summary(self) -> str:
        """What has been done, in one line."""


class LocalServer:
    """Serves a desk's page; a context manager for tests, `run` for people."""

    def __init__(self, desk: Desk, *, port: int = 0):
        """port: 0 takes a free one. Raises UserError for one that is taken."""
        self.desk = desk
        self.token = secrets.token_urlsafe(18)
        self._lock = threading.Lock()
        try:
            self._http = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        except OSError as error:
            raise UserError(f"port {port}: {error.strerror}", hint="leave --port out") from None
        self._http.daemon_threads = True
        self.port: int = self._http.server_address[1]
        self.page = page_of(desk)

    @property
    def url(self) -> str:
        """With the secret."""
        return f"http://127.0.0.1:{self.port}/{self.token}/"

    def run(self) -> None:
        """Serve until Ctrl-C."""
        try:
            self._http.serve_forever(0.1)
        except KeyboardInterrupt:
            typer.echo("", err=True)
        finally:
            self._http.server_close()

    def __enter__(self) -> "LocalServer":
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def is_welcome(self, headers: Mapping[str, str]) -> bool:
        """Whether a request was made to this machine's name, and by no other site."""
        names = {f"127.0.0.1:{self.port}", f"localhost:{self.port}"}
        origin = headers.get("Origin")
        return headers.get("Host") in names and origin in {None, *(f"http://{n}" for n in names)}

    def answer(self, method: str, path: str, body: Any) -> dict[str, Any]:
        """One request of the page's script. Raises UserError."""
        with self._lock:
            name, _, number = path.partition("/")
            if method == "GET" and name == "state":
                return self.desk.state()
            index = self._index(number)
            if method == "GET" and name == "item":
                return self.desk.item(index)
            if method == "POST" and name == "decide" and isinstance(body, Mapping):
                self.desk.decide(index, body)
                return self.desk.state(after=index)
        raise UserError("there is nothing here")

    def _index(self, number: str) -> int:
        if not number.isdecimal() or len(number) > 9 or int(number) >= len(self.desk):
            raise UserError(f"there is no item {number[:9]!r}")
        return int(number)


def run_desk(desk: Desk, *, port: int, kept_in: str) -> None:
    """Serve a desk to a person, until Ctrl-C."""
    server = LocalServer(desk, port=port)
    print(server.url, flush=True)
    typer.echo(f"Open this address in a browser on this machine. {desk.summary()}", err=True)
    typer.echo(f"Every decision is kept at once in {kept_in}; Ctrl-C ends.", err=True)
    server.run()
    typer.echo(desk.summary(), err=True)


def page_of(desk: Desk) -> bytes:
    """The page of a desk, with its style and its script inside."""
    own, report = files("aha.serve") / "assets", files("aha.report") / "assets"
    css = (report / "page.css").read_text("utf-8") + (own / "desk.css").read_text("utf-8")
    script = "".join((own / name).read_text("utf-8") for name in ("desk.js", f"{desk.kind}.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        Template((own / f"{desk.kind}.html").read_text("utf-8"))
        .substitute(
            head=Template((own / "head.html").read_text("utf-8")).substitute(
                script_hash=f"'sha256-{digest}'", name=html.escape(desk.name), css=css
            ),
            name=html.escape(desk.name),
            script=script,
        )
        .encode("utf-8", "replace")
    )


def _handler(server: LocalServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 30  # seconds that a connection may be silent
        server_version, sys_version = "aha", ""

        def do_GET(self) -> None:
            self._serve("GET")

        def do_POST(self) -> None:
            self._serve("POST")

        def _serve(self, method: str) -> None:
            _, token, path = [*self.path.partition("?")[0].split("/", 2), "", ""][:3]
            is_known = secrets.compare_digest(token.encode(), server.token.encode())
            if not is_known or not server.is_welcome(dict(self.headers.items())):
                return self._send(404, b"not found", "text/plain")
            if method == "GET" and path == "":
                return self._send(200, server.page, "text/html; charset=utf-8")
            try:
                answer, status = server.answer(method, path, self._body(method)), 200
            except UserError as error:
                answer, status = {"error": error.message}, 400
            except Exception as error:  # ours: told on both sides, the work goes on
                print(f"error: {error!r}", file=sys.stderr)
                answer, status = {"error": f"the server failed: {error!r}"}, 500
            data = json.dumps(answer).encode()
            return self._send(status, data, "application/json")

        def _body(self, method: str) -> Any:
            if method == "GET":
                return None
            length = self.headers.get("Content-Length", "")
            is_json = self.headers.get("Content-Type", "").startswith("application/json")
            if not is_json or not length.isdecimal() or int(length) > MAX_BODY_BYTES:
                raise UserError("a decision is a small JSON object")
            try:
                return json.loads(self.rfile.read(int(length)))
            except (ValueError, RecursionError):
                raise UserError("a decision is a JSON object") from None

        def _send(self, status: int, data: bytes, kind: str) -> None:
            self.send_response(status)
            headers = {**HEADERS, "Content-Type": kind, "Content-Length": str(len(data))}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    return Handler
