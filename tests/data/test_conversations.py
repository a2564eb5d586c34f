"""Rows of a file as token ids with a loss mask."""

import json

import pytest
from tokenizers import AddedToken

from aha.chat.templates import CHATML_TEMPLATE, PLAIN_CHAT_TEMPLATE, render_chat
from aha.data.conversations import RowEncoder, fit_samples, load_samples
from aha.errors import UserError
from aha.model.tokenizer import Tokenizer
from aha.pipeline.ranks import Ranks
from aha.pipeline.sources import resolve_model
from tests.trainers.tiny import on_ranks, tiny_tokenizer

ONE = {
    "id": "q1",
    "messages": [
        {"role": "user", "content": "What is 2 + 3?"},
        {"role": "assistant", "content": "5", "reasoning_content": "Let me think."},
    ],
}
TWO = {
    "messages": [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hi."},
        *ONE["messages"],
    ]
}
TEXT = {"prompt": "What is 2 + 3? Assistant:", "response": " <answer> 5</answer>"}


def embedded() -> Tokenizer:
    return Tokenizer.from_folder(resolve_model("embedded"))


def chatml() -> Tokenizer:
    """The embedded tokenizer with the tokens of ChatML, which do not end a text yet."""
    tokenizer = embedded()
    tokens = [AddedToken(t, special=True) for t in ("<|im_start|>", "<|im_end|>")]
    tokenizer.backend.add_special_tokens(tokens)
    return tokenizer


def trained(sample, tokenizer) -> str:
    return tokenizer.decode(sample.tokens[sample.is_trained].tolist(), skip_special_tokens=False)


def write(path, *rows) -> object:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_the_mask_covers_what_the_assistant_says_and_the_end():
    tokenizer = embedded()
    (sample,) = RowEncoder(tokenizer).encode(ONE, "line 1")
    prompt = tokenizer.encode("User: What is 2 + 3? Assistant:")
    response = [*tokenizer.encode("<think> Let me think.</think> 5"), tokenizer.eos_token_id]
    assert sample.tokens.tolist() == prompt + response
    assert sample.is_trained.tolist() == [False] * len(prompt) + [True] * len(response)
    assert sample.num_trained == len(response)
    assert sample.id == "q1"


def test_the_mask_of_two_turns_covers_both_and_both_ends():
    tokenizer = embedded()
    (sample,) = RowEncoder(tokenizer).encode(TWO, "line 7")
    end = "<|endoftext|>"
    assert trained(sample, tokenizer) == f" Hi.{end}<think> Let me think.</think> 5{end}"
    whole = tokenizer.decode(sample.tokens.tolist(), skip_special_tokens=False)
    assert whole == (
        f"User: Hello. Assistant: Hi.{end}\nUser: What is 2 + 3? Assistant:"
        f"<think> Let me think.</think> 5{end}"
    )
    assert sample.id == "line 7"


def test_a_prompt_and_a_response():
    tokenizer = embedded()
    (sample,) = RowEncoder(tokenizer).encode(TEXT, "line 1")
    assert trained(sample, tokenizer) == TEXT["response"] + "<|endoftext|>"
    assert sample.tokens.tolist()[: -sample.num_trained] == tokenizer.encode(TEXT["prompt"])
    assert tokenizer.chat_template is None  # no conversation, no template


def test_a_model_without_a_template_gets_one_that_is_saved_with_it(tmp_path):
    tokenizer = embedded()
    RowEncoder(tokenizer).prepare_chat()
    tokenizer.write(tmp_path)
    saved = Tokenizer.from_folder(tmp_path)
    assert saved.chat_template == PLAIN_CHAT_TEMPLATE
    (sample,) = RowEncoder(saved).encode(ONE, "line 1")
    prompt = saved.encode(render_chat(ONE["messages"][:1], saved), with_bos=True)
    assert sample.tokens.tolist()[: len(prompt)] == prompt
    assert not sample.is_trained[: len(prompt)].any() and sample.is_trained[len(prompt) :].all()


def test_chatml_ends_a_turn_with_its_own_token_which_then_ends_a_text(tmp_path):
    tokenizer = chatml()
    end = tokenizer.token_to_id("<|im_end|>")
    assert end not in tokenizer.eos_token_ids
    (sample,) = RowEncoder(tokenizer).encode(TWO, "line 1")
    assert tokenizer.chat_template == CHATML_TEMPLATE
    assert sample.tokens[sample.is_trained].tolist().count(end) == 2
    assert trained(sample, tokenizer).startswith("Hi.<|im_end|><think>\n")
    tokenizer.write(tmp_path)
    assert end in Tokenizer.from_folder(tmp_path).eos_token_ids


def test_a_bos_token_stands_in_front_and_is_never_trained_on():
    backend = tiny_tokenizer().backend
    tokenizer = Tokenizer(
        backend, eos_token="<end>", bos_token="h", settings={"add_bos_token": True}
    )
    for prompt, expected in (("a", [9, 2, 3, 0]), ("", [9, 3, 0])):
        (sample,) = RowEncoder(tokenizer).encode({"prompt": prompt, "response": "b"}, "x")
        assert sample.tokens.tolist() == expected
        assert trained(sample, tokenizer) == "b <end>"


def test_samples_of_one_prompt_are_of_one_group():
    encoder = RowEncoder(embedded())
    again = {**ONE, "messages": [ONE["messages"][0], {"role": "assistant", "content": "6"}]}
    first, second, other = (encoder.encode(row, "x")[0] for row in (ONE, again, TEXT))
    assert first.group == second.group != other.group


def test_ranks_read_the_same_samples(tmp_path):
    path = write(tmp_path / "data.jsonl", TEXT, TEXT, TEXT, ONE, "", TWO)
    alone = load_samples(path, embedded(), Ranks())

    def on(ranks):
        tokenizer = embedded()
        return load_samples(path, tokenizer, ranks), tokenizer.chat_template

    for samples, template in on_ranks(3, on):
        assert template == PLAIN_CHAT_TEMPLATE  # also where no conversation was read
        assert [s.tokens.tolist() for s in samples] == [s.tokens.tolist() for s in alone]
        assert [s.id for s in samples] == ["line 1", "line 2", "line 3", "q1", "line 6"]


def test_long_samples_are_left_out_or_cut(tmp_path):
    samples = load_samples(write(tmp_path / "data.jsonl", ONE, TWO), embedded(), Ranks())
    short, long = (sample.num_tokens for sample in samples)
    kept, num_overlong = fit_samples(samples, max_tokens=short, cut=False)
    assert [s.num_tokens for s in kept] == [short] and num_overlong == 1
    kept, num_overlong = fit_samples(samples, max_tokens=short, cut=True)
    assert [s.num_tokens for s in kept] == [short, short] and num_overlong == 1
    assert kept[1].tokens.tolist() == samples[1].tokens[:short].tolist()
    kept, num_overlong = fit_samples(samples, max_tokens=4, cut=True)
    assert kept == [] and num_overlong == 2  # only prompts are left
    assert long > short


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: Expecting"),
        ("[1]", "line 2 is no JSON object"),
        ({"text": "hello"}, "line 2: a row needs messages"),
        ({"prompt": "a", "response": ""}, "line 2: a row needs messages"),
        ({"prompt": "a", "response": 5}, "line 2: a row needs messages"),
        ({"messages": [{"role": "user", "content": "a"}]}, "line 2: no assistant turn"),
        ({"messages": [{"role": "robot", "content": "a"}]}, "line 2: message 1 has the role"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(tmp_path, line, message):
    path = write(tmp_path / "data.jsonl", TEXT, line)
    with pytest.raises(UserError, match=message) as info:
        load_samples(path, embedded(), Ranks())
    assert str(path) in info.value.message and info.value.hint


def test_a_template_that_cannot_render_a_row_is_named_with_the_line(tmp_path):
    tokenizer = embedded()
    tokenizer.chat_template = (
        "{% if messages|length > 2 %}{{ raise_exception('one turn') }}{% endif %}"
    )
    tokenizer.chat_template += "{{ messages[-1].content }}"
    path = write(tmp_path / "data.jsonl", ONE, TWO)
    with pytest.raises(UserError, match=r"line 2: the chat template fails: .*one turn") as info:
        load_samples(path, tokenizer, Ranks())
    assert "chat_template" in info.value.hint


def test_no_rows_and_no_end_of_text(tmp_path):
    with pytest.raises(UserError, match="has no rows"):
        load_samples(write(tmp_path / "empty.jsonl", "", " "), embedded(), Ranks())
    with pytest.raises(UserError, match="cannot read"):
        load_samples(tmp_path / "nowhere.jsonl", embedded(), Ranks())
    with pytest.raises(UserError, match="no end-of-text token"):
        RowEncoder(Tokenizer(tiny_tokenizer().backend))
