"""What a request says, and what is wrong with it."""

import pytest

from aha.engine.types import SamplingParams
from aha.errors import UserError
from aha.serve.api_request import COMPLETION_TOKENS, read_chat, read_completion

ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
TEXT = {"model": "m", "prompt": "hi"}


def chat(**more):
    return read_chat({**ASK, **more}, context_tokens=99)


def contents(*messages):
    return [(m["role"], m["content"]) for m in chat(messages=list(messages)).messages]


def test_defaults_are_openais():
    asked = chat()
    assert asked.params == SamplingParams(temperature=1.0, top_p=1.0, max_new_tokens=99)
    assert (asked.samples, asked.seed, asked.stream, asked.include_usage) == (1, None, False, False)
    assert read_completion(TEXT).params.max_new_tokens == COMPLETION_TOKENS == 16


def test_parameters_arrive():
    numbers = {"temperature": 0, "top_p": 0.9, "top_k": 7, "min_p": 0.1, "max_tokens": 5}
    streamed = {"stream": True, "stream_options": {"include_usage": True}}
    asked = chat(**numbers, n=3, seed=-1, stop=["a", "b", "a"], **streamed)
    assert asked.params == SamplingParams(
        temperature=0.0, top_p=0.9, top_k=7, min_p=0.1, max_new_tokens=5, stop=("a", "b")
    )
    assert (asked.samples, asked.seed, asked.stream, asked.include_usage) == (3, -1, True, True)
    assert chat(max_tokens=5, max_completion_tokens=6).params.max_new_tokens == 6
    assert chat(top_k=-1).params.top_k is chat(top_k=0).params.top_k is None
    assert chat(stop="x").params.stop == ("x",)


def test_null_is_as_good_as_left_out_and_neutral_values_ask_for_nothing():
    nothing = {"temperature": None, "stop": None, "seed": None, "tools": [], "logprobs": False}
    more = {"user": "me", "presence_penalty": 0, "response_format": {"type": "text"}}
    assert chat(**nothing, **more, tool_choice="auto") == chat()


def test_thoughts_of_earlier_turns_are_left_out():
    user = {"role": "user", "content": "q"}
    thought = "<think>\nsecret\n</think>\n\nfour"
    kept = {"role": "assistant", "content": thought, "reasoning_content": "x"}
    assert contents(user, kept, user) == [("user", "q"), ("assistant", "four"), ("user", "q")]


def test_forms_of_content():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    system = {"role": "developer", "content": "s"}
    silent = {"role": "assistant", "content": None}
    first, last = {"role": "user", "content": parts}, {"role": "user", "content": "\ud800x"}
    said = contents(system, first, silent, last)
    assert said == [("system", "s"), ("user", "ab"), ("assistant", ""), ("user", "?x")]


def test_thinking_sets_what_templates_ask_for():
    off = {"enable_thinking": False, "thinking": False}
    assert chat(thinking={"type": "disabled"}).template_kwargs == off
    both = chat(thinking={"type": "enabled"}, chat_template_kwargs={"thinking": False, "x": 1})
    assert both.template_kwargs == {"enable_thinking": True, "thinking": False, "x": 1}


@pytest.mark.parametrize(("prompt", "expected"), [
    ("a", ("a",)), (["a", "b"], ("a", "b")), ([1, 2], ((1, 2),)), ([[1], [2, 3]], ((1,), (2, 3))),
])  # fmt: skip
def test_forms_of_a_prompt(prompt, expected):
    assert read_completion({"model": "m", "prompt": prompt}).prompts == expected


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"temperature": -0.1}, "temperature = -0.1 is not a number >= 0 and <= 5"),
        ({"temperature": "hot"}, "temperature = 'hot' is not a number"),
        ({"temperature": True}, "temperature = True is not a number"),
        ({"top_p": 0}, "top_p = 0 is not"),
        ({"max_tokens": 0}, "max_tokens = 0 is not"),
        ({"max_tokens": 1.5}, "max_tokens = 1.5 is not"),
        ({"n": 129}, "n = 129 is not an integer >= 1 and <= 128"),
        ({"seed": "x"}, "seed = 'x' is not"),
        ({"stream": 1}, "stream = 1 is not true or false"),
        ({"stop": [""]}, "stop is a text or a list of up to 16"),
        ({"stop": 3}, "stop is a text or a list of up to 16"),
        ({"temprature": 1}, "unknown parameter 'temprature'"),
        ({"tools": [{"type": "function"}]}, "tools is not supported"),
        ({"logprobs": True}, "logprobs is not supported"),
        ({"presence_penalty": 0.5}, "presence_penalty is not supported"),
        ({"messages": []}, "messages is not a list"),
        ({"messages": "hi"}, "messages is not a list"),
        ({"messages": ["hi"]}, "messages[0]: the role is none of"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0]: the role is none of"),
        ({"messages": [{"role": "user"}]}, "messages[0]: the content is not a text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "only parts of type",
        ),
        (
            {"messages": [{"role": "assistant", "content": "x"}]},
            "the last message is not the user's",
        ),
        ({"thinking": True}, "thinking is"),
        ({"chat_template_kwargs": {"messages": []}}, "cannot set messages"),
        ({"stream_options": []}, "stream_options is not an object"),
        ({"prompt": "x"}, "a chat has messages"),
        ({"model": None}, "model is missing"),
        ({"model": 3}, "model is not a text"),
    ],
)
def test_a_bad_request_is_named(more, message):
    with pytest.raises(UserError) as error:
        chat(**more)
    assert message in error.value.message


@pytest.mark.parametrize("body", [None, [], "x", 3])
def test_a_body_is_an_object(body):
    with pytest.raises(UserError, match="not a JSON object"):
        read_chat(body, context_tokens=9)


@pytest.mark.parametrize("prompt", [[], [[]], [1, "a"], {"a": 1}, [[1.5]], 3])
def test_a_bad_prompt_is_named(prompt):
    with pytest.raises(UserError, match="prompt is a text"):
        read_completion({"model": "m", "prompt": prompt})


def test_the_nearest_name_is_told():
    with pytest.raises(UserError) as error:
        chat(temprature=1)
    assert error.value.hint == "did you mean temperature?"
    with pytest.raises(UserError, match="at most 128"):
        read_completion({"model": "m", "prompt": ["a"] * 65, "n": 2})
