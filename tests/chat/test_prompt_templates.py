"""Prompts: the paper's template word for word, chat templates, the user's own text."""

from typing import Any

import pytest

from aha.chat.templates import R1_ZERO_TEMPLATE, render_chat, render_prompt
from aha.errors import UserError

PAPER = (
    "A conversation between User and Assistant. The user asks a question, and the Assistant solves "
    "it. The assistant first thinks about the reasoning process in the mind and then provides the "
    "user with the answer. The reasoning process and answer are enclosed within <think> </think> "
    "and <answer> </answer> tags, respectively, i.e., <think> reasoning process here </think> "
    "<answer> answer here </answer>. User: prompt. Assistant:"
)  # arXiv 2501.12948v1, Table 1

CHATML = (
    "{% for message in messages %}\n"
    "<|im_start|>{{ message.role }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}\n"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class FakeTokenizer:
    def __init__(self, chat_template: str | None):
        self.chat_template = chat_template

    def special_token(self, name: str) -> str | None:
        return {"bos_token": "<s>"}.get(name)


def test_r1_zero_is_the_table_of_the_paper():
    assert render_prompt("r1-zero", "prompt") == PAPER
    assert R1_ZERO_TEMPLATE.count("{question}") == 1


@pytest.mark.parametrize(
    "question", ["{a} {{b}} {question} {0}", "{% raw %}{{ messages }}", "", "{"]
)
def test_a_question_survives_as_it_is(question: str):
    assert render_prompt("none", question) == question
    assert render_prompt("r1-zero", question) == PAPER.replace("prompt", question)
    assert (
        render_prompt("custom", question, template_text="Q: {question} {x}")
        == f"Q: {question} {{x}}"
    )
    chat = render_prompt("chat", question, chat_template="{{ messages[0].content }}|")
    assert chat == question + "|"


def test_chat_template_of_the_tokenizer():
    text = render_prompt("chat", "2+2?", FakeTokenizer(CHATML), system="Be brief.")
    assert text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n2+2?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_a_given_chat_template_wins_over_the_tokenizer():
    text = render_prompt(
        "chat", "q", FakeTokenizer("no"), chat_template="{{ bos_token }}{{ eos_token }}."
    )
    assert text == "<s>."


def test_render_chat_passes_turns_tools_and_options():
    source = "{{ messages | length }} {{ tools | tojson }} {{ enable_thinking }} {{ bos_token }}|"
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    text = render_chat(
        turns,
        chat_template=source,
        tools=[{"name": "\u00e9<"}],
        chat_template_kwargs={"enable_thinking": False},
    )
    assert text == '2 [{"name": "\u00e9<"}] False |'
    closed = render_chat(turns[:1], chat_template=CHATML, add_generation_prompt=False)
    assert closed == "<|im_start|>user\na<|im_end|>\n"


def test_what_templates_of_known_models_use():
    source = (
        "{%- for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}"
        "{% break %}{% endfor %} {{ strftime_now('%d %b %Y') }}"
    )
    assert render_prompt("chat", "a", chat_template=source) == "a 26 Jul 2024"


@pytest.mark.parametrize(
    ("kwargs", "message", "hint"),
    [
        ({"template": "r1zero"}, "unknown prompt template 'r1zero'", "did you mean 'r1-zero'?"),
        ({"template": "?"}, "unknown prompt template '?'", "known: chat, custom, none, r1-zero"),
        ({"template": "chat"}, "this model has no chat template", "use the prompt template"),
        ({"template": "custom"}, "prompt template 'custom' needs a template text", ""),
        ({"template": "custom", "template_text": "{q}"},
         "the template text does not contain {question}", "write {question} where"),
        ({"template": "r1-zero", "system": "s"},
         "prompt template 'r1-zero' has no place for a system prompt", "use the template 'chat'"),
        ({"template": "chat", "chat_template": "{{ raise_exception('no system role') }}"},
         "the chat template fails: TemplateError: no system role", "check chat_template"),
        ({"template": "chat", "chat_template": "{% if %}"},
         "the chat template fails: TemplateSyntaxError: Expected", "check chat_template"),
        ({"template": "chat", "chat_template": "{{ ''.__class__.__mro__[1].__subclasses__() }}"},
         "the chat template fails: SecurityError:", "check chat_template"),
        ({"template": "chat", "chat_template": "{{ messages.append(1) }}"},
         "the chat template fails: SecurityError:", "check chat_template"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line(kwargs: dict[str, Any], message: str, hint: str):
    with pytest.raises(UserError) as caught:
        render_prompt(kwargs.pop("template"), "q", **kwargs)
    assert caught.value.message.startswith(message)
    assert (caught.value.hint or "").startswith(hint)
    assert "\n" not in caught.value.message


def test_no_chat_template_in_the_tokenizer():
    with pytest.raises(UserError, match="no chat template"):
        render_prompt("chat", "q", FakeTokenizer(None))
