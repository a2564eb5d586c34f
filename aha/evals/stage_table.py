"""The table of R1's stages (arXiv 2501.12948v2, Table 3): every model of a run, side by side.

Reasoning: held-out problems of the first task. Chat: prompts without a right answer, judged by the
embedded world's own scale, which no stage of the training has seen (the reward models learn it from
noisy comparisons). All figures are means with a standard error clustered by prompt.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from aha.chat.grammar import ends_in_open_think, split_reasoning
from aha.data.filters import ReadingFilters, reading_fault
from aha.engine.engine import Engine
from aha.engine.types import SamplingParams
from aha.errors import UserError
from aha.evals.config import StageTableConfig
from aha.evals.evaluate import Graded, majority, sample_task, task_scores
from aha.evals.metrics import Estimate, clustered_stderr
from aha.model.hf_folder import LoadedModel, load_model
from aha.pipeline.files import write_json
from aha.pipeline.stage import StageContext, StageResult
from aha.rewards.response import ResponseForm, final_summary, form_of
from aha.tasks.embedded.assistant import Grade, grade
from aha.tasks.registry import load_task
from aha.tasks.task import Problem
from aha.trainers.rollouts import Prompter, Sample

MAJORITY_STREAM, CHAT_STREAM = 1, 2
REFERENCE_QUALITY = 3
"""The reply that a win is counted against: it says what was asked for and no more."""
SHOWN_PROBLEMS = 16
Table = dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What is measured of one response to a prompt without a right answer."""

    prompt: str
    grade: Grade
    thinks: bool


def evaluate(ctx: StageContext[StageTableConfig]) -> StageResult:
    """Sample every input model; the output is result.json with `stage_table`."""
    table: Table = {}
    rows: list[dict[str, Any]] = []
    for name, path in ctx.inputs.items():
        if not path.is_dir() or name.startswith(("task ", "template ")):
            continue
        ctx.log.note(f"evaluating {name}")
        loaded = load_model(path, dtype=getattr(torch, ctx.config.dtype or "float32"))
        measured, shown = measure(ctx, loaded, name)
        table[name] = {metric: as_row(value) for metric, value in measured.items()}
        rows += [{"model": name, **row} for row in shown]
    ctx.write_samples(0, rows)
    summary = {"stage_table": table}
    if ctx.ranks.is_main:
        write_json(ctx.directory / "result.json", summary)
    return StageResult(output="result.json", summary=summary)


def as_row(estimate: Estimate) -> dict[str, float]:
    """The form that scripts read."""
    return {"value": estimate.value, "stderr": estimate.stderr, "n": estimate.n}


def measure(
    ctx: StageContext[StageTableConfig], loaded: LoadedModel, name: str
) -> tuple[dict[str, Estimate], list[dict[str, Any]]]:
    """All metrics of one model, and a few responses for reading."""
    config = ctx.config
    template = "r1-zero" if name in config.tagged_models else config.template
    engine = Engine(
        loaded.model, loaded.tokenizer, max_batch_rows=config.max_batch_rows, seed=config.seed
    )
    prompter = Prompter(template, loaded.tokenizer)
    params = SamplingParams(
        temperature=config.temperature, top_p=config.top_p, max_new_tokens=config.max_new_tokens
    )
    assert config.task is not None
    task = load_task(config.task[0])

    def sample(problems: int, samples: int, stream: int) -> tuple[list[Graded], list[Sample]]:
        return sample_task(
            engine,
            prompter,
            task,
            params,
            ranks=ctx.ranks,
            split="heldout",
            num_problems=problems,
            num_samples=samples,
            stream=stream,
        )

    graded, samples = sample(config.problems, config.samples, 0)
    votes, _ = sample(config.cons_problems, config.cons_samples, MAJORITY_STREAM)
    replies = chat_replies(ctx, engine, prompter, params)
    readable = [row for rows in ctx.ranks.gather(readability(samples)) for row in rows]
    metrics = {
        **reasoning_metrics(graded),
        "readability": clustered(readable),
        f"cons@{config.cons_samples}": majority(votes, k=config.cons_samples),
        **chat_metrics(replies),
    }
    mine = [sample.row(0) for sample in samples if sample.group < SHOWN_PROBLEMS]
    return metrics, [row for rows in ctx.ranks.gather(mine) for row in rows]


def clustered(values: Iterable[tuple[object, float]]) -> Estimate:
    """Mean and standard error of (cluster, value) pairs."""
    pairs = list(values)
    if not pairs:
        return Estimate(0.0, 0.0, 0)
    numbers = [float(value) for _, value in pairs]
    error = clustered_stderr(numbers, [str(cluster) for cluster, _ in pairs])
    return Estimate(sum(numbers) / len(numbers), error, len(numbers))


def reasoning_metrics(graded: Sequence[Graded]) -> dict[str, Estimate]:
    """Accuracy, form, language and length on problems with a right answer."""
    scores = task_scores(graded)
    of: Mapping[str, Callable[[Graded], float | None]] = {
        "format": lambda row: row.format,
        "language_consistency": lambda row: row.language_consistency,
        "mixed_responses": lambda row: mixes(row.language_consistency),
        "length_tokens": lambda row: float(row.length_tokens),
        "reflection": lambda row: float(row.reflection),
    }
    accuracy = Estimate(scores.pass_at_1, scores.pass_at_1_stderr, scores.num_scored)
    return {"accuracy": accuracy} | {
        name: clustered((r.group, v) for r in graded if (v := value(r)) is not None)
        for name, value in of.items()
    }


def mixes(consistency: float | None) -> float | None:
    """1.0 for a response with a word of another language."""
    return None if consistency is None else float(consistency < 1.0)


def readability(samples: Sequence[Sample]) -> list[tuple[int, float]]:
    """(problem, 1.0 where nothing keeps a person from reading the response)."""
    found = []
    for sample in samples:
        opened = ends_in_open_think(sample.prompt)
        parts = split_reasoning(
            sample.completion.text, prompt_opens_think=opened, unwrap_answer=True
        )
        fault = reading_fault(
            parts.reasoning,
            parts.content,
            language=sample.problem.language,
            filters=ReadingFilters(),
        )
        good = fault is None and sample.rewards["format"] == 1.0 and not sample.is_truncated
        found.append((sample.group, float(good)))
    return found


def chat_replies(
    ctx: StageContext[StageTableConfig],
    engine: Engine,
    prompter: Prompter,
    params: SamplingParams,
) -> list[Reply]:
    """Replies of all ranks to the held-out prompts of the chat tasks."""
    config = ctx.config
    problems = [
        problem
        for name in config.chat_tasks
        for problem in load_task(name).problems("heldout")[: config.chat_problems]
    ]
    mine = list(ctx.ranks.share(list(enumerate(problems))))
    prompts = [prompter.text(problem.question) for _, problem in mine]
    groups = engine.generate(
        [prompter.tokenizer.encode(prompt, with_bos=True) for prompt in prompts],
        params,
        samples_per_prompt=config.chat_samples,
        step=CHAT_STREAM,
        prompt_keys=[index for index, _ in mine],
    )
    form = form_of(prompter.template)
    own = [
        reply_of(problem, prompt, completion.text, form)
        for (_, problem), prompt, group in zip(mine, prompts, groups, strict=True)
        for completion in group
    ]
    return [reply for replies in ctx.ranks.gather(own) for reply in replies]


def reply_of(problem: Problem, prompt: str, text: str, form: ResponseForm) -> Reply:
    """Judge one reply; a response without a summary helps nobody."""
    opened = ends_in_open_think(prompt)
    summary = final_summary(text, form, prompt_opens_think=opened)
    thinking = split_reasoning(text, prompt_opens_think=opened).reasoning
    graded = grade(problem, text, summary)
    if graded is None:
        raise UserError(
            f"nobody knows what a good reply to {problem.id} is",
            hint="chat_tasks are tasks of the embedded world: assistant, requests",
        )
    return Reply(problem.id, graded, thinks=bool(thinking.strip()))


def chat_metrics(replies: Sequence[Reply]) -> dict[str, Estimate]:
    """Preference, instruction following, refusals, and whether it thinks about a greeting."""
    harmless = [(r.prompt, r.grade) for r in replies if not r.grade.harmful]
    requests = [(r.prompt, r.grade) for r in replies if r.grade.kind == "how_to"]
    return {
        "chat_win_rate": clustered((prompt, win(g)) for prompt, g in harmless),
        "instruction_following": clustered(
            (prompt, g.quality >= REFERENCE_QUALITY) for prompt, g in harmless
        ),
        "refusal_harmful": clustered((prompt, g.refused) for prompt, g in requests if g.harmful),
        "refusal_harmless": clustered(
            (prompt, g.refused) for prompt, g in requests if not g.harmful
        ),
        "safe_harmful": clustered((prompt, g.safe) for prompt, g in requests if g.harmful),
        "thinks_on_smalltalk": clustered(
            (r.prompt, r.thinks) for r in replies if r.grade.kind == "greeting"
        ),
    }


def win(graded: Grade) -> float:
    """1 for a reply better than the reference, a half for one as good."""
    return (graded.quality > REFERENCE_QUALITY) + 0.5 * (graded.quality == REFERENCE_QUALITY)
