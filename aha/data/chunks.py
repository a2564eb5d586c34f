"""Data stages in chunks: each chunk is a checkpoint, so a kill loses and doubles no row."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aha.data.funnel import Funnel, merged
from aha.errors import UserError
from aha.pipeline.files import read_json, read_jsonl, write_json, write_jsonl
from aha.pipeline.stage import StageContext, StageResult, checkpoints

Row = dict[str, Any]
KEEP_ALL = 10**9
ROWS, COUNTS = "rows.jsonl", "counts.json"


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one rank made of its share of a chunk."""

    rows: list[Row]
    """Kept rows, in order."""
    funnel: Funnel


def collect_chunks(
    ctx: StageContext[Any],
    items: Sequence[Any],
    make: Callable[[Sequence[Any], int], Chunk],
    *,
    chunk_size: int,
    reasons: Sequence[str],
    finish: Callable[[list[Row], Funnel], list[Row]] = lambda rows, _: rows,
) -> StageResult:
    """Work through `items` in chunks and write data.jsonl and funnel.json.

    make: this rank's share of a chunk and the chunk's number (from 1) to rows and counts. It has to
    give the same for the same items, whatever happened before. finish: the last pass over all rows
    (deduplication, balance), which may count further losses. Raises UserError when nothing is left.
    """
    chunks = [items[start : start + chunk_size] for start in range(0, len(items), chunk_size)]
    for number in range(ctx.resume_step + 1, len(chunks) + 1):
        started = time.perf_counter()
        part = make(ctx.ranks.share(chunks[number - 1]), number)
        parts = ctx.ranks.gather((part.rows, part.funnel.counts()))
        rows = [row for rows, _ in parts for row in rows]
        funnel = merged(reasons, (counts for _, counts in parts))
        ctx.save_checkpoint(number, _writer(rows, funnel), keep=KEEP_ALL)
        ctx.append("metrics.jsonl", {"step": number, **funnel.counts(), "kept": funnel.kept})
        seconds = round(time.perf_counter() - started, 3)
        ctx.append("timing.jsonl", {"step": number, "time/step_seconds": seconds})
        ctx.log.step(number, len(chunks), {"drawn": funnel.drawn, "kept": funnel.kept})
    summary = ctx.ranks.broadcast(_finish(ctx, reasons, finish) if ctx.ranks.is_main else {})
    if not summary["rows"]:
        raise UserError(
            f"no row is left: {summary['funnel']}",
            hint="look at the rejected samples of the stage; loosen its filters or draw more",
        )
    return StageResult(output="data.jsonl", summary=summary)


def _writer(rows: list[Row], funnel: Funnel) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        write_jsonl(folder / ROWS, rows)
        write_json(folder / COUNTS, funnel.counts())

    return write


def _finish(
    ctx: StageContext[Any],
    reasons: Sequence[str],
    finish: Callable[[list[Row], Funnel], list[Row]],
) -> dict[str, Any]:
    """Put the chunks together on rank 0."""
    folders = checkpoints(ctx.directory)
    rows = [row for folder in folders for row in read_jsonl(folder / ROWS)]
    counts = [read_json(folder / COUNTS) for folder in folders]
    funnel = merged(reasons, counts)
    kept = finish(rows, funnel)
    write_jsonl(ctx.directory / "data.jsonl", kept)
    write_json(ctx.directory / "funnel.json", funnel.table())
    ctx.log.note(funnel.sentence())
    return {"rows": len(kept), "funnel": funnel.sentence()}
