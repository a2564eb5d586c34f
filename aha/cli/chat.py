"""`aha chat MODEL`: talk to a model in the terminal."""

from typing import Annotated

import typer


def command(
    model: Annotated[
        str, typer.Argument(help="embedded, a Hugging Face folder, or a run directory.")
    ] = "embedded",
) -> None:
    """Talk to a model; its thoughts are shown apart from its answer."""
    from aha.chat.terminal import chat_loop

    chat_loop(model)
