"""`aha eval`: draw the responses of a suite, grade them, keep every one, and sum them up.

The responses are drawn in fixed batches (`units`); each is graded and written to the journal before
the next begins. A process that is killed loses the batch it was at, and draws it again to the same
tokens. So neither interruptions nor the number of processes show in the result.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aha.config import build
from aha.errors import HealthError, UserError
from aha.evals.backends import LocalBackend, Place, Response, Tell
from aha.evals.conversation import converse
from aha.evals.figures import pass_at_1
from aha.evals.grading import grade, graded_sample, suite_figures
from aha.evals.journal import Graded, Journal, check_same, open_journal
from aha.evals.metrics import Estimate
from aha.evals.plan import EvalConfig, Plan, plan, short_meta
from aha.evals.result import (
    ProblemResult,
    Result,
    SampleResult,
    journal_path,
    load_result,
    save_result,
    timing_path,
)
from aha.pipeline.files import read_json, remove_folder, write_json
from aha.pipeline.launch import launched
from aha.pipeline.machine import cpu_name, default_ranks, memory_bytes
from aha.pipeline.progress import Progress
from aha.pipeline.ranks import Ranks
from aha.trainers.advantage import MAX_UNSCORED_FRACTION

JOB = "job.json"
TELL_SECONDS = 2.0
WITHIN_SECONDS = 15.0
EVALS = Path("evals")
Unit = Sequence[Place]


def run(
    config: EvalConfig,
    *,
    out: Path | None = None,
    resume: bool = True,
    log: Progress | None = None,
) -> Result:
    """Evaluate a model on a suite; the result is also in `out`, evals/SUITE-MODEL.json by default.

    An evaluation that was interrupted goes on, a finished one is only read, unless `resume` is
    False. UserError for a mistake, HealthError when the grader fails too often: the samples are
    kept, and `regrade` can try again.
    """
    log = log or Progress()
    planned = plan(config)
    header = planned.header()
    path = out or default_path(header)
    if resume and (finished := _finished(path, header)) is not None:
        log.note(f"{path} is finished; --no-resume evaluates anew")
        return finished
    with open_journal(journal_path(path), identity(header), is_kept=resume) as journal:
        _draw_all(planned, journal, path, log)
        journal.read()
        result = sum_up(planned, header, journal)
        save_result(path, result)
        write_json(timing_path(path), timing(journal))
        remove_folder(journal.folder)
    stop_if_unscored(result, path)
    return result


def work(argument: str, ranks: Ranks) -> None:
    """What a rank above 0 does: its share of the batches."""
    folder = Path(argument)
    planned = plan(build(EvalConfig, read_json(folder / JOB)), hash_weights=False)
    draw(planned, Journal(folder, ranks.rank), (), ranks, Progress(enabled=False))


def draw(
    planned: Plan, journal: Journal, todo: Sequence[Unit], ranks: Ranks, log: Progress
) -> None:
    """Draw, grade and keep this rank's share of the batches that rank 0 finds are missing."""
    told = _Told(planned, journal, log)
    for unit in ranks.deal(ranks.broadcast(todo)):
        started = time.monotonic()
        for batch in batches(planned, unit, told.within):
            graded = grade_batch(planned, batch)
            journal.add(graded, seconds=time.monotonic() - started)
            started = time.monotonic()
            told.tell()
    ranks.barrier()
    told.tell(is_last=True)


def batches(planned: Plan, unit: Unit, tell: Tell) -> Iterator[list[Response]]:
    """The responses in the places of a unit."""
    if planned.suite.has_turns:
        return converse(planned, unit, tell)
    return planned.backend.sample(planned.prompts, unit, tell)


def grade_batch(planned: Plan, batch: Sequence[Response]) -> list[Graded]:
    """Verdicts of a batch, in its order."""
    pairs = [(planned.problems[response.place[0]], response.text) for response in batch]
    return [
        (response.place, graded_sample(_ungraded(response), *verdict))
        for response, verdict in zip(batch, grade(planned.suite, pairs), strict=True)
    ]


def _ungraded(response: Response) -> SampleResult:
    return SampleResult(
        text=response.text,
        finish_reason=response.finish_reason,
        length_tokens=response.length_tokens,
        verdict="error",
        score=0.0,
    )


def units(num_problems: int, num_samples: int, rows: int) -> Iterator[Unit]:
    """All places in batches of at most `rows`, with whole problems where several fit."""
    whole = max(1, rows // num_samples)
    places = [(problem, number) for problem in range(num_problems) for number in range(num_samples)]
    for start in range(0, len(places), whole * num_samples):
        several = places[start : start + whole * num_samples]
        yield from (several[i : i + rows] for i in range(0, len(several), rows))


def missing(planned: Plan, journal: Journal) -> list[Unit]:
    """The batches that are not in the journal, or what of them is not."""
    rows = planned.backend.unit_rows
    every = units(len(planned.problems), planned.num_samples, rows)
    left = ([place for place in unit if place not in journal.samples] for unit in every)
    return [unit for unit in left if unit]


def sum_up(planned: Plan, header: dict[str, Any], journal: Journal) -> Result:
    """The result of a complete journal."""
    problems = problem_results(planned, journal)
    assert all(len(problem.samples) == planned.num_samples for problem in problems)
    suite = planned.suite
    metrics = suite_figures(suite, problems)
    return Result(**header, metrics=metrics, problems=tuple(problems))


def problem_results(planned: Plan, journal: Journal) -> list[ProblemResult]:
    """The problems with the samples that are there, in order of their numbers."""
    samples: dict[int, list[SampleResult]] = {}
    for problem, number in sorted(journal.samples):
        samples.setdefault(problem, []).append(journal.samples[problem, number])
    return [
        ProblemResult(
            id=problem.id,
            question=problem.question,
            gold=problem.gold,
            language=problem.language,
            prompt=planned.prompts[index],
            meta=short_meta(problem),
            samples=tuple(samples.get(index, ())),
        )
        for index, problem in enumerate(planned.problems)
    ]


def identity(header: dict[str, Any]) -> dict[str, Any]:
    """What two evaluations have to have in common to be one; where files lie is no part of it."""
    model = dict(header["model"])
    if model["sha256"] is not None:
        model.pop("reference")
    return {**{k: v for k, v in header.items() if k not in ("source", "metric")}, "model": model}


def default_path(header: dict[str, Any]) -> Path:
    """evals/SUITE-MODEL.json, with plain characters only."""
    name = f"{header['suite']}-{header['model']['name']}"
    plain = "".join(c if c.isalnum() or c in "-_.+@" else "-" for c in name)
    return EVALS / f"{plain.strip('.')[:200]}.json"


def timing(journal: Journal) -> dict[str, Any]:
    """How long it took: the processes worked side by side."""
    tokens = sum(sample.length_tokens for sample in journal.samples.values())
    seconds = max(journal.seconds.values(), default=0.0)
    return {
        "seconds": round(seconds, 3),
        "samples": len(journal.samples),
        "tokens": tokens,
        "tokens_per_second": round(tokens / max(seconds, 1e-9), 1),
        "process_seconds": {name: round(s, 3) for name, s in sorted(journal.seconds.items())},
        "processor": cpu_name(),
    }


def stop_if_unscored(result: Result, path: Path) -> None:
    """HealthError when the grader has failed on more than a fifth of the responses."""
    samples = [sample for problem in result.problems for sample in problem.samples]
    failed = [sample for sample in samples if not sample.is_scored]
    if len(failed) > MAX_UNSCORED_FRACTION * len(samples):
        raise HealthError(
            f"the grader gave no verdict on {len(failed)} of {len(samples)} responses: "
            f"{failed[0].reason}",
            hint=f"every response is in {path}; mend the grader, then aha eval --regrade {path}",
        )


def _draw_all(planned: Plan, journal: Journal, path: Path, log: Progress) -> None:
    todo, total = missing(planned, journal), len(planned.problems) * planned.num_samples
    there = f", {len(journal.samples):,} there already" if journal.samples else ""
    log.note(
        f"{planned.suite.name}: {len(planned.problems):,} problems x {planned.num_samples} "
        f"samples of {planned.model['name']} -> {path}{there}"
    )
    if not todo:
        return
    write_json(journal.folder / JOB, planned.config.table())
    log.begin(len(journal.samples))
    num_ranks = _num_ranks(planned, len(todo))
    try:
        with launched("aha.evals.run_eval:work", str(journal.folder), num_ranks) as ranks:
            draw(planned, journal, todo, ranks, log)
    except (KeyboardInterrupt, UserError):
        log.note(f"{len(journal.read()):,} of {total:,} samples are kept; the same command goes on")
        raise


def _num_ranks(planned: Plan, num_units: int) -> int:
    """Processes: one for servers and GPUs, else one a core, as long as they fit into memory."""
    if not isinstance(planned.backend, LocalBackend) or planned.backend.device != "cpu":
        return 1
    if planned.config.ranks is not None:
        return min(planned.config.ranks, num_units)
    assert planned.folder is not None
    size = 2 * sum(file.stat().st_size for file in planned.folder.glob("*.safetensors"))
    return min(default_ranks(num_units), max(1, (memory_bytes() or size) // max(1, 2 * size)))


def _finished(path: Path, header: dict[str, Any]) -> Result | None:
    """The result that is there. UserError when it is of another evaluation, or of nothing known."""
    if not path.exists() or (journal_path(path) / "settings.json").exists():
        return None
    result = load_result(path)
    check_same(path, identity({name: getattr(result, name) for name in header}), identity(header))
    return result


@dataclass(slots=True)
class _Told:
    """The progress line: every few seconds, with a running estimate and its error."""

    planned: Plan
    journal: Journal
    log: Progress
    last: float = field(default_factory=time.monotonic)
    shown: int = 0

    def within(self, line: str) -> None:
        """About a batch that takes long."""
        now = time.monotonic()
        if self.log.enabled and now - self.last >= WITHIN_SECONDS:
            self.last = now
            self.log.note(f"    {line}")

    def tell(self, *, is_last: bool = False) -> None:
        now = time.monotonic()
        is_due = is_last or not self.shown or now - self.last >= TELL_SECONDS
        if not self.log.enabled or not is_due:
            return
        self.last = now
        samples = self.journal.read()
        if len(samples) == self.shown or not samples:
            return
        self.shown = len(samples)
        total = len(self.planned.problems) * self.planned.num_samples
        self.log.step(self.shown, total, running(problem_results(self.planned, self.journal)))


def running(problems: Sequence[ProblemResult]) -> dict[str, float | str]:
    """The columns of the progress line."""
    samples = [sample for problem in problems for sample in problem.samples]
    estimate = pass_at_1(problems)
    return {
        "pass@1": "none yet" if estimate is None else percent(estimate),
        "tokens": sum(s.length_tokens for s in samples) / len(samples),
        "truncated": sum(s.is_truncated for s in samples) / len(samples),
        "unscored": float(sum(not s.is_scored for s in samples)),
    }


def percent(estimate: Estimate) -> str:
    """A share with its standard error."""
    return f"{estimate.value:.1%} +- {estimate.stderr:.1%}"
