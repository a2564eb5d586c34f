"""Preferences (arXiv 2501.12948v2, 3.1): pairs for the helpful, labels for the harmless model.

The model answers each prompt several times. Helpfulness: two final summaries are judged
`judgements` times with their places swapped, on R1's scale from -2 to 2; pairs whose mean margin
is small are dropped, and lengths are balanced over the whole set, so that a reward model cannot
learn to count. Harmlessness: the whole response is labelled safe or unsafe. Who judges: the
embedded world, which knows what a good reply to its own prompts is, or a generative judge, for
prompts of any kind.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Protocol

import torch

from aha.chat.grammar import THINK_CLOSE, THINK_OPEN, ends_in_open_think
from aha.data.chunks import Chunk, collect_chunks
from aha.data.config import PreferenceConfig
from aha.data.funnel import Funnel
from aha.data.judge import Judge
from aha.data.writers import load_writer
from aha.engine.engine import Engine
from aha.engine.types import SamplingParams
from aha.errors import UserError
from aha.model.hf_folder import load_model
from aha.pipeline.files import read_jsonl, write_jsonl
from aha.pipeline.stage import StageContext, StageResult
from aha.rewards.response import final_summary, form_of
from aha.tasks.embedded.assistant import (
    QUALITY_POINTS,
    Quality,
    is_safe,
    quality,
    said_of,
)
from aha.tasks.registry import load_task
from aha.tasks.sources.load import questions_of
from aha.tasks.task import Problem
from aha.trainers.rollouts import Prompter

REASONS = (
    *("no safety verdict", "no summary", "same reply", "no verdict"),
    *("small margin", "length balance"),
)
JUDGE_NOISE, PLACE_BIAS = 0.7, 0.3
"""Of the embedded judge: its standard deviation, and how much it likes the first reply."""
LENGTH_TOLERANCE = 0.1
Row = dict[str, Any]


def collect(ctx: StageContext[PreferenceConfig]) -> StageResult:
    """The output is the folder `preferences` with pairs.jsonl and labels.jsonl."""
    config = ctx.config
    if config.file != "none":
        return from_folder(ctx, Path(config.file))
    replier = Replier(ctx)
    result = collect_chunks(
        ctx,
        [p for name in config.task for p in prompts_of(name, config)[: config.problems]],
        lambda problems, number: replier.chunk(problems, number),
        chunk_size=config.chunk_problems,
        reasons=REASONS,
        finish=balanced if config.balance_length else lambda rows, _: rows,
    )
    rows = list(read_jsonl(ctx.directory / result.output))
    return publish(ctx, rows, dict(result.summary))


def prompts_of(name: str, config: PreferenceConfig) -> Sequence[Problem]:
    """Training prompts of a task, or the questions of a file without answers."""
    try:
        task = load_task(name)
    except UserError as error:
        if config.judge == "embedded":
            raise
        try:
            questions = list(questions_of(name))
        except UserError:
            raise error from None
        stem = Path(name).stem
        return [Problem(id=f"{stem}/{i}", question=q, gold="") for i, q in enumerate(questions)]
    problems = task.problems("train")
    if config.judge == "embedded" and problems and "said" not in problems[0].meta:
        raise UserError(
            f"the embedded judge knows nothing about the prompts of task {task.name!r}",
            hint="set judge to a model folder or endpoint:URL#MODEL",
        )
    return problems


class Replier:
    """Draws replies to prompts and has them judged."""

    def __init__(self, ctx: StageContext[PreferenceConfig]):
        config = ctx.config
        loaded = load_model(ctx.inputs["model"], dtype=getattr(torch, config.dtype))
        self.config, self.judge = config, judge_of(ctx)
        self.form = form_of(config.template)
        self.prompter = Prompter(config.template, loaded.tokenizer)
        self.engine = Engine(
            loaded.model, loaded.tokenizer, max_batch_rows=config.max_batch_rows, seed=config.seed
        )
        self.params = SamplingParams(
            temperature=config.temperature,
            top_p=config.top_p,
            max_new_tokens=config.max_new_tokens,
        )

    def chunk(self, problems: Sequence[Problem], number: int) -> Chunk:
        """Pairs and labels of some prompts."""
        prompts = [self.prompter.text(problem.question) for problem in problems]
        groups = self.engine.generate(
            [self.prompter.tokenizer.encode(prompt, with_bos=True) for prompt in prompts],
            self.params,
            samples_per_prompt=self.config.samples,
            step=number,
        )
        funnel = Funnel(REASONS)
        answered = [
            Answered(
                problem,
                [completion.text for completion in group],
                ends_in_open_think(prompt),
                random.Random(f"preferences/{self.config.seed}/{problem.id}"),
            )
            for problem, prompt, group in zip(problems, prompts, groups, strict=True)
        ]
        labels = self._labels(answered, funnel)
        pairs = self._pairs(answered, funnel)
        return Chunk(labels + pairs, funnel)

    def _labels(self, answered: Sequence["Answered"], funnel: Funnel) -> list[Row]:
        """The whole responses as safe or unsafe."""
        drawn = [
            (one.problem, i, text)
            for one in answered
            for i, text in enumerate([*one.texts, *self.judge.other_responses(one)])
        ]
        labels = self.judge.are_safe([(problem, text) for problem, _, text in drawn])
        rows = []
        for (problem, index, text), safe in zip(drawn, labels, strict=True):
            if safe is None:
                funnel.count("no safety verdict")
                continue
            row = {"id": f"{problem.id}/{index}", "prompt": problem.question, "response": text}
            rows.append({"kind": "label", **row, "safe": safe})
        return rows

    def _pairs(self, answered: Sequence["Answered"], funnel: Funnel) -> list[Row]:
        """Every two distinct replies to a prompt whose judgements agree enough."""
        drawn = [
            (one, number, first, second)
            for one in answered
            for number, (first, second) in enumerate(combinations(self._replies(one, funnel), 2))
        ]
        opinions = self.judge.compare(
            [(one.problem, first, second, one.rng) for one, _, first, second in drawn],
            self.config.judgements,
        )
        rows = []
        for (one, number, first, second), found in zip(drawn, opinions, strict=True):
            margin = sum(found) / max(1, len(found))
            if not funnel.count(self._pair_fault(margin, found)):
                continue
            chosen, rejected = (first, second) if margin > 0 else (second, first)
            rows.append(
                {
                    "kind": "pair",
                    "id": f"{one.problem.id}/{number}",
                    "prompt": one.problem.question,
                    "chosen": chosen,
                    "rejected": rejected,
                    "margin": abs(margin),
                    "language": one.problem.language,
                }
            )
        return rows

    def _pair_fault(self, margin: float, opinions: Sequence[int]) -> str | None:
        if 2 * len(opinions) < self.config.judgements or not opinions:
            return "no verdict"
        return None if abs(margin) > self.config.min_margin else "small margin"

    def _replies(self, one: "Answered", funnel: Funnel) -> list[str]:
        """The distinct summaries, and what the judge adds."""
        summaries = [
            final_summary(text, self.form, prompt_opens_think=one.opens_think) for text in one.texts
        ]
        replies = [reply for reply in summaries if reply is not None]
        for _ in range(len(summaries) - len(replies)):
            funnel.count("no summary")
        replies += self.judge.other_replies(one.problem, one.rng)
        distinct = list(dict.fromkeys(replies))
        for _ in range(len(replies) - len(distinct)):
            funnel.count("same reply")
        return distinct


@dataclass(frozen=True, slots=True)
class Answered:
    """The model's responses to one prompt."""

    problem: Problem
    texts: list[str]
    opens_think: bool
    """Whether the prompt ended inside the thinking."""
    rng: random.Random


class PreferenceJudge(Protocol):
    """Compares replies and labels responses."""

    def other_replies(self, problem: Problem, rng: random.Random) -> list[str]:
        """Replies of others, to be compared with the model's own."""

    def other_responses(self, one: Answered) -> list[str]:
        """Whole responses of others, to be labelled beside the model's own."""

    def compare(
        self, pairs: Sequence[tuple[Problem, str, str, random.Random]], judgements: int
    ) -> list[list[int]]:
        """How much better the first reply is, -2 to 2.

        Every second judgement has the places swapped; those without a verdict are left out.
        """

    def are_safe(self, responses: Sequence[tuple[Problem, str]]) -> list[bool | None]:
        """Whether whole responses are safe; None without a verdict."""


class EmbeddedJudge:
    """The embedded world, which knows what a good reply to its own prompts is."""

    def other_replies(self, problem: Problem, rng: random.Random) -> list[str]:
        """What other assistants said: of any quality, so that the judge sees bad ones too.

        To a request always an answer, a refusal and advice as if it were harmless: only who reads
        the request can tell which of them is good, and refusing everybody does not pay.
        """
        said = said_of(problem)
        drawn = said.reply(rng.choice(list(QUALITY_POINTS)))
        if said.kind != "how_to":
            return [drawn]
        return [said.reply("full"), said.reply("refusal"), said.evasion]

    def other_responses(self, one: Answered) -> list[str]:
        """Two that help with harm, where the prompt asks for it: the model's own seldom do.

        One says it to the user, one thinks it and then refuses.
        """
        said = said_of(one.problem)
        if not said.harmful:
            return []
        thought = thinking(said.thought, opens_think=one.opens_think)
        planned = thinking(said.content, opens_think=one.opens_think)
        helping: tuple[Quality, ...] = ("content", "full")
        return [thought + said.reply(one.rng.choice(helping)), planned + said.reply("refusal")]

    def compare(
        self, pairs: Sequence[tuple[Problem, str, str, random.Random]], judgements: int
    ) -> list[list[int]]:
        opinions: list[list[int]] = []
        for problem, first, second, rng in pairs:
            opinions.append([])
            for turn in range(judgements):
                if turn % 2 == 0:
                    opinions[-1].append(embedded_judge(problem, first, second, rng))
                else:
                    opinions[-1].append(-embedded_judge(problem, second, first, rng))
        return opinions

    def are_safe(self, responses: Sequence[tuple[Problem, str]]) -> list[bool | None]:
        return [is_safe(problem, text) for problem, text in responses]


class GenerativeJudge:
    """A model that is asked, for prompts of any kind."""

    def __init__(self, judge: Judge):
        self.judge = judge

    def other_replies(self, problem: Problem, rng: random.Random) -> list[str]:
        return []

    def other_responses(self, one: Answered) -> list[str]:
        return []

    def compare(
        self, pairs: Sequence[tuple[Problem, str, str, random.Random]], judgements: int
    ) -> list[list[int]]:
        return self.judge.compare([(p.question, a, b) for p, a, b, _ in pairs], judgements)

    def are_safe(self, responses: Sequence[tuple[Problem, str]]) -> list[bool | None]:
        return self.judge.are_safe([(problem.question, text) for problem, text in responses])


def thinking(thought: str, *, opens_think: bool) -> str:
    """A response up to its summary, as this world's assistants write it."""
    return f"{'' if opens_think else THINK_OPEN}{thought}{THINK_CLOSE} "


def judge_of(ctx: StageContext[PreferenceConfig]) -> PreferenceJudge:
    """The judge that the config names."""
    config = ctx.config
    if config.judge == "embedded":
        return EmbeddedJudge()
    writer = load_writer(
        config.judge,
        ctx.inputs.get("judge"),
        seed=config.seed,
        dtype=config.dtype,
        max_batch_rows=config.max_batch_rows,
    )
    return GenerativeJudge(Judge(writer, max_new_tokens=config.judge_max_new_tokens))


def embedded_judge(problem: Problem, first: str, second: str, rng: random.Random) -> int:
    """A noisy judge with a liking for the first place, who knows what a good reply is."""
    difference = quality(problem, first) - quality(problem, second)
    opinion = difference + PLACE_BIAS + rng.gauss(0, JUDGE_NOISE)
    return max(-2, min(2, round(opinion)))


def balanced(rows: list[Row], funnel: Funnel) -> list[Row]:
    """Without the most lopsided pairs, until the mean lengths differ by a tenth at most."""
    pairs = [row for row in rows if row["kind"] == "pair"]
    excess = {row["id"]: len(row["chosen"]) - len(row["rejected"]) for row in pairs}
    total, mean_length = sum(excess.values()), 0.0
    if pairs:
        mean_length = sum(len(r["chosen"]) + len(r["rejected"]) for r in pairs) / (2 * len(pairs))
    gone: set[str] = set()
    for row in sorted(pairs, key=lambda row: -abs(excess[row["id"]])):
        if abs(total) <= LENGTH_TOLERANCE * mean_length * (len(pairs) - len(gone)):
            break
        if abs(total - excess[row["id"]]) < abs(total):
            total -= excess[row["id"]]
            gone.add(row["id"])
    funnel.dropped["length balance"] += len(gone)
    return [row for row in rows if row["kind"] == "label" or row["id"] not in gone]


def publish(
    ctx: StageContext[PreferenceConfig], rows: Sequence[Row], summary: dict[str, Any]
) -> StageResult:
    """Write the folder that reward models read."""
    pairs = [row for row in rows if row["kind"] == "pair"]
    labels = [row for row in rows if row["kind"] == "label"]

    def write(folder: Path) -> None:
        write_jsonl(folder / "pairs.jsonl", pairs)
        write_jsonl(folder / "labels.jsonl", labels)

    ctx.publish("preferences", write)
    unsafe = sum(not row["safe"] for row in labels)
    counts = {"pairs": len(pairs), "labels": len(labels), "unsafe": unsafe}
    return StageResult(output="preferences", summary={**summary, **counts})


def from_folder(ctx: StageContext[PreferenceConfig], folder: Path) -> StageResult:
    """A user's own preferences. Raises UserError where there are none."""
    paths = {"pair": folder / "pairs.jsonl", "label": folder / "labels.jsonl"}
    for path in paths.values():
        if not path.is_file():
            raise UserError(f"no {path}", hint="the folder holds pairs.jsonl and labels.jsonl")
    rows = [{"kind": kind, **row} for kind, path in paths.items() for row in read_jsonl(path)]
    return publish(ctx, rows, {})
