"""Cold-start data (arXiv 2501.12948v2, B.3.2; v1, 2.3.1): long, readable chains of thought.

`zero_outputs`: R1-Zero's responses, sampled at temperature 1 and kept where the answer is right,
the form whole, the language one and nothing repeats; then a writer turns the bare answer into a
summary and translates mixed thoughts. `few_shot` and `direct`: the writer itself answers, shown
worked examples, or asked for reflection and verification; its answers are judged by the task alike.
People go over the result with `aha review`. Differs from the paper: the writer does not rephrase
thoughts that are in one language.
"""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from aha.chat.conversations import Message, read_messages
from aha.data.chunks import Chunk, collect_chunks
from aha.data.config import ColdStartConfig
from aha.data.drafts import (
    SAMPLED_REASONS,
    Draft,
    asked_problems,
    choose,
    counted,
    judge_summaries,
    set_reading_faults,
    set_verdict_faults,
)
from aha.data.general import from_file
from aha.data.prompts import Example, direct_prompt, few_shot_prompt
from aha.data.sampled import Sampler
from aha.data.summaries import WRITING_REASONS, by_rules, by_writer, translate
from aha.data.writers import Writer, load_writer
from aha.engine.replies import Reply
from aha.engine.types import SamplingParams
from aha.errors import UserError
from aha.pipeline.stage import StageContext, StageResult
from aha.rewards.response import TAGS
from aha.tasks.files import read_rows
from aha.trainers.rollouts import Asked

REASONS = (*SAMPLED_REASONS, *WRITING_REASONS)
Drafts = Callable[[Sequence[Asked], int], list[Draft]]


def collect(ctx: StageContext[ColdStartConfig]) -> StageResult:
    """Conversations with reasoning and a summary; the output is data.jsonl."""
    config = ctx.config
    if config.file != "none":
        return from_file(ctx, Path(config.file))
    writer = writer_of(ctx)
    drafts_of = drafts_maker(ctx, writer)

    def make(asked: Sequence[Asked], number: int) -> Chunk:
        drafts = drafts_of(asked, number)
        set_verdict_faults(drafts)
        set_reading_faults(drafts, config, is_rewritten=writer is not None)
        if writer:
            translate(drafts, writer, config)
        choose(drafts, config)
        if writer:
            by_writer(drafts, writer, config)
        else:
            by_rules(drafts)
        return Chunk(*counted(drafts, REASONS))

    return collect_chunks(
        ctx,
        asked_problems(config.task, config.problems),
        make,
        chunk_size=config.chunk_problems,
        reasons=REASONS,
    )


def writer_of(ctx: StageContext[ColdStartConfig]) -> Writer | None:
    """The writer that the config names; None for `rules`."""
    config = ctx.config
    if config.writer == "rules":
        return None
    return load_writer(
        config.writer,
        ctx.inputs.get("writer"),
        seed=config.seed,
        dtype=config.dtype,
        max_batch_rows=config.max_batch_rows,
    )


def drafts_maker(ctx: StageContext[ColdStartConfig], writer: Writer | None) -> Drafts:
    """What answers the problems: the stage's model, or the writer."""
    if ctx.config.method == "zero_outputs":
        return Sampler(ctx, "R1-Zero").drafts
    assert writer is not None  # the config refuses it
    return Written(ctx.config, writer, read_examples(ctx)).drafts


class Written:
    """The writer's own answers as drafts."""

    def __init__(self, config: ColdStartConfig, writer: Writer, examples: Sequence[Example]):
        self.config, self.writer, self.examples = config, writer, examples
        self.params = SamplingParams(
            temperature=config.temperature,
            top_p=config.top_p,
            max_new_tokens=config.max_new_tokens,
        )

    def drafts(self, asked: Sequence[Asked], number: int) -> list[Draft]:
        """`samples` answers to each problem, judged by its task; in order."""
        prompts = [self.prompt(item) for item in asked]
        groups = self.writer.sample(prompts, self.params, samples=self.config.samples)
        drafts = [
            self._draft(item, index, reply)
            for item, group in zip(asked, groups, strict=True)
            for index, reply in enumerate(group)
        ]
        whole = [draft for draft in drafts if draft.fault is None]
        for draft, verdict in zip(whole, judge_summaries(whole), strict=True):
            draft.verdict = verdict
        return drafts

    def prompt(self, asked: Asked) -> str:
        """What the writer is asked; each problem is shown examples of its own."""
        problem = asked.problem
        if self.config.method == "direct":
            return direct_prompt(problem.question)
        rng = random.Random(f"few-shot/{self.config.seed}/{problem.id}")
        others = [one for one in self.examples if one.question != problem.question]
        shown = rng.sample(others, min(self.config.num_examples, len(others)))
        return few_shot_prompt(problem.question, shown)

    def _draft(self, asked: Asked, index: int, reply: Reply) -> Draft:
        has_tags = any(tag in reply.text + reply.reasoning for tag in TAGS)
        is_whole = reply.text and reply.reasoning and not has_tags
        fault = "unfinished" if not reply.is_whole else None if is_whole else "malformed"
        return Draft(
            asked=asked,
            index=index,
            thinking=reply.reasoning,
            summary=reply.text,
            length=len(reply.reasoning) + len(reply.text),
            source=self.config.method.replace("_", "-"),
            fault=fault,
        )


def read_examples(ctx: StageContext[ColdStartConfig]) -> list[Example]:
    """The worked questions of `examples`. Raises UserError for a row without reasoning."""
    if ctx.config.method != "few_shot":
        return []
    path = ctx.inputs.get("examples") or Path(ctx.config.examples)
    examples = []
    for number, row in enumerate(read_rows(path), start=1):
        try:
            *_, asked, said = read_messages(row.get("messages"))
        except UserError as error:
            message = f"{path}, row {number}: {error.message}"
            raise UserError(message, hint=error.hint) from None
        if (asked.role, said.role) != ("user", "assistant") or not said.reasoning:
            raise UserError(
                f"{path}, row {number} does not end in an answer with reasoning_content",
                hint="examples show how to think: give the thoughts in reasoning_content",
            )
        examples.append(_example(asked, said))
    return examples


def _example(asked: Message, said: Message) -> Example:
    return Example(asked.content, said.reasoning, said.content)
