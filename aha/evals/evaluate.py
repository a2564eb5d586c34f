"""Evaluation by sampling: pass@1 and cons@k on problems that were never trained on.

Protocol of arXiv 2501.12948v2, D.1: k responses a problem at a temperature, pass@1 is the mean of
their correctness; the answer of the majority is cons@k. Standard errors are clustered by problem
(arXiv 2411.00640), because responses to one problem are not independent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aha.engine.engine import Engine
from aha.engine.types import SamplingParams
from aha.errors import UserError
from aha.evals.metrics import Estimate, clustered_stderr, cons_at_k, mean_and_stderr
from aha.model.hf_folder import LoadedModel
from aha.pipeline.ranks import Ranks
from aha.tasks.registry import load_task
from aha.tasks.task import Split, Task
from aha.trainers.advantage import stop_if_unscored
from aha.trainers.rollouts import Asked, Prompter, Sample, sample_groups


@dataclass(frozen=True, slots=True)
class Graded:
    """The little that metrics need of a sample; small enough to send between ranks."""

    group: int
    correct: bool
    """The answer is right and the response well formed: format is not forgiven."""
    scored: bool
    """False where the verifier failed or nothing is right or wrong: left out of pass@1."""
    answer: str | None
    """What a well-formed response votes for; right answers share one spelling."""
    length_tokens: int
    reflection: int
    format: float
    language_consistency: float | None
    truncated: bool


RIGHT = "\0right"
"""The vote of every right answer, however it is spelled."""


def grade(sample: Sample) -> Graded:
    well_formed = sample.rewards["format"] == 1.0
    scored = sample.verdict.is_scored and sample.is_checkable
    correct = scored and sample.verdict.is_correct and well_formed
    return Graded(
        group=sample.group,
        correct=correct,
        scored=scored,
        answer=RIGHT if correct else sample.verdict.extracted if well_formed else None,
        length_tokens=sample.length_tokens,
        reflection=sample.reflection,
        format=sample.rewards["format"],
        language_consistency=sample.language_consistency,
        truncated=sample.is_truncated,
    )


def sample_task(
    engine: Engine,
    prompter: Prompter,
    task: Task,
    params: SamplingParams,
    *,
    ranks: Ranks,
    split: Split,
    num_problems: int,
    num_samples: int,
    stream: int = 0,
) -> tuple[list[Graded], list[Sample]]:
    """Responses to the first problems of a split: graded ones of all ranks, this rank's in full.

    stream: another number draws other responses. Raises UserError for a split without problems,
    HealthError when the verifier fails.
    """
    problems = task.problems(split)[:num_problems]
    if not problems:
        raise UserError(f"task {task.name!r} has no {split} problems", hint="add some to its file")
    asked = ranks.share([Asked(i, task, problem) for i, problem in enumerate(problems)])
    samples = sample_groups(
        engine, prompter, asked, params, samples_per_prompt=num_samples, step=stream
    )
    if task.checkable:
        stop_if_unscored(samples, ranks)
    graded = [row for rows in ranks.gather([grade(s) for s in samples]) for row in rows]
    return graded, samples


@dataclass(frozen=True, slots=True)
class TaskScores:
    """Figures of one task, each a mean over responses."""

    pass_at_1: float
    pass_at_1_stderr: float
    num_scored: int
    """Responses behind pass@1."""
    num_problems: int
    length_tokens: float
    reflection: float
    format: float
    language_consistency: float
    truncated: float

    def metrics(self, task: str) -> dict[str, float]:
        """Under the metric names of a run directory."""
        return {
            f"eval/{task}/pass@1": self.pass_at_1,
            f"eval/{task}/pass@1_stderr": self.pass_at_1_stderr,
            f"eval/{task}/pass@1_n": self.num_scored,
            f"eval/{task}/length_tokens": self.length_tokens,
            f"eval/{task}/reflection": self.reflection,
            f"eval/{task}/format": self.format,
            f"eval/{task}/language_consistency": self.language_consistency,
            f"eval/{task}/truncated": self.truncated,
        }


def task_scores(graded: Sequence[Graded]) -> TaskScores:
    """Means over responses, with the standard error of pass@1 clustered by problem."""
    count, scored = len(graded), [row for row in graded if row.scored]
    consistent = [
        row.language_consistency for row in graded if row.language_consistency is not None
    ]
    return TaskScores(
        pass_at_1=sum(row.correct for row in scored) / max(1, len(scored)),
        pass_at_1_stderr=clustered_stderr(
            [float(row.correct) for row in scored], [row.group for row in scored]
        )
        if scored
        else 0.0,
        num_scored=len(scored),
        num_problems=len({row.group for row in graded}),
        length_tokens=sum(row.length_tokens for row in graded) / count,
        reflection=sum(row.reflection for row in graded) / count,
        format=sum(row.format for row in graded) / count,
        language_consistency=sum(consistent) / len(consistent) if consistent else 1.0,
        truncated=sum(row.truncated for row in graded) / count,
    )


def majority(graded: Sequence[Graded], *, k: int) -> Estimate:
    """cons@k over problems and its standard error; responses without an answer do not vote."""
    votes: dict[int, list[str | None]] = {}
    for row in graded:
        votes.setdefault(row.group, []).append(row.answer)
    return mean_and_stderr([cons_at_k(answers, gold=RIGHT, k=k) for answers in votes.values()])


def evaluate_tasks(
    engine: Engine,
    prompter: Prompter,
    tasks: Sequence[Task],
    params: SamplingParams,
    *,
    ranks: Ranks,
    split: Split,
    num_problems: int,
    num_samples: int = 1,
) -> dict[str, float]:
    """Metrics of several tasks on a split, for the curves of a training run."""
    metrics: dict[str, float] = {}
    for task in tasks:
        graded, _ = sample_task(
            engine,
            prompter,
            task,
            params,
            ranks=ranks,
            split=split,
            num_problems=num_problems,
            num_samples=num_samples,
        )
        metrics |= task_scores(graded).metrics(task.name)
    return metrics


def evaluate(
    loaded: LoadedModel,
    task: Task | str,
    *,
    template: str = "r1-zero",
    split: Split = "heldout",
    num_problems: int = 512,
    num_samples: int = 4,
    params: SamplingParams | None = None,
    seed: int = 0,
) -> TaskScores:
    """Sample a loaded model on a task, by name, file or object: its figures on a split."""
    chosen = load_task(task) if isinstance(task, str) else task
    graded, _ = sample_task(
        Engine(loaded.model, loaded.tokenizer, seed=seed),
        Prompter(template, loaded.tokenizer),
        chosen,
        params or SamplingParams(),
        ranks=Ranks(),
        split=split,
        num_problems=num_problems,
        num_samples=num_samples,
    )
    return task_scores(graded)
