"""`aha tasks clean` and `aha tasks measure`: from raw problems to ones worth training on."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Source = Annotated[
    str, typer.Argument(help="A task: name, data or .py file, hub:..., gym:...", show_default=False)
]
Out = Annotated[Path, typer.Option(help="The JSONL file to write.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add both commands to `aha tasks`."""
    app.command("clean")(clean_task)
    app.command("measure")(measure_task)


def clean_task(
    source: Source,
    out: Out,
    against: Annotated[
        list[str] | None,
        typer.Option(help="Evaluation suite to keep out: a file or hub:...; may be repeated."),
    ] = None,
    near: Annotated[
        float, typer.Option(min=0.1, max=1, help="Jaccard similarity of near duplicates.")
    ] = 0.8,
    exact_only: Annotated[bool, typer.Option("--exact-only", help="Keep near duplicates.")] = False,
    words: Annotated[int, typer.Option(min=2, max=100, help="Length of a shared passage.")] = 10,
) -> None:
    """Write a task's problems without duplicates and without what evaluation suites contain."""
    from aha.data.clean import clean, write_cleaned
    from aha.tasks.registry import load_task
    from aha.tasks.sources.load import questions_of

    suites = {Path(name).name: list(questions_of(name)) for name in against or []}
    cleaned = clean(load_task(source), suites, threshold=None if exact_only else near, words=words)
    dropped = write_cleaned(cleaned, out)
    for step in cleaned.funnel.table()["steps"]:
        print(f"{step['count']:>10,}  {step['name']}")
    print(f"{out}; what was dropped and why: {dropped}")


def measure_task(
    source: Source,
    out: Out,
    model: Annotated[str, typer.Option(help="embedded, smollm2 or a model folder.")] = "embedded",
    samples: Annotated[int, typer.Option(min=1, max=4096, help="Responses a problem.")] = 8,
    problems: Annotated[
        int | None, typer.Option(min=1, help="The first so many of the split. [all]")
    ] = None,
    split: Annotated[
        Literal["train", "validation", "heldout"], typer.Option(help="Which problems.")
    ] = "train",
    temperature: Annotated[float, typer.Option(min=0, max=10)] = 1.0,
    max_new_tokens: Annotated[int, typer.Option(min=1, max=1_048_576)] = 1024,
    template: Annotated[str, typer.Option(help="r1-zero, chat, none or a file.")] = "r1-zero",
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Measure how often a model solves each problem. Started again, it goes on where it was."""
    from aha.data.pass_rate import Sampling, measure_model

    sampling = Sampling(
        samples=samples,
        temperature=temperature,
        max_new_tokens=max_new_tokens,
        template=template,
        seed=seed,
    )
    measured = measure_model(source, model, sampling, out, split=split, num_problems=problems)
    print(f"{measured.sentence()}\n{out}")
