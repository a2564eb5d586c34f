"""The command line: `aha COMMAND ...`. Nothing heavy is imported before a command needs it."""

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from aha.cli import chat, doctor, emergence, eval, review, run, scale, serve, show, tasks, verify
from aha.errors import UserError, nearest
from aha.pipeline.processes import exit_status

MAX_MESSAGE_CHARS = 1_000

app = typer.Typer(
    help="Train language models to think: the DeepSeek-R1 recipe as software.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    suggest_commands=False,
)


def _version(asked: bool) -> None:
    if asked:
        import aha

        print(f"aha {aha.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command("run", no_args_is_help=False)(run.command)
app.command("show")(show.command)
app.add_typer(tasks.app, name="tasks")
app.command("eval", no_args_is_help=True)(eval.command)
app.command("emergence", no_args_is_help=True)(emergence.command)
app.command("scale", no_args_is_help=True)(scale.command)
app.command("verify")(verify.command)
app.command("review")(review.review)
app.command("label")(review.label)
app.command("chat")(chat.command)
app.command("serve")(serve.command)
app.command("doctor")(doctor.command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `aha` script."""
    sys.exit(invoke(arguments))


def invoke(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status; user errors become two lines on stderr."""
    try:
        status = app(arguments, prog_name="aha", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except UserError as error:
        _print_error(error.message, error.hint)
        return exit_status(error)
    except typer.TyperException as error:
        return _usage_error(error)
    except (KeyboardInterrupt, Exception) as error:
        _print_bug(error)
        return exit_status(error)


def _print_error(message: str, hint: str | None) -> None:
    print(f"error: {_one_line(message)}", file=sys.stderr)
    if hint:
        print(f"hint: {_one_line(hint)}", file=sys.stderr)


def _one_line(text: str) -> str:
    """What a user typed comes back in messages: shown, not obeyed, and not without end."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return shown if len(shown) <= MAX_MESSAGE_CHARS else shown[:MAX_MESSAGE_CHARS] + "..."


def _print_bug(error: BaseException) -> None:
    """Our mistake, with its traceback; the text of another rank's error holds its own."""
    if type(error).__name__ == "RankError":
        print(f"error: {error}", file=sys.stderr)
    elif not isinstance(error, KeyboardInterrupt):
        traceback.print_exception(error)


def _usage_error(error: typer.TyperException) -> int:
    """Unknown options and commands: the nearest one that exists, and where to read more."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message())
        return 0
    where = context.command_path if context else "aha"
    wrong, known = getattr(error, "option_name", None), []
    if wrong and context:
        known = [name for param in context.command.params for name in param.opts]
    elif context and "No such command" in error.message:
        wrong, known = error.message.split("'")[1], list(context.command.commands)
    near = nearest(wrong, known) if wrong else None
    hint = f"did you mean {near}? " if near else ""
    message = error.message if wrong else error.format_message()
    _print_error(message.rstrip("."), f"{hint}see {where} --help")
    return 2


if __name__ == "__main__":
    main()
