"""`aha review` and `aha label`: pages on this machine where a person decides."""

from pathlib import Path
from typing import Annotated

import typer

from aha.errors import UserError

Port = Annotated[
    int, typer.Option(min=0, max=65_535, help="Port on 127.0.0.1. [a free one]", show_default=False)
]


def review(
    data: Annotated[
        Path, typer.Argument(metavar="DATA.jsonl", help="Conversations.", show_default=False)
    ],
    export: Annotated[
        Path | None, typer.Option(help="Write the accepted rows to this file, and end.")
    ] = None,
    port: Port = 0,
) -> None:
    """Accept, edit or reject samples on a page in the browser, before a model learns from them.

    Decisions are kept in DATA.reviewed.jsonl as they are made; opened again, the page goes on.
    """
    from aha.serve.local_page import run_desk
    from aha.serve.review import Review, decisions_path

    _check_file(data, export)
    desk = Review(data, is_read_only=export is not None)
    if export is not None:
        print(f"{desk.export(export):,} rows: {export}")
        typer.echo(desk.summary(), err=True)
    else:
        run_desk(desk, port=port, kept_in=str(decisions_path(data)))


def label(
    pairs: Annotated[
        Path,
        typer.Argument(
            metavar="PAIRS.jsonl",
            help='Rows with "prompt" and two "answers", or "chosen" and "rejected".',
            show_default=False,
        ),
    ],
    export: Annotated[
        Path | None, typer.Option(help="Write the decided pairs to this file, and end.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which answer stands left.")] = 0,
    port: Port = 0,
) -> None:
    """Choose the better of two answers on a page in the browser, for a reward model to learn from.

    Decisions are kept in PAIRS.labeled.jsonl as they are made; opened again, the page goes on.
    """
    from aha.serve.label import Labelling, decisions_path
    from aha.serve.local_page import run_desk

    _check_file(pairs, export)
    desk = Labelling(pairs, seed=seed, is_read_only=export is not None)
    if export is not None:
        print(f"{desk.export(export):,} pairs: {export}")
        typer.echo(desk.summary(), err=True)
    else:
        run_desk(desk, port=port, kept_in=str(decisions_path(pairs)))


def _check_file(path: Path, export: Path | None) -> None:
    if not path.is_file():
        raise UserError(f"there is no file {str(path)!r}", hint="give a .jsonl file")
    if export is not None and export.absolute() == path.absolute():
        raise UserError("--export would overwrite the data", hint="give it another name")
