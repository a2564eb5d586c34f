"""One set of conversations from reasoning and other data, in the asked proportion."""

import random
from pathlib import Path
from typing import Any

from aha.data.config import MixConfig
from aha.errors import UserError
from aha.pipeline.files import read_jsonl, write_json, write_jsonl
from aha.pipeline.stage import StageContext, StageResult

Row = dict[str, Any]


def mix(ctx: StageContext[MixConfig]) -> StageResult:
    """Shuffle the inputs `reasoning` and `general` together; leave out what is too many of one."""
    reasoning, general = (_rows(ctx.inputs[name]) for name in ("reasoning", "general"))
    config = ctx.config
    num_reasoning, num_general = sizes(
        len(reasoning),
        len(general),
        general_fraction=config.general_fraction,
        max_rows=config.max_rows,
    )
    rng = random.Random(f"mix/{config.seed}")
    rows = rng.sample(reasoning, num_reasoning) + rng.sample(general, num_general)
    rng.shuffle(rows)
    ctx.log.note(f"{num_reasoning:,} reasoning and {num_general:,} other conversations")
    if ctx.ranks.is_main:
        write_jsonl(ctx.directory / "data.jsonl", rows)
        steps = [
            {"name": "reasoning", "count": num_reasoning},
            {"name": "general", "count": num_general},
        ]
        left = {
            "reasoning left out": len(reasoning) - num_reasoning,
            "general left out": len(general) - num_general,
        }
        write_json(ctx.directory / "funnel.json", {"steps": steps, "dropped": left})
    ctx.ranks.barrier()
    summary = {"rows": len(rows), "reasoning": num_reasoning, "general": num_general}
    return StageResult(output="data.jsonl", summary=summary)


def sizes(
    num_reasoning: int, num_general: int, *, general_fraction: float, max_rows: int | None
) -> tuple[int, int]:
    """How many rows of each keep the proportion, as many as there are and as are asked for.

    Raises UserError when one kind is wanted and there is none of it.
    """
    shares = (1 - general_fraction, general_fraction)
    for share, there, name in zip(
        shares, (num_reasoning, num_general), ("reasoning", "general"), strict=True
    ):
        if share and not there:
            raise UserError(
                f"there are no {name} rows to mix", hint="look at the stage that makes them"
            )
    bounds = [
        n / share for n, share in zip((num_reasoning, num_general), shares, strict=True) if share
    ]
    total = min([*bounds, *([max_rows] if max_rows else [])])
    return round(total * shares[0]), round(total * shares[1])


def _rows(path: Path) -> list[Row]:
    return list(read_jsonl(path))
