"""JSON over HTTP with retries, by the standard library alone."""

import email.utils
import http.client
import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

RETRIED = (408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529)
LONGEST_WAIT_SECONDS = 60.0
MAX_ANSWER_BYTES = 64 << 20
MAX_MESSAGE_CHARS = 500
RETRIES_OF_A_STRANGER = 2
"""A server that has never answered is most likely not there: its address is wrong."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Refused(Exception):
    """The server has answered with an error that another attempt would not change."""

    def __init__(self, status: int, message: str):
        super().__init__(f"{status}: {message}")
        self.status, self.message = status, message


class Failure(Exception):
    """No usable answer after all attempts."""

    def __init__(self, message: str, *, hint: str):
        super().__init__(message)
        self.hint = hint


class _Busy(Exception):
    """Worth another attempt."""

    def __init__(
        self,
        message: str,
        *,
        hint: str,
        wait_seconds: float | None = None,
        has_answered: bool = True,
    ):
        super().__init__(message)
        self.hint, self.wait_seconds, self.has_answered = hint, wait_seconds, has_answered


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A key goes to the address that was given and to no other."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class HttpClient:
    """Sends JSON and reads JSON. Threads may share it."""

    def __init__(self, *, timeout_seconds: float, max_retries: int, backoff_seconds: float):
        """timeout_seconds: of one attempt. backoff_seconds: before the first retry; it doubles."""
        self.timeout_seconds = timeout_seconds
        self.max_retries, self.backoff_seconds = max_retries, backoff_seconds
        self._has_answered = False
        self._direct = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
        self._proxied = urllib.request.build_opener(_NoRedirect)

    def get(self, url: str, *, headers: Mapping[str, str]) -> Any:
        """The JSON at an address. Raises Refused, Failure."""
        return self._persist(urllib.request.Request(url, headers=dict(headers)), threading.Event())

    def post(
        self,
        url: str,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str],
        stop: threading.Event,
    ) -> Any:
        """The JSON that a request is answered with; `stop` ends the waiting between attempts."""
        data = json.dumps(body).encode()
        kind = {"Content-Type": "application/json"}
        return self._persist(urllib.request.Request(url, data, {**kind, **headers}), stop)

    def _persist(self, request: urllib.request.Request, stop: threading.Event) -> Any:
        """Attempts with growing pauses, longer where the server asks for it."""
        for attempt in range(self.max_retries + 1):
            try:
                return self._once(request)
            except _Busy as busy:
                self._has_answered |= busy.has_answered
                retries = self.max_retries
                if not self._has_answered:
                    retries = min(retries, RETRIES_OF_A_STRANGER)
                if attempt >= retries or stop.is_set():
                    tries = "1 attempt" if attempt == 0 else f"{attempt + 1} attempts"
                    raise Failure(f"{busy} ({tries})", hint=busy.hint) from None
                pause = self.backoff_seconds * 2**attempt * random.uniform(0.75, 1.25)
                pause = max(pause, busy.wait_seconds or 0.0)
                stop.wait(min(pause, LONGEST_WAIT_SECONDS))
        raise AssertionError("unreachable")

    def _once(self, request: urllib.request.Request) -> Any:
        host = urlsplit(request.full_url).hostname
        opener = self._direct if host in LOOPBACK else self._proxied
        try:
            with opener.open(request, timeout=self.timeout_seconds) as answer:
                data = answer.read(MAX_ANSWER_BYTES + 1)
        except urllib.error.HTTPError as error:
            raise _refusal(error) from None
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        self._has_answered = True
        if len(data) > MAX_ANSWER_BYTES:
            raise Refused(200, "the answer is larger than 64 MiB")
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise Refused(200, f"the answer is no JSON: {_shown(data)}") from None

    def _unreachable(self, error: Exception) -> _Busy:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            message = f"no answer within {self.timeout_seconds:g} s"
            return _Busy(message, hint="is the server overloaded? ask for fewer tokens")
        said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        return _Busy(
            f"cannot be reached: {said}",
            hint="is the server running at this address?",
            has_answered=False,
        )


def _refusal(error: urllib.error.HTTPError) -> Exception:
    """An HTTP error as one to give up on, or one to wait for."""
    with error:
        try:
            message = _message(error.read(MAX_ANSWER_BYTES))
        except (OSError, http.client.HTTPException):
            message = ""
    message = message or error.reason or "no reason given"
    if error.code in RETRIED and "insufficient_quota" not in message:
        return _Busy(
            f"{error.code}: {message}",
            hint="the server is busy or failing: try again later, the stage goes on from here",
            wait_seconds=_retry_after(error.headers.get("Retry-After", "")),
        )
    if 300 <= error.code < 400:
        message = f"moved to {error.headers.get('Location', 'another address')}"
    return Refused(error.code, message)


def _message(data: bytes) -> str:
    """What an error says in words, out of the forms that servers give it."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return _shown(data)
    error = value.get("error", value) if isinstance(value, dict) else value
    if not isinstance(error, dict):
        return str(error)[:MAX_MESSAGE_CHARS]
    parts = [error.get("message") or error.get("detail"), error.get("code")]
    return ", ".join(str(part) for part in parts if part)[:MAX_MESSAGE_CHARS] or _shown(data)


def _shown(data: bytes) -> str:
    text = " ".join(data[: 4 * MAX_MESSAGE_CHARS].decode("utf-8", "replace").split())
    return text[:MAX_MESSAGE_CHARS]


def _retry_after(value: str) -> float | None:
    """Seconds to wait, from a number or a date."""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
