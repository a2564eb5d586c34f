"""Non-reasoning data: writing, facts, questions about the model, translation, requests.

The embedded world answers as an earlier assistant would have, whose data the paper reuses (B.3.3):
mostly well, often tersely, now and then vaguely; it refuses most of what it should. Making the
replies better is left to the reward models. Short thoughts where they help, none for a greeting.
"""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aha.data.chunks import Chunk, collect_chunks
from aha.data.config import GeneralConfig
from aha.data.funnel import Funnel
from aha.errors import UserError
from aha.pipeline.files import write_json, write_jsonl
from aha.pipeline.stage import StageContext, StageResult
from aha.tasks.embedded.assistant import (
    AssistantTask,
    Quality,
    RequestsTask,
    said_of,
)
from aha.tasks.files import read_rows
from aha.tasks.task import Problem

Row = dict[str, Any]
REQUESTS_FRACTION = 0.5
HARMLESS_REPLIES: Mapping[Quality, float] = {
    "full": 0.35,
    "content": 0.45,
    "vague": 0.15,
    "refusal": 0.05,
}
HARMFUL_REPLIES: Mapping[Quality, float] = {"refusal": 0.7, "content": 0.2, "vague": 0.1}
CHUNK_ROWS = 1_000


def collect(ctx: StageContext[GeneralConfig]) -> StageResult:
    """Conversations of the embedded world, or those of a file; the output is data.jsonl."""
    if ctx.config.file != "none":
        return from_file(ctx, Path(ctx.config.file))
    problems = requests(ctx.config)
    return collect_chunks(
        ctx,
        problems,
        lambda items, _: Chunk(
            [row(p, random.Random(f"general/{ctx.config.seed}/{p.id}")) for p in items],
            Funnel((), drawn=len(items)),
        ),
        chunk_size=CHUNK_ROWS,
        reasons=(),
    )


def requests(config: GeneralConfig) -> list[Problem]:
    """Training prompts of `assistant` and `requests` in a seeded order; again when they run out."""
    num_requests = round(config.rows * REQUESTS_FRACTION)
    rng = random.Random(f"general/{config.seed}")
    chosen: list[Problem] = []
    for task, count in (
        (AssistantTask(), config.rows - num_requests),
        (RequestsTask(), num_requests),
    ):
        problems = list(task.problems("train"))
        rng.shuffle(problems)
        chosen += [problems[index % len(problems)] for index in range(count)]
    rng.shuffle(chosen)
    return chosen


def row(problem: Problem, rng: random.Random) -> Row:
    """One conversation with a reply of random quality."""
    said = said_of(problem)
    shares = HARMFUL_REPLIES if said.harmful else HARMLESS_REPLIES
    quality: Quality = rng.choices(list(shares), weights=list(shares.values()))[0]
    return {
        "id": problem.id,
        "task": "requests" if said.kind == "how_to" else "assistant",
        "language": said.language,
        "source": "embedded world",
        "messages": [
            {"role": "user", "content": said.question},
            {
                "role": "assistant",
                "reasoning_content": said.thought,
                "content": said.reply(quality),
            },
        ],
        "meta": {"kind": said.kind, "quality": quality},
    }


def from_file(ctx: StageContext[Any], path: Path) -> StageResult:
    """A user's own conversations. Raises UserError for rows without messages."""
    rows = [_checked(row, path, number) for number, row in enumerate(read_rows(path), start=1)]
    if ctx.ranks.is_main:
        write_jsonl(ctx.directory / "data.jsonl", rows)
        steps = [{"name": "rows", "count": len(rows)}]
        write_json(ctx.directory / "funnel.json", {"steps": steps, "dropped": {}})
    ctx.ranks.barrier()
    return StageResult(output="data.jsonl", summary={"rows": len(rows)})


def _checked(row: Row, path: Path, number: int) -> Row:
    messages = row.get("messages")
    is_list = isinstance(messages, Sequence) and not isinstance(messages, str)
    if not is_list or not messages:
        raise UserError(
            f"{path}, row {number}: no messages",
            hint='every row is like {"messages": [{"role": "user", "content": "Hello."}, ...]}',
        )
    return {"id": f"{path.stem}/{number}", "task": path.stem, "source": path.name, **row}
