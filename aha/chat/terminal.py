"""`aha chat`: a conversation in the terminal; thoughts dimmed, answers bright, as they are written.

The loop knows neither models nor tokens: it asks a `Generate` for pieces of text. `EngineGenerate`
is the one that runs a model folder; tests bring their own.
"""

import contextlib
import io
import re
import secrets
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.text import Text

from aha.chat.grammar import ReasoningStream, drop_reasoning, ends_in_open_think
from aha.chat.templates import HasChatTemplate, Message, render_chat, render_prompt
from aha.errors import UserError, nearest

COMMANDS = {
    "/help": "this list",
    "/reset": "forget the conversation",
    "/temperature X": "how freely tokens are drawn; 0 is greedy",
    "/exit": "leave (as do Ctrl-D and the end of the input)",
}
MAX_TEMPERATURE = 5.0
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
FIRST_CHUNK_TOKENS = 8
CHUNK_FRACTION = 8
"""A chunk is 8 tokens, later an eighth of what has been written: each one reads its prompt anew."""


class Generate(Protocol):
    """Continues a prompt, piece by piece."""

    def __call__(
        self, prompt: str, *, temperature: float, max_new_tokens: int
    ) -> Iterator[str]: ...


@dataclass(slots=True)
class Session:
    """A conversation: what has been said and how the next prompt looks."""

    template: str
    tokenizer: HasChatTemplate | None
    temperature: float
    messages: list[Message] = field(default_factory=list)

    def prompt(self, question: str) -> str:
        """The prompt for the next question; templates without turns know only that one."""
        if self.template != "chat":
            return render_prompt(self.template, question, self.tokenizer)
        return render_chat([*self.messages, {"role": "user", "content": question}], self.tokenizer)

    def remember(self, question: str, response: str) -> None:
        """Keep a turn without its reasoning, as reasoning models are served."""
        if self.template == "chat":
            self.messages += [
                {"role": "user", "content": question},
                {"role": "assistant", "content": drop_reasoning(response)},
            ]


def chat_loop(
    model_path: str | Path,
    *,
    template: str | None = None,
    temperature: float = 0.6,
    max_new_tokens: int = 1024,
    show_thinking: bool = True,
    input_fn: Callable[[], str] | None = None,
    console: Console | None = None,
    generate: Generate | None = None,
    tokenizer: HasChatTemplate | None = None,
) -> None:
    """Talk to a model folder, a run directory or "embedded" until /exit or the end of the input.

    template: "r1-zero", "chat" or "none"; None takes the model's chat template if it has one, else
    that of R1-Zero. input_fn returns the next line and raises EOFError at the end. Without a
    terminal every line of stdin is a question, and nothing but responses is printed. `generate` and
    `tokenizer` stand in for the model folder. Raises UserError.
    """
    console = console or Console(highlight=False, soft_wrap=True)
    if generate is None:
        engine = EngineGenerate(resolve_chat_model(model_path))
        generate, tokenizer = engine, engine.tokenizer
    session = Session(template or _default_template(tokenizer), tokenizer, temperature)
    session.prompt("hello")  # an unknown template, or none in the model, ends here
    is_terminal = input_fn is not None or sys.stdin.isatty()
    if is_terminal:
        console.print(Text(f"{model_path}, template {session.template}; /help for help", "dim"))
    for line in _lines(input_fn or _reader(is_terminal), console):
        if line.startswith("/"):
            if not _obey(line, session, console):
                return
            continue
        _turn(line, session, generate, console, max_new_tokens, show_thinking)


def resolve_chat_model(model_path: str | Path) -> Path:
    """The model folder of a run directory (its newest finished model), else the folder itself."""
    from aha.pipeline.run_dir import model_of_run
    from aha.pipeline.sources import resolve_model

    return model_of_run(model_path) or resolve_model(str(model_path))


def _default_template(tokenizer: HasChatTemplate | None) -> str:
    has_template = tokenizer is not None and tokenizer.chat_template is not None
    return "chat" if has_template else "r1-zero"


def _reader(is_terminal: bool) -> Callable[[], str]:
    """Reads lines from stdin, with a prompt and line editing in a terminal."""
    if not is_terminal:
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")
        return input
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (gives input() its history)
    return lambda: input("\n> ")


def _lines(read: Callable[[], str], console: Console) -> Iterator[str]:
    """Stripped lines that are not empty. Ctrl-C at the prompt drops the line, twice leaves."""
    interrupted = False
    while True:
        try:
            line = read().strip()
        except EOFError:
            return
        except KeyboardInterrupt:
            if interrupted:
                return
            interrupted = True
            console.print(Text("\nCtrl-C again or /exit to leave", "dim"))
            continue
        interrupted = False
        if line:
            yield line


def _obey(line: str, session: Session, console: Console) -> bool:
    """Carry out a command; False to leave."""
    name, _, argument = line.partition(" ")
    if name in ("/exit", "/quit"):
        return False
    if name == "/reset":
        session.messages.clear()
        console.print(Text("the conversation starts anew", "dim"))
    elif name == "/temperature":
        _set_temperature(argument.strip(), session, console)
    elif name == "/help":
        width = max(map(len, COMMANDS))
        for command, meaning in COMMANDS.items():
            console.print(Text(f"{command:<{width}}  {meaning}", "dim"))
        if session.template != "chat":
            note = f"The template {session.template} has no turns: each question stands alone."
            console.print(Text(note, "dim"))
    else:
        near = nearest(name, ["/help", "/reset", "/temperature", "/exit"])
        hint = f"; did you mean {near}?" if near else "; /help lists them"
        console.print(Text(f"unknown command {name}{hint}", "yellow"))
    return True


def _set_temperature(argument: str, session: Session, console: Console) -> None:
    try:
        value = float(argument or session.temperature)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MAX_TEMPERATURE:
        limit = f"{MAX_TEMPERATURE:g}"
        console.print(Text(f"the temperature is a number from 0 to {limit}", "yellow"))
        return
    session.temperature = value
    console.print(Text(f"temperature {value:g}", "dim"))


def _turn(
    question: str,
    session: Session,
    generate: Generate,
    console: Console,
    max_new_tokens: int,
    show_thinking: bool,
) -> None:
    """One question and its answer; Ctrl-C ends the answer, and the turn is then not remembered."""
    printer = _Printer(console, show_thinking)
    pieces: list[str] = []
    try:
        prompt = session.prompt(question)
        opens_think = ends_in_open_think(prompt)
        stream = ReasoningStream(prompt_opens_think=opens_think, trim=True, unwrap_answer=True)
        for piece in generate(
            prompt, temperature=session.temperature, max_new_tokens=max_new_tokens
        ):
            pieces.append(piece)
            printer.show(*stream.feed(piece))
        printer.show(*stream.finish())
    except KeyboardInterrupt:
        printer.end(note="stopped")
        return
    except UserError as error:
        printer.end(note=f"{error.message}\n{error.hint or 'start anew with /reset'}")
        return
    printer.end()
    session.remember(question, "".join(pieces))


@dataclass(slots=True)
class _Printer:
    """Prints reasoning and content as they come, with an empty line between the two."""

    console: Console
    show_thinking: bool
    _last: str = ""
    """Style of what was printed last; empty at the start."""

    def show(self, reasoning: str, content: str) -> None:
        if self.show_thinking:
            self._print(reasoning, "dim")
        self._print(content, "bold")

    def end(self, note: str = "") -> None:
        if self._last:
            self.console.print()
        if note:
            self.console.print(Text(note, "yellow"))

    def _print(self, text: str, style: str) -> None:
        if self._last != style:
            text = text.lstrip()
            if text and self._last:
                self.console.print("\n")
        if text:
            self._last = style
            self.console.print(Text(plain(text), style), end="", soft_wrap=True)


def plain(text: str) -> str:
    """Text without control characters: a model must not move the cursor or colour the screen."""
    return _CONTROL.sub("", text)


class EngineGenerate:
    """Runs a model folder. Text arrives in chunks of tokens, so that it can be read as it grows."""

    def __init__(self, folder: Path, *, seed: int | None = None):
        from aha.engine.engine import Engine
        from aha.model.hf_folder import load_model

        loaded = load_model(folder)
        self.tokenizer = loaded.tokenizer
        drawn = secrets.randbits(31) if seed is None else seed
        self._engine = Engine(loaded.model, loaded.tokenizer, max_batch_rows=1, seed=drawn)
        self._context_tokens = loaded.config.max_positions
        self._num_answers = 0

    def __call__(self, prompt: str, *, temperature: float, max_new_tokens: int) -> Iterator[str]:
        """Pieces of the answer, at most to the end of the model's context.

        The engine's cache is dropped when an answer is left half-way.
        """
        prompt_ids = self.tokenizer.encode(prompt, with_bos=True)
        room = max(1, self._context_tokens - len(prompt_ids))
        try:
            yield from self._pieces(prompt_ids, temperature, min(room, max_new_tokens))
        except BaseException:
            self._engine.release()
            raise

    def _pieces(
        self, prompt_ids: list[int], temperature: float, max_new_tokens: int
    ) -> Iterator[str]:
        from aha.engine.types import SamplingParams

        self._num_answers += 1
        ids: list[int] = []
        shown = ""
        while len(ids) < max_new_tokens:
            wanted = min(max_new_tokens - len(ids), _chunk_tokens(len(ids)))
            params = SamplingParams(temperature=temperature, max_new_tokens=wanted)
            ((completion,),) = self._engine.generate(
                [[*prompt_ids, *ids]], params, step=self._num_answers, first_sample=len(ids)
            )
            ids += completion.token_ids
            has_ended = completion.finish_reason == "stop"
            is_last = has_ended or len(ids) >= max_new_tokens
            text = self.tokenizer.decode(ids[:-1] if has_ended else ids)
            whole = text if is_last else text.rstrip("\ufffd")  # half a character so far
            if whole.startswith(shown):
                yield whole[len(shown) :]
                shown = whole
            if has_ended:
                return


def _chunk_tokens(num_written: int) -> int:
    return max(FIRST_CHUNK_TOKENS, num_written // CHUNK_FRACTION)
