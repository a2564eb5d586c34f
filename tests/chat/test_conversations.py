"""Conversations as they are trained on: the same text that the model will see and say."""

import pytest

from aha.chat.conversations import (
    Message,
    Piece,
    find_end_of_turn,
    read_messages,
    response_text,
    training_samples,
)
from aha.chat.templates import (
    CHATML_TEMPLATE,
    PLAIN_CHAT_TEMPLATE,
    builtin_chat_template,
    render_chat,
)
from aha.errors import UserError

R1_LIKE = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '<U>' + m['content'] }}"
    "{% elif m['role'] == 'system' %}{{ m['content'] }}{% else %}"
    "{{ '<A>' + m['content'].split('</think>')[-1] + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<A><think>\\n' }}{% endif %}"
)
"""The shape of R1's: the generation prompt opens the think block."""


class FakeTokenizer:
    def __init__(self, chat_template: str):
        self.chat_template = chat_template

    def special_token(self, name: str) -> str | None:
        return {"bos_token": "<s>", "eos_token": "<end>"}.get(name)


PLAIN, CHATML, R1 = map(FakeTokenizer, (PLAIN_CHAT_TEMPLATE, CHATML_TEMPLATE, R1_LIKE))


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str, reasoning: str | None = None) -> dict[str, str | None]:
    return {"role": "assistant", "content": text, "reasoning_content": reasoning}


def marked(pieces: list[Piece], end: str) -> str:
    return "".join(f"[{p.text}{end}]" if p.is_trained else p.text for p in pieces)


def samples(messages, tokenizer, end):
    found = training_samples(read_messages(messages), tokenizer, end_of_turn=end)
    return [marked(pieces, end) for pieces in found]


ONE = [user("2+3?"), assistant("5", "2 and 3.")]
TWO = [{"role": "system", "content": "Be kind."}, user("Hi"), assistant("Hello"), *ONE]
THINKS_TWICE = [user("1+1?"), assistant("2", "Easy."), *ONE]


@pytest.mark.parametrize(
    ("tokenizer", "end", "text"),
    [
        (PLAIN, "<end>", "User: 2+3? Assistant:[<think> 2 and 3.</think> 5<end>]"),
        (
            CHATML,
            "<|im_end|>",
            "<|im_start|>user\n2+3?<|im_end|>\n<|im_start|>assistant\n"
            "[<think>\n2 and 3.\n</think>\n\n5<|im_end|>]",
        ),
        (R1, "<end>", "<s><U>2+3?<A><think>\n[2 and 3.\n</think>\n\n5<end>]"),
    ],
)
def test_one_turn(tokenizer, end, text):
    assert samples(ONE, tokenizer, end) == [text]
    assert find_end_of_turn(tokenizer) == end


def test_turns_that_stay_as_they_were_said_share_a_sample():
    assert samples(TWO, PLAIN, "<end>") == [
        "Be kind.\nUser: Hi Assistant:[ Hello<end>]\n"
        "User: 2+3? Assistant:[<think> 2 and 3.</think> 5<end>]"
    ]
    (text,) = samples(TWO, CHATML, "<|im_end|>")
    assert text.count("[") == 2 and "assistant\n[Hello<|im_end|>]\n<|im_start|>user" in text


def test_a_turn_whose_reasoning_is_dropped_later_has_a_sample_of_its_own():
    assert samples(THINKS_TWICE, PLAIN, "<end>") == [
        "User: 1+1? Assistant:[<think> Easy.</think> 2<end>]",
        "User: 1+1? Assistant: 2<end>\nUser: 2+3? Assistant:[<think> 2 and 3.</think> 5<end>]",
    ]
    first, second = samples(TWO, R1, "<end>")  # "<think>" of the prompt is not in the past
    assert first == "<s>Be kind.<U>Hi<A><think>\n[\n</think>\n\nHello<end>]"
    assert second.startswith("<s>Be kind.<U>Hi<A>Hello<end><U>2+3?<A><think>\n[2 and 3.")


@pytest.mark.parametrize("tokenizer", [PLAIN, CHATML, R1])
@pytest.mark.parametrize("messages", [ONE, TWO, THINKS_TWICE])
def test_the_prompt_is_the_one_that_is_generated_from(tokenizer, messages):
    found = training_samples(read_messages(messages), tokenizer, end_of_turn="<end>")
    past = [{"role": m["role"], "content": m["content"]} for m in messages[:-1]]
    *before, response = found[-1]
    untrained = "".join(p.text + "<end>" * p.is_trained for p in before)
    if tokenizer is CHATML:
        untrained = untrained.replace("<end>", "<|im_end|>")
    assert untrained == render_chat(past, tokenizer)
    assert response.is_trained
    num_trained = sum(piece.is_trained for pieces in found for piece in pieces)
    assert num_trained == sum(message["role"] == "assistant" for message in messages)


def test_reasoning_in_the_content_is_the_same_as_beside_it():
    inside = read_messages([user("a"), assistant("<think>\nb c\n</think>\n\nd")])
    beside = read_messages([user("a"), assistant("d", "b c")])
    assert inside == beside == [
        Message(role="user", content="a"),
        Message(role="assistant", content="d", reasoning="b c"),
    ]  # fmt: skip


def test_an_empty_think_block_where_the_prompt_has_opened_it():
    answer = Message(role="assistant", content="Hello")
    assert response_text(answer, "x<think>") == "\n\n</think>\n\nHello"
    assert response_text(answer, "x<think>\n") == "\n</think>\n\nHello"
    assert response_text(answer, "x") == "Hello"


def test_a_tokenizer_with_the_tokens_of_chatml_gets_chatml():
    assert builtin_chat_template({"<|im_start|>", "<|im_end|>"}.__contains__) == CHATML_TEMPLATE
    assert builtin_chat_template({"<|im_end|>"}.__contains__) == PLAIN_CHAT_TEMPLATE


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "no list of messages"),
        ("hello", "no list of messages"),
        ([user("a")], "no assistant turn"),
        ([{"role": "tool", "content": "a"}], "message 1 has the role 'tool'"),
        ([assistant("a")], "message 1 is of the assistant, expected system or user"),
        ([user("a"), user("b")], "message 2 is of the user, expected assistant"),
        ([user("a"), assistant("b"), assistant("c")], "message 3 is of the assistant"),
        ([user("a"), {"role": "system", "content": "b"}], "message 2 is of the system"),
        ([user("a"), {"role": "assistant"}], "message 2 has no content"),
        ([user("a"), {"role": "assistant", "content": None}], "message 2 has no content"),
        ([user("a"), assistant(" ")], "the assistant says nothing"),
        ([user("a"), assistant("<think>b</think>")], "the assistant says nothing"),
        ([{**user("a"), "reasoning_content": "b"}, assistant("c")], "reasoning_content"),
        ([user("a"), "b"], "message 2 has no content"),
    ],
)
def test_wrong_messages_are_the_users_error(messages, message):
    with pytest.raises(UserError, match=message) as info:
        read_messages(messages)
    assert info.value.hint
