"""How often a model solves each problem of a task: what filters and curricula go by.

The file of results is the only state. A row is written when all samples of its problem are judged,
and a sample depends on its problem's place and the settings alone, so a measurement that was killed
and started again writes the same file as one that was not.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aha.engine.engine import Engine
from aha.engine.types import SamplingParams
from aha.errors import UserError
from aha.model.hf_folder import load_model
from aha.pipeline.files import append_jsonl, read_jsonl, write_jsonl
from aha.pipeline.progress import Progress, format_seconds
from aha.pipeline.ranks import Ranks
from aha.pipeline.sources import model_source
from aha.tasks.registry import load_task
from aha.tasks.sources.measured import PASS_RATE
from aha.tasks.task import Problem, Split, Task
from aha.trainers.advantage import stop_if_unscored
from aha.trainers.rollouts import Asked, Prompter, Sample, sample_groups

Row = dict[str, Any]
RESPONSES_AT_ONCE = 256
"""Between two writes; what a kill costs at most."""
HASH_DIGITS = 12
"""Of a model's identity, beside its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How responses are drawn."""

    samples: int = 8
    """Responses to a problem."""
    temperature: float = 1.0
    max_new_tokens: int = 1_024
    template: str = "r1-zero"
    seed: int = 0

    @property
    def params(self) -> SamplingParams:
        return SamplingParams(temperature=self.temperature, max_new_tokens=self.max_new_tokens)


@dataclass(frozen=True, slots=True)
class PassRates:
    """What a finished measurement says."""

    rows: Sequence[Row]

    @property
    def rates(self) -> list[float]:
        """Of the problems that have one."""
        known = (row["meta"][PASS_RATE] for row in self.rows)
        return [rate for rate in known if rate is not None]

    def share(self, low: float, high: float) -> float:
        """Of the problems: those with a pass rate from `low` to `high`."""
        return sum(low <= rate <= high for rate in self.rates) / max(1, len(self.rows))

    def sentence(self) -> str:
        """For people: "512 problems: 41.0% never solved, 37.1% sometimes, 21.9% always"."""
        never, always = self.share(0, 0), self.share(1, 1)
        sometimes = len(self.rates) / max(1, len(self.rows)) - never - always
        return (
            f"{len(self.rows):,} problems: {never:.1%} never solved, {sometimes:.1%} sometimes, "
            f"{always:.1%} always"
        )


def measure_model(
    task: str,
    model: str,
    sampling: Sampling,
    path: Path,
    *,
    split: Split = "train",
    num_problems: int | None = None,
) -> PassRates:
    """`measure` for a task and a model by name, with progress on stderr."""
    if path.suffix != ".jsonl":
        raise UserError(f"cannot write {str(path)!r}", hint="--out FILE.jsonl")
    source, chosen = model_source(model), load_task(task)
    loaded = load_model(source.path)
    return measure(
        Engine(loaded.model, loaded.tokenizer, seed=sampling.seed),
        chosen,
        sampling,
        path,
        model=f"{model}@{source.identity[:HASH_DIGITS]}",
        split=split,
        num_problems=num_problems,
        note=Progress().note,
    )


def measure(
    engine: Engine,
    task: Task,
    sampling: Sampling,
    path: Path,
    *,
    model: str,
    split: Split = "train",
    num_problems: int | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> PassRates:
    """Sample a task's problems and write a row each to `path`, going on where it ends.

    A pass is a right answer, well formed or not. model: what every row says about where its rate
    comes from, so that rates of two models do not mix. Raises UserError for a task without right
    answers and for a file of another measurement, HealthError when the verifier fails.
    """
    if not task.checkable:
        raise UserError(f"task {task.name!r} has no answers that can be checked")
    problems = task.problems(split)[:num_problems]
    asked = [Asked(place, task, problem) for place, problem in enumerate(problems)]
    settings = {"model": model, **asdict(sampling)}
    num_done = begin(path, problems, settings)
    if num_done:
        note(f"{num_done:,} of {len(asked):,} problems are measured already")
    prompter = Prompter(sampling.template, engine.tokenizer)
    chunk = max(1, RESPONSES_AT_ONCE // sampling.samples)
    started = time.monotonic()
    for start in range(num_done, len(asked), chunk):
        part = asked[start : start + chunk]
        for item, rate in zip(part, rates_of(engine, prompter, part, sampling), strict=True):
            more = {PASS_RATE: rate, "measured": settings}
            append_jsonl(path, problem_row(item.problem, split, more))
        end = start + len(part)
        left = (time.monotonic() - started) / (end - num_done) * (len(asked) - end)
        note(f"{end:,}/{len(asked):,} problems, {format_seconds(left)} left")
    return PassRates(list(read_jsonl(path))[: len(asked)])


def rates_of(
    engine: Engine, prompter: Prompter, asked: Sequence[Asked], sampling: Sampling
) -> list[float | None]:
    """Pass rates of some problems; None where no sample has a verdict."""
    count = sampling.samples
    samples = sample_groups(
        engine, prompter, asked, sampling.params, samples_per_prompt=count, step=0
    )
    stop_if_unscored(samples, Ranks())
    return [rate_of(samples[start : start + count]) for start in range(0, len(samples), count)]


def rate_of(group: Sequence[Sample]) -> float | None:
    """Of the samples that have a verdict: those that are right."""
    correct = [sample.verdict.is_correct for sample in group if sample.verdict.is_scored]
    return sum(correct) / len(correct) if correct else None


def problem_row(problem: Problem, split: Split, more_meta: Mapping[str, Any]) -> Row:
    """A problem as a row of a task file."""
    return {
        "id": problem.id,
        "question": problem.question,
        "answer": problem.gold,
        "language": problem.language,
        "split": split,
        "meta": {**problem.meta, **more_meta},
    }


def begin(path: Path, problems: Sequence[Problem], settings: Mapping[str, Any]) -> int:
    """How many problems the file has already; a torn last line is taken off.

    Raises UserError for rows of other problems or other settings.
    """
    if not path.exists():
        write_jsonl(path, [])
        return 0
    rows = list(read_jsonl(path))
    for row, problem in zip(rows, problems, strict=False):
        meta = row.get("meta") or {}
        if row.get("id") != problem.id or meta.get("measured") != settings:
            raise UserError(
                f"{path} holds another measurement: its row {row.get('id')!r} differs",
                hint="give the same model and settings, or another --out",
            )
    write_jsonl(path, rows)
    return min(len(rows), len(problems))
