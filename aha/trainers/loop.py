"""The loop of every training on a model's own samples: roll out, update, log, save, resume.

What is done with the samples (GRPO, PPO, distillation) is a function of the caller's.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, Self, TypeVar

from aha.engine.engine import Engine
from aha.engine.types import SamplingParams
from aha.evals.evaluate import evaluate_tasks
from aha.model.decoder import Decoder
from aha.model.hf_folder import LoadedModel, write_model
from aha.pipeline.stage import StageContext, StageResult
from aha.tasks.task import Task
from aha.trainers.advantage import stop_if_unscored
from aha.trainers.all_scenarios import AllScenarios, grader_means
from aha.trainers.checkpoint import load_checkpoint, save_checkpoint
from aha.trainers.convergence import has_converged, how_it_ended
from aha.trainers.optim import Optimizers
from aha.trainers.problems import ProblemStream
from aha.trainers.rollout_config import RolloutConfig
from aha.trainers.rollouts import Prompter, Sample, rollout_means, rollout_sums, sample_groups
from aha.trainers.suites import are_due, suite_metrics

EVALUATION_SEED = 1
"""Of the engine that evaluates, so that its draws are the same whatever the training seed."""


ConfigT = TypeVar("ConfigT", bound=RolloutConfig)


class Stateful(Protocol):
    """What a checkpoint can hold: a model, an optimizer."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any, /) -> Any: ...


@dataclass(slots=True)
class Trainer(Generic[ConfigT]):
    """What lives across the steps of one rank."""

    ctx: StageContext[ConfigT]
    policy: Decoder
    optimizers: Optimizers
    engine: Engine
    prompter: Prompter
    problems: ProblemStream
    params: SamplingParams
    reward_parts: tuple[str, ...]
    """Names of all parts that a sample's reward may have."""
    reference: Decoder | None = None
    """Which the policy is kept near to, or is measured against."""
    general: AllScenarios | None = None
    """Prompts without right answers and the reward models that judge them."""
    more_state: Mapping[str, Stateful] = field(default_factory=dict)
    """What checkpoints hold beside the policy and its optimizer, by name."""
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def around(
        cls,
        ctx: StageContext[ConfigT],
        loaded: LoadedModel,
        *,
        optimizers: Optimizers,
        tasks: Sequence[Task],
        reward_parts: tuple[str, ...],
    ) -> Self:
        """A trainer that asks, samples and resumes as the stage's config says."""
        config, policy, tokenizer = ctx.config, loaded.model, loaded.tokenizer
        return cls(
            ctx=ctx,
            policy=policy,
            optimizers=optimizers,
            engine=Engine(
                policy, tokenizer, max_batch_rows=config.max_batch_rows, seed=config.seed
            ),
            prompter=Prompter(config.template, tokenizer),
            problems=ProblemStream(tasks, config.seed),
            params=SamplingParams(
                temperature=config.temperature, max_new_tokens=config.max_new_tokens
            ),
            reward_parts=reward_parts,
        )


@dataclass(frozen=True, slots=True)
class Rollout:
    """This rank's samples of a step."""

    drawn: list[Sample]
    """All of them: what is measured and written down."""
    trained: list[Sample]
    """Those the update sees; with dynamic sampling without the groups of equal rewards."""
    equal_reward_groups: int | None = None
    """On all ranks, among the first prompts of the step; None where nothing is made of groups."""

    def row(self, config: RolloutConfig) -> dict[str, float]:
        """What is measured of the groups."""
        equal = self.equal_reward_groups
        if equal is None:
            return {}
        return {"rollout/equal_reward_groups": equal / config.prompts_per_step}


class StepMetrics(Protocol):
    """What an update has measured."""

    def row(self) -> dict[str, float]: ...


def run_steps(
    trainer: Trainer[ConfigT],
    rollout: Callable[[Trainer[ConfigT], int], Rollout],
    update: Callable[[Rollout, int], StepMetrics],
) -> StageResult:
    """All steps from the checkpoint on; the output is a plain HF folder of the policy."""
    ctx, num_steps = trainer.ctx, trainer.ctx.config.num_steps
    if ctx.resume_from is not None:
        restore(trainer)
    else:
        measured = suite_metrics(ctx, trainer.policy, trainer.prompter.tokenizer)
        ctx.append("metrics.jsonl", {"step": 0, **evaluate(trainer), **measured})
    converged = False
    for step in range(ctx.resume_step + 1, num_steps + 1):
        with timed(trainer, "rollout"):
            rolled = rollout(trainer, step)
        with timed(trainer, "train"):
            updated = update(rolled, step)
        report(trainer, rolled, updated, step)
        converged = has_converged(ctx, step)
        if converged:
            ctx.log.note(how_it_ended(ctx.config, step, converged=True)["ended"])
            break
        if step % ctx.config.save_every == 0 and step < num_steps:
            save(trainer, step)
    ctx.publish(
        "model", lambda folder: write_model(folder, trainer.policy, trainer.prompter.tokenizer)
    )
    return StageResult(output="model", summary=how_it_ended(ctx.config, step, converged=converged))


def draw(trainer: Trainer[Any], num_prompts: int, step: int) -> list[Sample]:
    """This rank's share of the responses to the next prompts."""
    config, general = trainer.ctx.config, trainer.general
    num_general = general.num_general(num_prompts, step, config.num_steps) if general else 0
    asked = trainer.problems.take(num_prompts - num_general)
    if general is not None:
        asked += general.take(num_general)
    samples = sample_groups(
        trainer.engine,
        trainer.prompter,
        trainer.ctx.ranks.deal(asked) if num_general else trainer.ctx.ranks.share(asked),
        trainer.params,
        samples_per_prompt=config.samples_per_prompt,
        step=step,
    )
    if general is not None:
        general.score(samples)
    stop_if_unscored(samples, trainer.ctx.ranks, step)
    return samples


def evaluate(trainer: Trainer[Any]) -> dict[str, float]:
    """Metrics on validation problems, which are never trained on."""
    config = trainer.ctx.config
    tasks = [task for task in trainer.problems.tasks if task.checkable]
    if config.eval_every is None or not tasks:
        return {}
    engine = Engine(
        trainer.policy,
        trainer.prompter.tokenizer,
        max_batch_rows=config.max_batch_rows,
        seed=EVALUATION_SEED,
    )
    return evaluate_tasks(
        engine,
        trainer.prompter,
        tasks,
        trainer.params,
        ranks=trainer.ctx.ranks,
        split="validation",
        num_problems=config.eval_problems,
    )


def report(trainer: Trainer[Any], rolled: Rollout, updated: StepMetrics, step: int) -> None:
    """Write the step's metrics and timing, print its line, now and then save and show samples."""
    ctx, config = trainer.ctx, trainer.ctx.config
    samples = rolled.drawn
    graded = trainer.general.grader_sums(samples) if trainer.general is not None else {}
    sums = rollout_sums(samples, trainer.reward_parts) | graded
    totals = dict(zip(sums, ctx.ranks.sum(*sums.values()), strict=True))
    metrics = {
        "step": step,
        **rollout_means(totals),
        **grader_means(totals),
        **rolled.row(config),
        **updated.row(),
    }
    if config.eval_every is not None and (
        step % config.eval_every == 0 or step == config.num_steps
    ):
        with timed(trainer, "eval"):
            metrics |= evaluate(trainer)
    if are_due(config, step, config.num_steps):
        with timed(trainer, "suites"):
            metrics |= suite_metrics(ctx, trainer.policy, trainer.prompter.tokenizer)
    ctx.append("metrics.jsonl", metrics)
    times = timing(trainer, totals["length_tokens"])
    ctx.append("timing.jsonl", {"step": step, **times})
    columns = progress_columns(metrics) | {"tokens/s": f"{times['tokens_per_second']:.0f}"}
    ctx.log.step(step, config.num_steps, columns)
    if step % config.sample_every == 0 or step in (1, config.num_steps):
        everyone = ctx.ranks.gather([sample.row(step) for sample in samples])
        ctx.write_samples(step, [row for rows in everyone for row in rows])
        if samples:
            shown = samples[0]
            ctx.log.sample(
                shown.problem.question,
                shown.completion.text,
                shown.rewards,
                verdict=f"{shown.verdict.kind}: {shown.verdict.reason}",
            )


def progress_columns(metrics: dict[str, float]) -> dict[str, float | str]:
    """The columns of the progress line."""
    return {
        "accuracy": metrics["rollout/accuracy"],
        "format": metrics["rollout/format"],
        "length": metrics["rollout/length_tokens"],
        "reflect": metrics["rollout/reflection"],
        "language": metrics["rollout/language_consistency"],
        "entropy": metrics["rollout/entropy"],
    }


def timing(trainer: Trainer[Any], num_tokens: float) -> dict[str, float]:
    """Seconds by phase, and sampled tokens a second of the rollout, of all ranks together."""
    seconds, trainer.seconds = trainer.seconds, {}
    row = {f"time/{phase}_seconds": round(value, 3) for phase, value in seconds.items()}
    row["time/step_seconds"] = round(sum(seconds.values()), 3)
    row["tokens_per_second"] = round(num_tokens / max(seconds["rollout"], 1e-9), 1)
    return row


@contextmanager
def timed(trainer: Trainer[Any], phase: str) -> Iterator[None]:
    """Add the time of a block to a phase of the step."""
    start = time.perf_counter()
    yield
    trainer.seconds[phase] = trainer.seconds.get(phase, 0.0) + time.perf_counter() - start


def save(trainer: Trainer[Any], step: int) -> None:
    """A checkpoint from which the run continues bit for bit: random streams are named by step."""
    extra: dict[str, Any] = {"position": trainer.problems.position}
    if trainer.general is not None:
        extra["general_position"] = trainer.general.problems.position
    extra |= {name: part.state_dict() for name, part in trainer.more_state.items()}
    trainer.ctx.save_checkpoint(
        step,
        lambda folder: save_checkpoint(
            folder, trainer.policy, trainer.prompter.tokenizer, trainer.optimizers, extra
        ),
        keep=trainer.ctx.config.keep_checkpoints,
    )


def restore(trainer: Trainer[Any]) -> None:
    """Continue from `resume_from`."""
    assert trainer.ctx.resume_from is not None
    extra = load_checkpoint(trainer.ctx.resume_from, trainer.policy, trainer.optimizers)
    trainer.problems.position = extra["position"]
    if trainer.general is not None:
        trainer.general.problems.position = extra["general_position"]
    for name, part in trainer.more_state.items():
        part.load_state_dict(extra[name])
