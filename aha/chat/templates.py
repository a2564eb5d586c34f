"""From a question to the prompt that a model continues."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from aha.errors import UserError, nearest

if TYPE_CHECKING:
    import jinja2

QUESTION = "{question}"
"""Placeholder of a template text; replaced literally, so braces in a question mean nothing."""

# arXiv 2501.12948v1, Table 1, word for word; the red "prompt" of the paper is the placeholder.
R1_ZERO_TEMPLATE = (
    "A conversation between User and Assistant. The user asks a question, and the Assistant solves"
    " it. The assistant first thinks about the reasoning process in the mind and then provides the"
    " user with the answer. The reasoning process and answer are enclosed within <think> </think>"
    " and <answer> </answer> tags, respectively, i.e., <think> reasoning process here </think>"
    " <answer> answer here </answer>. User: {question}. Assistant:"
)

TEMPLATES = ("chat", "custom", "none", "r1-zero")

# Chat templates for models that have none. Like R1's they drop the reasoning of past turns. What
# the assistant says starts with a space in the plain one: tokenizers know words by it.
PLAIN_CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ 'User: ' + message['content'] + ' ' }}"
    "{% elif message['role'] == 'assistant' %}{{ 'Assistant: '"
    " + message['content'].split('</think>')[-1].strip() + eos_token + '\\n' }}"
    "{% else %}{{ message['content'] + '\\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")
CHATML_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['role'] == 'assistant' %}"
    "{{ message['content'].split('</think>')[-1].strip() }}"
    "{% else %}{{ message['content'] }}{% endif %}"
    "{{ '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

# A prompt must not change with the calendar (same config, same bytes), yet some chat templates ask
# for the date. This is the day that Llama 3's template takes when it is given none.
TEMPLATE_DATE = date(2024, 7, 26)

Message = Mapping[str, Any]


class HasChatTemplate(Protocol):
    """What a tokenizer contributes to a prompt."""

    @property
    def chat_template(self) -> str | None: ...

    def special_token(self, name: str) -> str | None:
        """The text of `bos_token`, `eos_token`."""


def render_prompt(
    template: str,
    question: str,
    tokenizer: HasChatTemplate | None = None,
    *,
    chat_template: str | None = None,
    template_text: str | None = None,
    system: str | None = None,
    chat_template_kwargs: Mapping[str, Any] | None = None,
) -> str:
    """The prompt for one question.

    `template`: "r1-zero" (the paper's), "chat" (a Hugging Face chat template: `chat_template`, else
    the tokenizer's), "none" (the question alone) or "custom" (`template_text` around `{question}`).
    `system` and `chat_template_kwargs` (as `enable_thinking`) belong to "chat" only.
    """
    if template not in TEMPLATES:
        raise UserError(f"unknown prompt template {template!r}", hint=_template_hint(template))
    if template != "chat" and system is not None:
        raise UserError(
            f"prompt template {template!r} has no place for a system prompt",
            hint="use the template 'chat', or write the text into a custom template",
        )
    if template == "chat":
        turns = [{"role": "system", "content": system}] if system is not None else []
        return render_chat(
            [*turns, {"role": "user", "content": question}],
            tokenizer,
            chat_template=chat_template,
            chat_template_kwargs=chat_template_kwargs,
        )
    if template == "none":
        return question
    text = R1_ZERO_TEMPLATE if template == "r1-zero" else _checked_text(template_text)
    return text.replace(QUESTION, question)


def render_turns(
    template: str,
    messages: Sequence[Message],
    tokenizer: HasChatTemplate | None = None,
    *,
    chat_template_kwargs: Mapping[str, Any] | None = None,
) -> str:
    """The prompt for a conversation that ends with the user. Templates but "chat" take one turn."""
    if template == "chat":
        return render_chat(messages, tokenizer, chat_template_kwargs=chat_template_kwargs)
    if len(messages) > 1:
        raise UserError(
            f"the template {template} has no turns and no system prompt: "
            "it takes one message of the user",
            hint="the template chat takes conversations, where the model has a chat template",
        )
    return render_prompt(template, messages[0]["content"], tokenizer)


def render_chat(
    messages: Sequence[Message],
    tokenizer: HasChatTemplate | None = None,
    *,
    chat_template: str | None = None,
    add_generation_prompt: bool = True,
    tools: Sequence[Mapping[str, Any]] | None = None,
    chat_template_kwargs: Mapping[str, Any] | None = None,
) -> str:
    """A conversation by a Hugging Face chat template (jinja, run in a sandbox)."""
    source = chat_template or (tokenizer.chat_template if tokenizer else None)
    if source is None:
        raise UserError(
            "this model has no chat template",
            hint="use the prompt template 'r1-zero', or one of your own ('custom')",
        )
    variables = {
        "messages": [dict(message) for message in messages],
        "add_generation_prompt": add_generation_prompt,
        "tools": tools,
        "bos_token": (tokenizer and tokenizer.special_token("bos_token")) or "",
        "eos_token": (tokenizer and tokenizer.special_token("eos_token")) or "",
        **(chat_template_kwargs or {}),
    }
    try:
        return _compile(source).render(variables)
    except Exception as error:  # the template is the user's data: whatever it raises is theirs
        line = str(error).partition("\n")[0]
        raise UserError(
            f"the chat template fails: {type(error).__name__}: {line}",
            hint="check chat_template in tokenizer_config.json, or chat_template.jinja",
        ) from error


def builtin_chat_template(has_token: Callable[[str], bool]) -> str:
    """For a model without a chat template: ChatML if its tokenizer has the tokens, else plain."""
    return CHATML_TEMPLATE if all(map(has_token, CHATML_TOKENS)) else PLAIN_CHAT_TEMPLATE


def _template_hint(name: str) -> str:
    known = nearest(name, TEMPLATES)
    return f"did you mean {known!r}?" if known else "known: " + ", ".join(TEMPLATES)


def _checked_text(template_text: str | None) -> str:
    if template_text is None:
        raise UserError("prompt template 'custom' needs a template text")
    if QUESTION not in template_text:
        raise UserError(
            f"the template text does not contain {QUESTION}",
            hint=f"write {QUESTION} where the question goes",
        )
    return template_text


@lru_cache(maxsize=16)
def _compile(source: str) -> "jinja2.Template":
    return _environment().from_string(source)


@lru_cache(maxsize=1)
def _environment() -> "jinja2.Environment":
    """Jinja as chat templates expect it (the names are those of transformers)."""
    import json

    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def raise_exception(message: str) -> None:
        raise jinja2.TemplateError(message)

    def tojson(value: Any, indent: int | None = None, **options: Any) -> str:
        return json.dumps(value, ensure_ascii=False, indent=indent, **options)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols", _generation_tag()],
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = TEMPLATE_DATE.strftime
    return environment


def _generation_tag() -> "type[jinja2.ext.Extension]":
    """`{% generation %}` marks the assistant's text for loss masks; here it is only passed over."""
    from jinja2 import nodes
    from jinja2.ext import Extension
    from jinja2.parser import Parser

    class GenerationTag(Extension):
        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Parser) -> nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    return GenerationTag
