"""A small OpenAI-compatible server in this process: it answers by a function and remembers."""

import contextlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class ChatServer:
    """`answer(body)` gives a text, a message, a list of them, or (status, body[, headers])."""

    answer: Callable[[dict[str, Any]], Any]
    models: tuple[str, ...] = ("tutor",)
    key: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    most_at_once: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self):
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    @property
    def reference(self):
        return f"endpoint:{self.url}#{self.models[0]}"

    def prompts(self):
        """The last message of every request, in the order of arrival."""
        return [body["messages"][-1]["content"] for body in self.bodies]

    def reply(self, path, body, key):
        """(status, object, headers) for one request."""
        if self.key and key != f"Bearer {self.key}":
            return 401, {"error": {"message": "wrong key", "code": "invalid_api_key"}}, {}
        if path == "/v1/models":
            return 200, {"data": [{"id": name} for name in self.models]}, {}
        if path != "/v1/chat/completions":
            return 404, {"error": "no such path"}, {}
        if body["model"] not in self.models:
            return 404, {"error": {"message": f"The model {body['model']} does not exist."}}, {}
        with self._lock:
            self.bodies.append(body)
            self.keys.append(key)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        answer = self.answer(body)
        with self._lock:
            self._now -= 1
        if isinstance(answer, tuple):
            return (*answer, {})[:3]
        messages = answer if isinstance(answer, list) else [answer]
        usage = {"prompt_tokens": 7, "completion_tokens": 5,
                 "completion_tokens_details": {"reasoning_tokens": 3}}  # fmt: skip
        return 200, {"choices": [choice(message) for message in messages], "usage": usage}, {}

    def _handler(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self, body):
                status, answer, headers = server.reply(
                    self.path, body, self.headers.get("Authorization")
                )
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(BrokenPipeError):  # whoever asked has gone
                    self.wfile.write(data)

            def do_GET(self):
                self._serve({})

            def do_POST(self):
                length = int(self.headers["Content-Length"])
                self._serve(json.loads(self.rfile.read(length)))

            def log_message(self, *_):
                pass

        return Handler


def choice(message):
    message = {"content": message} if isinstance(message, str) else dict(message)
    reason = message.pop("finish_reason", "stop")
    return {"message": {"role": "assistant", **message}, "finish_reason": reason}
