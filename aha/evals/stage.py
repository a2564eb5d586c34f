"""The last stage of a recipe: held-out figures of the model before and after training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from aha.engine.engine import Engine
from aha.engine.types import SamplingParams
from aha.evals.config import EvaluateConfig
from aha.evals.corrections import CorrectionRates, merge_rates, rate_responses
from aha.evals.evaluate import Graded, TaskScores, majority, sample_task, task_scores
from aha.evals.metrics import Estimate
from aha.model.hf_folder import LoadedModel, load_model
from aha.model.tokenizer import Tokenizer
from aha.pipeline.files import write_json
from aha.pipeline.ranks import Ranks
from aha.pipeline.stage import StageContext, StageResult
from aha.rewards.reflection import count_reflection_words
from aha.tasks.registry import check_distinct, load_task
from aha.tasks.task import Task
from aha.trainers.rollouts import Prompter, Sample

MAJORITY_STREAM = 1
ABLATION_STREAM = 2
SAVED_PROBLEMS = 32
"""Problems of each task whose responses are written out for reading."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one model on one task."""

    scores: TaskScores
    corrections: CorrectionRates
    """Of the responses behind `scores`."""
    majority: Estimate | None = None
    without_reflection: TaskScores | None = None
    """With the reflection words forbidden at decoding: what they are worth."""


def evaluate(ctx: StageContext[EvaluateConfig]) -> StageResult:
    """Sample the models `base` and `model` on held-out problems; the output is result.json."""
    config = ctx.config
    assert config.task is not None
    tasks = [load_task(name) for name in config.task]
    check_distinct(tasks)
    figures: dict[str, dict[str, Figures]] = {task.name: {} for task in tasks}
    rows: list[dict[str, Any]] = []
    for when, source in (("before", "base"), ("after", "model")):
        loaded = load_model(ctx.inputs[source], dtype=getattr(torch, config.dtype or "float32"))
        for task in tasks:
            ctx.log.note(f"evaluating {task.name} {when} training")
            measured, samples = measure(ctx, loaded, task, thoroughly=when == "after")
            figures[task.name][when] = measured
            rows += [{"when": when, **row} for row in readable_rows(ctx, samples)]
    ctx.write_samples(0, rows)
    summary = headline(figures[tasks[0].name], config)
    summary["tasks"] = {name: headline(both, config) for name, both in figures.items()}
    if ctx.ranks.is_main:
        write_json(ctx.directory / "result.json", summary)
    return StageResult(output="result.json", summary=summary)


def measure(
    ctx: StageContext[EvaluateConfig], loaded: LoadedModel, task: Task, *, thoroughly: bool
) -> tuple[Figures, list[Sample]]:
    """pass@1 and self-corrections of a model, and the responses of this rank behind them.

    thoroughly: also the majority vote, and pass@1 with the reflection words forbidden.
    """
    config = ctx.config
    assert config.template is not None and config.max_new_tokens is not None
    engine = Engine(
        loaded.model, loaded.tokenizer, max_batch_rows=config.max_batch_rows, seed=config.seed
    )
    prompter = Prompter(config.template, loaded.tokenizer)
    params = SamplingParams(
        temperature=config.temperature, top_p=config.top_p, max_new_tokens=config.max_new_tokens
    )

    def sample(
        num_problems: int, num_samples: int, stream: int, params: SamplingParams
    ) -> tuple[list[Graded], list[Sample]]:
        return sample_task(
            engine,
            prompter,
            task,
            params,
            ranks=ctx.ranks,
            split="heldout",
            num_problems=num_problems,
            num_samples=num_samples,
            stream=stream,
        )

    graded, samples = sample(config.problems, config.samples, 0, params)
    corrections = rate_corrections(samples, ctx.ranks)
    if not thoroughly:
        return Figures(task_scores(graded), corrections), samples
    votes, _ = sample(config.cons_problems, config.cons_samples, MAJORITY_STREAM, params)
    forbidden = SamplingParams(
        temperature=config.temperature,
        top_p=config.top_p,
        max_new_tokens=config.max_new_tokens,
        forbidden_token_ids=reflection_tokens(loaded.tokenizer),
    )
    ablated, _ = sample(config.problems, 1, ABLATION_STREAM, forbidden)
    vote = majority(votes, k=config.cons_samples)
    return Figures(task_scores(graded), corrections, vote, task_scores(ablated)), samples


def rate_corrections(samples: Sequence[Sample], ranks: Ranks) -> CorrectionRates:
    """How the self-corrections of all ranks' responses went: every rank reads its own."""
    mine = rate_responses((s.completion.text, s.verdict.is_correct) for s in samples)
    return merge_rates(ranks.gather(mine))


def reflection_tokens(tokenizer: Tokenizer) -> tuple[int, ...]:
    """Ids of the tokens that hold a reflection word."""
    texts = ((i, tokenizer.decode([i])) for i in range(tokenizer.vocab_size))
    return tuple(i for i, text in texts if count_reflection_words(text))


def headline(figures: dict[str, Figures], config: EvaluateConfig) -> dict[str, Any]:
    """The figures of one task under the names that scripts read."""
    before, after = figures["before"].scores, figures["after"].scores
    out: dict[str, Any] = {
        "pass@1_before": before.pass_at_1,
        "pass@1_before_stderr": before.pass_at_1_stderr,
        "pass@1_after": after.pass_at_1,
        "pass@1_after_stderr": after.pass_at_1_stderr,
        "length_before_tokens": before.length_tokens,
        "length_after_tokens": after.length_tokens,
        "reflection_before": before.reflection,
        "reflection_after": after.reflection,
        "format_before": before.format,
        "format_after": after.format,
        "language_consistency_before": before.language_consistency,
        "language_consistency_after": after.language_consistency,
        "truncated_after": after.truncated,
        "corrections_before": figures["before"].corrections.summary(),
        "corrections_after": figures["after"].corrections.summary(),
        "problems": before.num_problems,
        "samples": config.samples,
    }
    votes, ablated = figures["after"].majority, figures["after"].without_reflection
    if votes is not None:
        name = f"cons@{config.cons_samples}_after"
        out |= {name: votes.value, f"{name}_stderr": votes.stderr, f"{name}_n": votes.n}
    if ablated is not None:
        out["pass@1_without_reflection"] = ablated.pass_at_1
        out["pass@1_without_reflection_stderr"] = ablated.pass_at_1_stderr
        out["pass@1_without_reflection_n"] = ablated.num_scored
    return out


def readable_rows(
    ctx: StageContext[EvaluateConfig], samples: Sequence[Sample]
) -> list[dict[str, Any]]:
    """The responses to the first problems, from all ranks."""
    mine = [sample.row(0) for sample in samples if sample.group < SAVED_PROBLEMS]
    return [row for rows in ctx.ranks.gather(mine) for row in rows]
