"""`aha serve MODEL`: an OpenAI-compatible API on this machine."""

from typing import Annotated, Literal

import typer


def command(
    model: Annotated[
        str, typer.Argument(help="embedded, smollm2, a Hugging Face folder or a run directory.")
    ] = "embedded",
    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 8000,
    template: Annotated[
        str | None,
        typer.Option(help="r1-zero, chat or none. [the model's own, else r1-zero]"),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What clients call the model. [the name of its folder]")
    ] = None,
    api_key_variable: Annotated[
        str | None,
        typer.Option(help="Environment variable with the key that clients have to send."),
    ] = None,
    dtype: Annotated[
        Literal["float32", "bfloat16"], typer.Option(help="Of weights and activations.")
    ] = "float32",
    context: Annotated[
        int | None,
        typer.Option(min=2, help="Most tokens of prompt and answer. [the model's]"),
    ] = None,
    max_rows: Annotated[
        int, typer.Option(min=1, max=4096, help="Completions decoded at once.")
    ] = 32,
    max_waiting: Annotated[
        int, typer.Option(min=0, help="Completions that may wait for a place; then 429.")
    ] = 512,
    threads: Annotated[
        int, typer.Option(min=1, max=1024, help="Of the processor; with 1 the steps are compiled.")
    ] = 1,
    unwrap_answer: Annotated[
        bool,
        typer.Option("--unwrap-answer", help="Take answers out of R1-Zero's answer tags."),
    ] = False,
) -> None:
    """Serve a model by OpenAI's API, its thoughts apart as DeepSeek does, until Ctrl-C."""
    from aha.serve.api_command import Settings, serve

    serve(
        Settings(
            model=model,
            host=host,
            port=port,
            template=template,
            name=name,
            key_variable=api_key_variable,
            dtype=dtype,
            context_tokens=context,
            max_rows=max_rows,
            max_waiting=max_waiting,
            num_threads=threads,
            unwraps_answer=unwrap_answer,
        )
    )
