"""The chat loop, driven by a make-believe model and once by a real engine."""

import io

import pytest
import tokenizers
import torch
from rich.console import Console

from aha.chat import terminal
from aha.chat.terminal import EngineGenerate, chat_loop, plain, resolve_chat_model
from aha.errors import UserError
from aha.model.config import ModelConfig
from aha.model.decoder import Decoder
from aha.model.hf_folder import save_model
from aha.model.tokenizer import Tokenizer

CHAT_TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant] <think>\n{% endif %}"
)


class FakeTokenizer:
    def __init__(self, chat_template=None):
        self.chat_template = chat_template

    def special_token(self, name):
        return None


class FakeModel:
    """Answers in the given pieces, of which exceptions are raised, and keeps the prompts."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.prompts, self.temperatures = [], []

    def __call__(self, prompt, *, temperature, max_new_tokens):
        self.prompts.append(prompt)
        self.temperatures.append(temperature)
        for piece in self.answers.pop(0):
            if not isinstance(piece, str):
                raise piece
            yield piece


def talk(model, lines, *, colour=False, **options):
    """What the terminal shows after these lines."""
    console = Console(
        file=io.StringIO(), width=100, highlight=False, color_system="standard" if colour else None,
        force_terminal=colour, no_color=None if not colour else False, soft_wrap=True,
    )  # fmt: skip
    remaining = iter(lines)

    def read():
        line = next(remaining, EOFError)
        if isinstance(line, type):
            raise line
        return line

    options = {"template": "r1-zero", "input_fn": read, "console": console} | options
    chat_loop("model", generate=model, **options)
    return console.file.getvalue()


def body(shown):
    """Without the line that greets."""
    return shown.partition("\n")[2]


R1_ZERO = ["<thi", "nk> 1 + 1", " = 2. </think> <answer>", " 2 </answer>"]


def test_thought_and_answer_are_printed_without_their_tags():
    model = FakeModel(R1_ZERO)
    assert body(talk(model, ["What is 1 + 1?"])) == "1 + 1 = 2. \n\n2 \n"
    assert model.prompts[0].endswith("User: What is 1 + 1?. Assistant:")
    assert model.temperatures == [0.6]


def test_thinking_is_dim_and_the_answer_is_bright():
    shown = talk(FakeModel(R1_ZERO), ["hi"], colour=True)
    assert "\x1b[2m1 + 1\x1b[0m" in shown
    assert "\x1b[1m2 \x1b[0m" in shown


def test_thinking_can_be_hidden():
    assert body(talk(FakeModel(R1_ZERO), ["hi"], show_thinking=False)) == "2 \n"


def test_text_appears_while_it_is_generated():
    console = Console(file=io.StringIO(), color_system=None)
    seen = []

    def slow(prompt, *, temperature, max_new_tokens):
        for piece in ("<think>a", "b</think>", "c"):
            yield piece
            seen.append(console.file.getvalue().partition("\n")[2])

    lines = iter(["hi"])

    def read():
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    chat_loop("m", generate=slow, template="r1-zero", input_fn=read, console=console)
    assert seen == ["a", "ab", "ab\n\nc"]


def test_a_conversation_goes_on_without_earlier_thoughts():
    model = FakeModel(["secret</think>\n\nHello"], ["x</think>ok"])
    talk(model, ["Hi", "And?"], template=None, tokenizer=FakeTokenizer(CHAT_TEMPLATE))
    assert model.prompts == [
        "[user] Hi\n[assistant] <think>\n",
        "[user] Hi\n[assistant] Hello\n[user] And?\n[assistant] <think>\n",
    ]


def test_the_prompt_of_the_template_opens_the_thought():
    model = FakeModel(["hidden</think>\n\nshown"])
    shown = talk(model, ["Hi"], template=None, tokenizer=FakeTokenizer(CHAT_TEMPLATE),
                 show_thinking=False)  # fmt: skip
    assert body(shown) == "shown\n"


def test_without_a_chat_template_questions_stand_alone():
    model = FakeModel(["a"], ["b"])
    shown = talk(model, ["one", "two", "/help"], template=None, tokenizer=FakeTokenizer())
    assert "one" not in model.prompts[1]
    assert model.prompts[1].startswith("A conversation between User and Assistant.")
    assert "each question stands alone" in shown


def test_reset_forgets():
    model = FakeModel(["a"], ["b"])
    talk(model, ["one", "/reset", "two"], template=None, tokenizer=FakeTokenizer(CHAT_TEMPLATE))
    assert model.prompts[1] == "[user] two\n[assistant] <think>\n"


def test_the_temperature_is_set_and_checked():
    model = FakeModel(["a"], ["b"])
    lines = ["/temperature 0", "x", "/temperature hot", "/temperature -1", "/temperature 9",
             "/temperature nan", "y"]  # fmt: skip
    shown = talk(model, lines)
    assert model.temperatures == [0.0, 0.0]
    assert shown.count("the temperature is a number from 0 to 5") == 4


def test_commands():
    shown = talk(FakeModel(), ["/help", "/rest", "/nonsense", "", "  ", "/exit", "never read"])
    assert "/temperature X" in shown
    assert "unknown command /rest; did you mean /reset?" in shown
    assert "unknown command /nonsense; /help lists them" in shown


def test_ctrl_c_stops_the_answer_and_not_the_program():
    model = FakeModel(["par", KeyboardInterrupt], ["whole"])
    shown = talk(model, ["one", "two"], template=None, tokenizer=FakeTokenizer(CHAT_TEMPLATE))
    assert "par\nstopped\n" in shown
    assert "whole" in shown
    assert "one" not in model.prompts[1]


def test_ctrl_c_twice_at_the_prompt_leaves():
    assert "again" in talk(FakeModel(), [KeyboardInterrupt, KeyboardInterrupt, "never"])
    model = FakeModel(["a"], ["b"])
    talk(model, [KeyboardInterrupt, "one", KeyboardInterrupt, "two"])
    assert len(model.prompts) == 2


def test_a_question_that_does_not_fit_is_said_and_survived():
    model = FakeModel([UserError("too long", hint="shorten it")], ["fine"])
    shown = talk(model, ["long", "short"])
    assert "too long\nshorten it" in shown
    assert "fine" in shown


def test_a_model_cannot_control_the_terminal():
    hostile = "\x1b[31mred\x07 \x9bx \u202eevil \ud800 [bold]no markup[/bold] \U0001f600 \u4f60"
    shown = body(talk(FakeModel([hostile]), ["hi"]))
    assert shown == "[31mred x evil  [bold]no markup[/bold] \U0001f600 \u4f60\n"
    assert plain("a\nb\tc") == "a\nb\tc"


def test_piped_input_needs_no_terminal(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("one\n\ntwo\n"))
    chat_loop("m", generate=FakeModel(["<think>t</think>first"], ["second"]), template="r1-zero")
    assert capsys.readouterr().out == "t\n\nfirst\nsecond\n"


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    """A tiny random model over bytes."""
    folder = tmp_path_factory.mktemp("model")
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*alphabet, "<end>"])}
    backend = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, []))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = tokenizers.decoders.ByteLevel()
    backend.add_special_tokens(["<end>"])
    config = ModelConfig(
        vocab_size=257, hidden_size=16, intermediate_size=32, num_layers=1, num_heads=2,
        num_kv_heads=1, head_dim=8, max_positions=512, eos_token_ids=(256,),
    )  # fmt: skip
    model = Decoder(config)
    model.init_weights(torch.Generator().manual_seed(0))
    save_model(folder, model, Tokenizer(backend, eos_token="<end>"))
    return folder


def test_chunks_make_up_the_text_that_one_piece_would_be(model_folder, monkeypatch):
    def answer():
        generate = EngineGenerate(model_folder, seed=1)
        return list(generate("Hello", temperature=0.0, max_new_tokens=60))

    pieces = answer()
    monkeypatch.setattr(terminal, "_chunk_tokens", lambda num_written: 60)
    assert len(pieces) > 3
    assert "".join(pieces) == "".join(answer())


def test_answers_differ_and_end_with_the_context(model_folder):
    generate = EngineGenerate(model_folder, seed=1)
    first, second = (
        "".join(generate("x" * 500, temperature=1.0, max_new_tokens=99)) for _ in range(2)
    )
    assert first != second
    tokens = generate.tokenizer.encode(first)
    assert len(tokens) <= 40  # 12 bytes, a broken one is shown as three
    with pytest.raises(UserError, match="context"):
        list(generate("x" * 600, temperature=1.0, max_new_tokens=9))


def test_a_model_folder_is_talked_to(model_folder, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("What is 1 + 1?\n"))
    chat_loop(model_folder, max_new_tokens=12, template="none")
    assert capsys.readouterr().out.endswith("\n")


def test_a_run_directory_stands_for_its_newest_model(model_folder, tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UserError, match="no finished model"):
        resolve_chat_model(tmp_path)
    for stage in ("01-base-aa", "02-zero-bb"):
        (tmp_path / "stages" / stage / "model").mkdir(parents=True)
        (tmp_path / "stages" / stage / "model" / "config.json").write_text("{}")
    assert resolve_chat_model(tmp_path) == tmp_path / "stages" / "02-zero-bb" / "model"
    assert resolve_chat_model(model_folder) == model_folder
    with pytest.raises(UserError, match="no model folder"):
        resolve_chat_model("nowhere")
