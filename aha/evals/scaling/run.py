"""`aha scale`: measure strategies on a suite, point by point; the result is one JSON file.

Problems are worked on in chunks of fixed membership, dealt to the processes like cards; every chunk
of every point is kept in a journal as soon as it is done. So neither kill -9 nor the number of
processes shows in the result, which holds no clock.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import Field

from aha.config import Config, build
from aha.engine.types import SamplingParams
from aha.errors import UserError
from aha.evals.backends import LocalBackend
from aha.evals.metrics import mean_and_stderr
from aha.evals.plan import EvalConfig, Plan, plan
from aha.evals.result import journal_path
from aha.evals.scaling.journal import Journal
from aha.evals.scaling.sampler import Outcome, Question, RewardScorer, Sampler, SearchSettings
from aha.evals.scaling.strategies import Point, parse_points
from aha.evals.scaling.training import training_curve
from aha.pipeline.files import read_json, remove_folder, write_json
from aha.pipeline.launch import launched
from aha.pipeline.machine import default_ranks
from aha.pipeline.progress import Progress, format_seconds
from aha.pipeline.ranks import Ranks
from aha.pipeline.run_dir import take_lock

FORMAT_VERSION = 1
KIND = "scaling"
MOST_CHUNK = 64
CHUNK_TOKENS = 32_768
"""Problems of a chunk, times the limit of a response: what a kill may cost, up to the pool."""
DEFAULT_PROBLEMS = 128
JOB = "job.json"
REWARD_TOKENS = 8_192
"""Of a micro-batch of the reward model."""


class ScaleConfig(Config):
    """What is measured. None: as the suite's protocol, or the model, has it."""

    model: str = Field(description="model folder or run directory")
    suite: str = Field(description="name of a suite or of a task, or a file")
    data: str | None = Field(None, description="the suite's JSONL file, or the folder with it")
    strategies: list[str] = Field([], description="NAME or NAME=SIZE,SIZE; none: the usual ones")
    problems: int = Field(DEFAULT_PROBLEMS, ge=2, description="the first so many of the suite")
    samples: int = Field(4, ge=1, le=1_024, description="responses where single ones are judged")
    temperature: float | None = Field(None, gt=0, le=10, description="of sampling")
    top_p: float | None = Field(None, gt=0, le=1, description="probability mass sampled from")
    max_new_tokens: int | None = Field(None, ge=1, le=1_048_576, description="of a response")
    template: str | None = Field(None, min_length=1, description="prompt template, or a file")
    instruction: str | None = Field(None, description="text behind each question")
    reward_model: str | None = Field(None, description="folder of a reward model")
    branch: int = Field(4, ge=1, le=256, description="continuations of a node of a search")
    rollouts: int = Field(2, ge=1, le=256, description="responses behind a Monte-Carlo value")
    answer_tokens: int = Field(32, ge=1, le=65_536, description="room for a forced answer")
    step_tokens: int = Field(64, ge=1, le=65_536, description="longest step of a search")
    seed: int = Field(0, ge=0, lt=2**32, description="of all responses")
    ranks: int | None = Field(None, ge=1, le=1_024, description="processes; none: one a core")

    def evaluation(self) -> EvalConfig:
        """The same as `aha eval` takes it."""
        names = ("model", "suite", "data", "problems", "temperature", "top_p", "max_new_tokens",
                 "template", "instruction", "seed")  # fmt: skip
        return EvalConfig(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A resolved measurement."""

    config: ScaleConfig
    planned: Plan
    backend: LocalBackend
    params: SamplingParams
    settings: SearchSettings
    points: list[Point]

    @property
    def chunk_problems(self) -> int:
        """Problems that are worked on at a time."""
        return max(1, min(MOST_CHUNK, CHUNK_TOKENS // self.params.max_new_tokens))


def scale(
    config: ScaleConfig, out: Path, *, resume: bool = True, log: Progress | None = None
) -> dict[str, Any]:
    """Measure and write `out`; work that was interrupted goes on. Raises UserError."""
    log, started = log or Progress(), time.monotonic()
    job = prepare(config)
    header = header_of(job)
    if resume and (finished := _finished(out, header, job.points)) is not None:
        log.note(f"{out} is finished; --no-resume measures anew")
        return finished
    with _folder_of(out, resume=resume) as folder:
        write_json(folder / JOB, config.table())
        num_problems = len(job.planned.problems)
        log.note(f"{len(job.points)} points of {num_problems} problems -> {out}")
        world = config.ranks or default_ranks(-(-num_problems // job.chunk_problems))
        with launched("aha.evals.scaling.run:work", str(folder), world) as ranks:
            outcomes = measure(job, folder, ranks, log)
        result = header | {"points": [_row(p, outcomes[p.name]) for p in job.points]}
        training = training_curve(config.model, job.planned.suite.name)
        if training is not None:
            result["training"] = training
        _write(out, result)
        remove_folder(folder)
    seconds = time.monotonic() - started
    log.note(f"measured in {format_seconds(seconds)} with {world} processes")
    return result


@contextmanager
def _folder_of(out: Path, *, resume: bool) -> Iterator[Path]:
    """The folder of the journal, locked; empty where nothing is to be gone on with."""
    folder = journal_path(out)
    folder.mkdir(parents=True, exist_ok=True)
    lock = take_lock(folder)
    try:
        for path in [] if resume else folder.glob("*.jsonl"):
            path.unlink()
        yield folder
    finally:
        os.close(lock)


def _write(out: Path, result: dict[str, Any]) -> None:
    hidden = out.with_name("." + out.name)  # NAME.json.partial is the journal's
    write_json(hidden, result)
    hidden.replace(out)


def _finished(out: Path, header: dict[str, Any], points: list[Point]) -> dict[str, Any] | None:
    """The result that is there, if it is just that of this measurement."""
    if not out.is_file() or journal_path(out).exists():
        return None
    try:
        found = json.loads(out.read_text(encoding="utf-8"))
        names = [f"{row['strategy']}={row['size']}" for row in found["points"]]
    except (ValueError, LookupError, TypeError):
        return None
    known = json.loads(json.dumps(header))  # tuples are lists in the file
    same = all(found.get(key) == value for key, value in known.items())
    return found if same and names == [point.name for point in points] else None


def work(argument: str, ranks: Ranks) -> None:
    """What a rank above 0 does: its chunks."""
    folder = Path(argument)
    job = prepare(build(ScaleConfig, read_json(folder / JOB)))
    measure(job, folder, ranks, Progress(enabled=False))


def prepare(config: ScaleConfig) -> Job:
    """Load suite and model and resolve what is left open. Raises UserError."""
    planned = plan(config.evaluation(), hash_weights=True)
    if not isinstance(planned.backend, LocalBackend):
        raise UserError(
            "responses of a server cannot be cut and continued",
            hint="give a model folder or a run directory",
        )
    backend = planned.backend
    context = backend.loaded_engine.model.config.max_positions
    limit = min(backend.params.max_new_tokens, context)
    points = parse_points(
        config.strategies, max_new_tokens=limit, has_reward=config.reward_model is not None
    )
    pool = max([config.samples, *(point.size for point in points if point.strategy.is_vote)])
    settings = SearchSettings(
        samples=config.samples,
        pool=pool,
        answer_tokens=config.answer_tokens,
        step_tokens=config.step_tokens,
        branch=config.branch,
        rollouts=config.rollouts,
    )
    params = replace(backend.params, max_new_tokens=limit)
    return Job(
        config=config,
        planned=planned,
        backend=backend,
        params=params,
        settings=settings,
        points=points,
    )


def header_of(job: Job) -> dict[str, Any]:
    """All of the result but what is measured."""
    header = job.planned.header()
    settings = header["settings"] | asdict(job.settings)
    settings |= {
        "max_new_tokens": job.params.max_new_tokens,
        "reward_model": _reward_identity(job.config.reward_model),
        "split": "heldout",
    }
    return {
        "format_version": FORMAT_VERSION,
        "kind": KIND,
        **{key: value for key, value in header.items() if key != "metric"},
        "settings": settings,
        "problem_ids": [problem.id for problem in job.planned.problems],
    }


def measure(job: Job, folder: Path, ranks: Ranks, log: Progress) -> dict[str, list[Outcome]]:
    """Outcomes of every point, in the order of the problems; on every rank."""
    identity = hashlib.sha256(json.dumps(header_of(job)).encode()).hexdigest()[:16]
    journal = Journal(folder, identity, ranks)
    sampler = Sampler(
        engine=job.backend.loaded_engine,
        prompter=job.backend.prompter,
        suite=job.planned.suite,
        params=job.params,
        journal=journal,
        settings=job.settings,
        reward=_reward_scorer(job),
    )
    asked = [sampler.question(i, problem) for i, problem in enumerate(job.planned.problems)]
    starts = range(0, len(asked), job.chunk_problems)
    mine = ranks.deal([asked[start : start + job.chunk_problems] for start in starts])
    if len(journal):
        log.note(f"going on: {len(journal)} chunks are there")
    told, found = _Told(len(job.points) * len(mine), log), {}
    for point in job.points:
        for chunk in mine:
            found[point.name, chunk[0].group] = _solved(sampler, point, chunk)
            told.count()
        told.tell(point, [o for chunk in mine for o in found[point.name, chunk[0].group]])
    merged = {key: value for part in ranks.gather(found) for key, value in part.items()}
    return {
        point.name: [o for start in starts for o in merged[point.name, start]]
        for point in job.points
    }


def _solved(sampler: Sampler, point: Point, chunk: Sequence[Question]) -> list[Outcome]:
    key = f"{point.name}/{chunk[0].group}"
    rows = sampler.journal.get(key)
    if rows is None:
        rows = [
            [o.tokens, o.score, o.text] for o in point.strategy.solve(sampler, chunk, point.size)
        ]
        sampler.journal.put(key, rows)
    return [Outcome(*row) for row in rows]


def _row(point: Point, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """A point as it is written: the mean over problems with the standard error of that mean."""
    accuracy = mean_and_stderr([outcome.score for outcome in outcomes])
    return {
        "strategy": point.strategy.name,
        "title": point.strategy.title,
        "size": point.size,
        "unit": point.strategy.unit,
        "oracle": point.strategy.is_oracle,
        "tokens": sum(outcome.tokens for outcome in outcomes) / len(outcomes),
        "accuracy": accuracy.value,
        "stderr": accuracy.stderr,
        "n": accuracy.n,
        "problem_tokens": [outcome.tokens for outcome in outcomes],
        "problem_scores": [outcome.score for outcome in outcomes],
        "example": outcomes[0].text,
    }


def _reward_identity(folder: str | None) -> str | None:
    if folder is None:
        return None
    from aha.evals.plan import weights_sha256
    from aha.pipeline.sources import resolve_model

    return weights_sha256(resolve_model(folder))


def _reward_scorer(job: Job) -> RewardScorer | None:
    if job.config.reward_model is None:
        return None
    import torch

    from aha.model.reward_model import load_reward_model
    from aha.pipeline.sources import resolve_model
    from aha.trainers.preference import score_rows, text_ids

    loaded = load_reward_model(resolve_model(job.config.reward_model))
    template, most = job.backend.prompter.template, loaded.model.config.max_positions

    def score(pairs: Sequence[tuple[str, str]]) -> list[float]:
        rows = [
            text_ids(loaded.tokenizer, template, question, text, max_tokens=most)
            for question, text in pairs
        ]
        with torch.inference_mode():
            scores = score_rows(loaded.model, rows, tokens_per_microbatch=REWARD_TOKENS)
        return [float(value) for value in scores]

    return score


class _Told:
    """One line a point, with the time left."""

    def __init__(self, total: int, log: Progress):
        self._total, self._log = total, log
        self._done, self._started = 0, time.monotonic()

    def count(self) -> None:
        self._done += 1

    def tell(self, point: Point, outcomes: Sequence[Outcome]) -> None:
        if not outcomes:
            return
        seconds = time.monotonic() - self._started
        left = format_seconds(seconds / self._done * (self._total - self._done))
        accuracy = sum(o.score for o in outcomes) / len(outcomes)
        tokens = sum(o.tokens for o in outcomes) / len(outcomes)
        self._log.note(
            f"{point.name:<22} {tokens:>9,.0f} tokens  {100 * accuracy:>5.1f}%  {left} left"
        )
