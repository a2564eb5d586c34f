"""`aha chat MODEL`: talk to a model in the terminal."""

from typing import Annotated

import typer


def command(
    model: Annotated[
        str, typer.Argument(help="embedded, smollm2, a Hugging Face folder or a run directory.")
    ] = "embedded",
    template: Annotated[
        str | None,
        typer.Option(help="r1-zero, chat or none. [the model's own, else r1-zero]"),
    ] = None,
    temperature: Annotated[float, typer.Option(min=0, max=5, help="0 is greedy.")] = 0.6,
    max_new_tokens: Annotated[
        int, typer.Option(min=1, max=1_048_576, help="Tokens of a response, thoughts included.")
    ] = 1024,
    thinking: Annotated[
        bool, typer.Option("--thinking/--no-thinking", help="Show the thoughts.")
    ] = True,
) -> None:
    """Talk to a model; its thoughts are shown apart from its answer."""
    import torch

    from aha.chat.terminal import chat_loop

    torch.set_num_threads(1)  # the engine's compiled steps want it, and it is faster
    chat_loop(
        model,
        template=template,
        temperature=temperature,
        max_new_tokens=max_new_tokens,
        show_thinking=thinking,
    )
