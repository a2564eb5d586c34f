"""References to chat models on servers: `endpoint:URL#MODEL`. Only the text; nothing is asked.

    endpoint:http://localhost:8000/v1#MODEL
    endpoint:https://api.example.com/v1#MODEL?key=NAME

The key to a server stands in the environment variable AHA_API_KEY, or in the one that `key` names;
never in a reference, which is saved with the run.
"""

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from aha.errors import UserError

SCHEME = "endpoint:"
KEY_VARIABLE = "AHA_API_KEY"
EXAMPLE = "endpoint:http://localhost:8000/v1#MODEL"
KEY_HINT = f"the key belongs into {KEY_VARIABLE}, or into a variable named by #MODEL?key=NAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointReference:
    """Where a model is served."""

    url: str
    """Up to and including `/v1`."""
    model: str
    """Empty: the only one of the server."""
    key_variable: str


def is_endpoint(reference: str) -> bool:
    """Whether a reference to a model names an endpoint."""
    return reference.startswith(SCHEME)


def parse_endpoint(reference: str) -> EndpointReference:
    """The parts of `endpoint:URL#MODEL?key=NAME`. Raises UserError."""
    url, _, fragment = reference.removeprefix(SCHEME).partition("#")
    model, _, query = fragment.partition("?")
    given = parse_qs(query, keep_blank_values=True)
    checked = checked_url(url)
    if unknown := [name for name in given if name != "key"]:
        raise UserError(f"{SCHEME}{checked}: unknown option {unknown[0]!r}", hint=KEY_HINT)
    key = given.get("key", [KEY_VARIABLE])[-1]
    if not key.isidentifier():
        message = f"{SCHEME}{checked}: key is no name of an environment variable"
        raise UserError(message, hint=KEY_HINT)
    return EndpointReference(url=checked, model=model, key_variable=key)


def checked_url(url: str) -> str:
    """An address without a slash at its end. UserError for what is none, or holds a password."""
    try:
        parts = urlsplit(url)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        raise UserError("the address of the endpoint is none", hint=f"write {EXAMPLE}") from None
    if parts.username or parts.password:
        raise UserError("the address of an endpoint holds no name or password", hint=KEY_HINT)
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_good:
        raise UserError(f"{url!r} is no address of a server", hint=f"write {EXAMPLE}")
    return url.rstrip("/")
