"""Rejection sampling (arXiv 2501.12948v2, B.3.3): reasoning data from the model of the first RL."""

from collections.abc import Sequence

from aha.data.chunks import Chunk, collect_chunks
from aha.data.config import RejectionConfig
from aha.data.drafts import (
    SAMPLED_REASONS,
    asked_problems,
    choose,
    counted,
    set_reading_faults,
    set_verdict_faults,
)
from aha.data.judge import Judge
from aha.data.sampled import Sampler
from aha.data.summaries import by_rules
from aha.data.writers import load_writer
from aha.pipeline.stage import StageContext, StageResult
from aha.trainers.rollouts import Asked


def collect(ctx: StageContext[RejectionConfig]) -> StageResult:
    """Many samples of every problem; the right and readable ones are kept as they are.

    What the rules leave undecided a judge grades, where one is named. A model with answer tags
    (R1-Zero) has no summary yet: one sentence with its answer is written.
    """
    config = ctx.config
    sampler, judge = Sampler(ctx, "rejection sampling"), judge_of(ctx)

    def make(asked: Sequence[Asked], number: int) -> Chunk:
        drafts = sampler.drafts(asked, number)
        set_verdict_faults(drafts, judge)
        set_reading_faults(drafts, config)
        choose(drafts, config)
        by_rules(drafts)
        return Chunk(*counted(drafts, SAMPLED_REASONS))

    return collect_chunks(
        ctx,
        asked_problems(config.task, config.problems, needs_answers=judge is None),
        make,
        chunk_size=config.chunk_problems,
        reasons=SAMPLED_REASONS,
    )


def judge_of(ctx: StageContext[RejectionConfig]) -> Judge | None:
    """The judge that the config names."""
    config = ctx.config
    if config.judge == "none":
        return None
    writer = load_writer(
        config.judge,
        ctx.inputs.get("judge"),
        seed=config.seed,
        dtype=config.dtype,
        max_batch_rows=config.max_batch_rows,
    )
    return Judge(writer, max_new_tokens=config.judge_max_new_tokens)
