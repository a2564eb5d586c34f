"""What a request to the API says, checked: a bad one is an error in the client's hands, named.

The parameters are those of OpenAI's chat completions and completions, with `top_k` and `min_p` as
vLLM and SGLang have them and `thinking` as DeepSeek has it. What this server cannot do is refused
unless it asks for nothing; what has no effect on the text is passed over.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from aha.chat.grammar import drop_reasoning
from aha.config import Config, build
from aha.engine.types import SamplingParams
from aha.errors import UserError, nearest

MAX_CHOICES = 128
MAX_STOPS = 16
MAX_STOP_CHARS = 256
MAX_TEMPERATURE = 5.0
COMPLETION_TOKENS = 16
"""Of a plain completion that names no limit, as OpenAI has it."""
ROLES = ("system", "developer", "user", "assistant", "tool")
IGNORED = (
    *("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"),
    *("prompt_cache_retention", "reasoning_effort", "verbosity", "parallel_tool_calls"),
)
"""Change nothing in the text."""
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "repetition_penalty": (1,),
    "logit_bias": ({},),
    "logprobs": (False, 0),
    "top_logprobs": (0,),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "best_of": (1,),
    "echo": (False,),
    "suffix": ("",),
}
"""Not served; these values ask for nothing."""
OWN = ("model", "messages", "prompt", "stop", "stream_options", "thinking", "chat_template_kwargs")


class Options(Config):
    """The numbers and switches of a request."""

    temperature: float = Field(1.0, ge=0, le=MAX_TEMPERATURE, description="0 is greedy")
    top_p: float = Field(1.0, gt=0, le=1, description="1 keeps every token")
    top_k: int = Field(0, ge=-1, description="0 or -1 keeps every token")
    min_p: float = Field(0.0, ge=0, le=1, description="0 keeps every token")
    max_tokens: int | None = Field(None, ge=1, description="tokens of an answer, thoughts included")
    max_completion_tokens: int | None = Field(None, ge=1, description="as max_tokens")
    n: int = Field(1, ge=1, le=MAX_CHOICES, description="answers to each prompt")
    seed: int | None = Field(
        None, ge=-(2**63), lt=2**64, description="the same seed draws the same text"
    )
    stream: bool = Field(False, description="send the text as it is written")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that was understood."""

    model: str
    params: SamplingParams
    samples: int
    seed: int | None
    stream: bool
    include_usage: bool
    """Whether a stream ends with the usage."""
    messages: tuple[Mapping[str, Any], ...] = ()
    """Of a chat, without the thoughts of earlier turns."""
    prompts: tuple[str | tuple[int, ...], ...] = ()
    """Of a plain completion: texts or token ids."""
    template_kwargs: Mapping[str, Any] = field(default_factory=dict)


def read_chat(body: Any, *, context_tokens: int) -> Asked:
    """The body of POST /v1/chat/completions. Raises UserError."""
    said = _table(body, needs="messages")
    if "prompt" in said:
        raise UserError("a chat has messages, not a prompt", hint="POST /v1/completions takes one")
    common = _common(said, longest=context_tokens)
    return Asked(
        **common, messages=_messages(said["messages"]), template_kwargs=_template_kwargs(said)
    )


def read_completion(body: Any) -> Asked:
    """The body of POST /v1/completions. Raises UserError."""
    said = _table(body, needs="prompt")
    for name in ("messages", "thinking", "chat_template_kwargs"):
        if name in said:
            raise UserError(f"a plain completion has no {name}", hint="POST /v1/chat/completions")
    common = _common(said, longest=COMPLETION_TOKENS)
    prompts = _prompts(said["prompt"])
    if len(prompts) * common["samples"] > MAX_CHOICES:
        raise UserError(f"at most {MAX_CHOICES} answers to one request")
    return Asked(**common, prompts=prompts)


def _table(body: Any, *, needs: str) -> dict[str, Any]:
    """The keys that say something: null is as good as left out. Raises UserError."""
    if not isinstance(body, Mapping):
        raise UserError("the body is not a JSON object")
    said = {key: value for key, value in body.items() if value is not None and key not in IGNORED}
    for name, values in NEUTRAL.items():
        if name in said and said.pop(name) not in values:
            raise UserError(f"{name} is not supported by this server", hint=f"leave {name} out")
    known = (*OWN, *Options.model_fields)
    for name in said:
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near}?" if near else "leave it out"
            raise UserError(f"unknown parameter {name[:60]!r}", hint=hint)
    for name in ("model", needs):
        if name not in said:
            raise UserError(f"{name} is missing")
    if not isinstance(said["model"], str):
        raise UserError("model is not a text")
    return said


def _common(said: Mapping[str, Any], *, longest: int) -> dict[str, Any]:
    options = build(Options, {key: said[key] for key in said if key in Options.model_fields})
    most = options.max_completion_tokens or options.max_tokens or longest
    return {
        "model": said["model"],
        "samples": options.n,
        "seed": options.seed,
        "stream": options.stream,
        "include_usage": _include_usage(said.get("stream_options", {})),
        "params": SamplingParams(
            temperature=options.temperature,
            top_p=options.top_p,
            top_k=options.top_k if options.top_k > 0 else None,
            min_p=options.min_p,
            max_new_tokens=most,
            stop=_stops(said.get("stop", [])),
        ),
    }


def _include_usage(options: Any) -> bool:
    if not isinstance(options, Mapping):
        raise UserError("stream_options is not an object")
    return options.get("include_usage") is True


def _stops(stop: Any) -> tuple[str, ...]:
    stops = [stop] if isinstance(stop, str) else stop
    good = isinstance(stops, list) and all(
        isinstance(text, str) and 0 < len(text) <= MAX_STOP_CHARS for text in stops
    )
    if not good or len(stops) > MAX_STOPS:
        raise UserError(
            f"stop is a text or a list of up to {MAX_STOPS}, "
            f"each of 1 to {MAX_STOP_CHARS} characters"
        )
    return tuple(dict.fromkeys(stops))


def _messages(messages: Any) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(messages, list) or not messages:
        raise UserError("messages is not a list of at least one message")
    read = tuple(_message(number, message) for number, message in enumerate(messages))
    if read[-1]["role"] not in ("user", "tool"):
        raise UserError("the last message is not the user's", hint="end with a question")
    return read


def _message(number: int, message: Any) -> dict[str, Any]:
    """Role and content; of an assistant's turn what follows its thoughts, as DeepSeek has it."""
    where = f"messages[{number}]"
    role = message.get("role") if isinstance(message, Mapping) else None
    if role not in ROLES:
        raise UserError(f"{where}: the role is none of {', '.join(ROLES)}")
    if message.get("tool_calls"):
        raise UserError(f"{where}: tool calls are not supported by this server")
    content = _text(message.get("content"), where, may_be_empty=role == "assistant")
    if role == "assistant":
        content = drop_reasoning(content)
    return {"role": "system" if role == "developer" else role, "content": content}


def _text(content: Any, where: str, *, may_be_empty: bool) -> str:
    """The text of a message, which may come in parts."""
    if content is None and may_be_empty:
        return ""
    if isinstance(content, list):
        parts = [part if isinstance(part, Mapping) else {} for part in content]
        if any(p.get("type") != "text" or not isinstance(p.get("text"), str) for p in parts):
            raise UserError(f"{where}: only parts of type text are read")
        content = "".join(part["text"] for part in parts)
    if not isinstance(content, str):
        raise UserError(f"{where}: the content is not a text")
    return clean(content)


def clean(text: str) -> str:
    """Without lone surrogates, which JSON can say and no tokenizer takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _template_kwargs(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Variables of the chat template; `thinking` sets the ones that templates ask for."""
    given = said.get("chat_template_kwargs", {})
    if not isinstance(given, Mapping):
        raise UserError("chat_template_kwargs is not an object")
    reserved = [name for name in given if name in ("messages", "add_generation_prompt", "tools")]
    if reserved:
        raise UserError(f"chat_template_kwargs cannot set {reserved[0]}")
    if "thinking" not in said:
        return given
    thinking = said["thinking"]
    kind = thinking.get("type") if isinstance(thinking, Mapping) else None
    if kind not in ("enabled", "disabled"):
        raise UserError('thinking is {"type": "enabled"} or {"type": "disabled"}')
    return {"enable_thinking": kind == "enabled", "thinking": kind == "enabled", **given}


def _prompts(prompt: Any) -> tuple[str | tuple[int, ...], ...]:
    """One or several texts, or one or several lists of token ids."""
    if isinstance(prompt, str) or _are_ids(prompt):
        prompt = [prompt]
    good = isinstance(prompt, list) and prompt
    if not good or not all(isinstance(p, str) or _are_ids(p) for p in prompt):
        raise UserError("prompt is a text, a list of token ids, or a list of such")
    return tuple(clean(p) if isinstance(p, str) else tuple(p) for p in prompt)


def _are_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(token) is int for token in value)
