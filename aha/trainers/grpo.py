"""Reinforcement learning as in DeepSeek-R1-Zero: sample, score, advantage, loss, step, log, save.

GRPO: arXiv 2402.03300, Algorithm 1; arXiv 2501.12948, equations 1-3. The equations are in
`aha.algorithms`, sampling in `aha.engine`; here is the loop. Rollout and training use the same
weights in the same module, so the importance ratio of the first update after a rollout is 1 by
construction; its largest deviation is logged as `ratio_max_abs_log`.
"""

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from aha.engine.engine import Engine
from aha.engine.types import SamplingParams
from aha.errors import UserError
from aha.evals.evaluate import evaluate_tasks
from aha.model.decoder import Decoder
from aha.model.hf_folder import load_model, write_model
from aha.pipeline.stage import StageContext, StageResult
from aha.rewards.language import CONSISTENCY_LANGUAGES
from aha.tasks.registry import check_gold, load_task
from aha.tasks.task import Task
from aha.trainers.advantage import assign_advantages, drop_equal, stop_if_unscored
from aha.trainers.advantage import reward_parts as part_names
from aha.trainers.all_scenarios import REWARD_MODELS, AllScenarios, all_scenarios
from aha.trainers.checkpoint import load_checkpoint, save_checkpoint
from aha.trainers.config import GrpoConfig
from aha.trainers.convergence import FLAT_RULE, has_converged
from aha.trainers.optim import Optimizers, adamw
from aha.trainers.problems import ProblemStream
from aha.trainers.rollouts import (
    Prompter,
    Sample,
    rollout_means,
    rollout_sums,
    sample_groups,
)
from aha.trainers.update import UpdateMetrics, update_policy

MAX_REFILLS = 3
"""Rounds of dynamic sampling after the first."""
EVALUATION_SEED = 1
"""Of the engine that evaluates, so that its draws are the same whatever the training seed."""


@dataclass(slots=True)
class Trainer:
    """What lives across the steps of one rank."""

    ctx: StageContext[GrpoConfig]
    policy: Decoder
    reference: Decoder | None
    optimizers: Optimizers
    engine: Engine
    prompter: Prompter
    problems: ProblemStream
    params: SamplingParams
    general: AllScenarios | None = None
    """Prompts without right answers and the reward models that judge them."""
    seconds: dict[str, float] = field(default_factory=dict)


def train(ctx: StageContext[GrpoConfig]) -> StageResult:
    """Train a policy from the input `model`; the output is a plain HF folder."""
    trainer = build_trainer(ctx)
    num_steps = ctx.config.num_steps
    if ctx.resume_from is not None:
        restore(trainer)
    else:
        ctx.append("metrics.jsonl", {"step": 0, **evaluate(trainer)})
    for step in range(ctx.resume_step + 1, num_steps + 1):
        with timed(trainer, "rollout"):
            rolled = rollout(trainer, step)
        with timed(trainer, "train"):
            updated = update_policy(
                rolled.trained,
                policy=trainer.policy,
                reference=trainer.reference,
                optimizers=trainer.optimizers,
                config=ctx.config,
                ranks=ctx.ranks,
                step=step,
            )
        refresh_reference(trainer, step)
        report(trainer, rolled, updated, step)
        if has_converged(ctx, step):
            ctx.log.note(f"converged at step {step}: {FLAT_RULE.format(ctx.config.stop_when_flat)}")
            break
        if step % ctx.config.save_every == 0 and step < num_steps:
            save(trainer, step)
    ctx.publish(
        "model", lambda folder: write_model(folder, trainer.policy, trainer.prompter.tokenizer)
    )
    return StageResult(output="model", summary={"steps": step})


def build_trainer(ctx: StageContext[GrpoConfig]) -> Trainer:
    """Load the policy and set up everything around it."""
    config = ctx.config
    dtype = torch.float32 if config.dtype == "float32" else torch.bfloat16
    loaded = load_model(ctx.inputs["model"], dtype=dtype)
    policy = loaded.model
    return Trainer(
        ctx=ctx,
        policy=policy,
        reference=frozen_copy(policy) if config.kl_coef is not None else None,
        optimizers=adamw(
            policy,
            lr=config.learning_rate,
            beta2=config.adam_beta2,
            weight_decay=config.weight_decay,
        ),
        engine=Engine(
            policy, loaded.tokenizer, max_batch_rows=config.max_batch_rows, seed=config.seed
        ),
        prompter=Prompter(config.template, loaded.tokenizer),
        problems=ProblemStream([checkable_task(name, config) for name in config.task], config.seed),
        params=SamplingParams(temperature=config.temperature, max_new_tokens=config.max_new_tokens),
        general=all_scenarios(config, ctx.inputs),
    )


def checkable_task(name: str, config: GrpoConfig) -> Task:
    """A task that rule rewards can train on."""
    task = load_task(name)
    if not task.checkable:
        raise UserError(
            f"task {task.name!r} has no answers that can be checked",
            hint="reinforcement learning with rule rewards needs a checkable task",
        )
    check_gold(task)
    languages = {problem.language for problem in task.problems("train")}
    if config.language_weight and not languages <= set(CONSISTENCY_LANGUAGES):
        raise UserError(
            f"no language reward for {', '.join(sorted(languages - set(CONSISTENCY_LANGUAGES)))}",
            hint=f"set language_weight=0; known languages: {', '.join(CONSISTENCY_LANGUAGES)}",
        )
    return task


def frozen_copy(policy: Decoder) -> Decoder:
    """A reference policy for the KL term."""
    return copy.deepcopy(policy).requires_grad_(False)


@dataclass(frozen=True, slots=True)
class Rollout:
    """This rank's samples of a step."""

    drawn: list[Sample]
    """All of them: what is measured and written down."""
    trained: list[Sample]
    """Those the update sees; with dynamic sampling without the groups of equal rewards."""
    equal_reward_groups: int
    """On all ranks, among the first prompts of the step."""


def rollout(trainer: Trainer, step: int) -> Rollout:
    """Sample, judge and compare.

    With dynamic sampling (DAPO) groups of equal rewards are replaced by new prompts, a few rounds
    at most; what is still missing then makes the step smaller.
    """
    config, ranks = trainer.ctx.config, trainer.ctx.ranks
    drawn = draw(trainer, config.prompts_per_step, step)
    num_equal = assign_advantages(drawn, config, ranks)
    if not config.dynamic_sampling:
        return Rollout(drawn, drawn, num_equal)
    trained, missing = drop_equal(drawn, config, ranks)
    for _ in range(MAX_REFILLS):
        if not missing:
            break
        fresh = draw(trainer, missing, step)
        assign_advantages(fresh, config, ranks)
        drawn = [*drawn, *fresh]
        trained, missing = drop_equal([*trained, *fresh], config, ranks)
    assign_advantages(trained, config, ranks)
    return Rollout(drawn, trained, num_equal)


def draw(trainer: Trainer, num_prompts: int, step: int) -> list[Sample]:
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


def refresh_reference(trainer: Trainer, step: int) -> None:
    """Every so often the reference becomes the current policy (paper: every 400 steps)."""
    every = trainer.ctx.config.reference_refresh_every
    if trainer.reference is not None and every is not None and step % every == 0:
        trainer.reference.load_state_dict(trainer.policy.state_dict())


def evaluate(trainer: Trainer) -> dict[str, float]:
    """Metrics on validation problems, which are never trained on."""
    config = trainer.ctx.config
    if config.eval_every is None:
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
        trainer.problems.tasks,
        trainer.params,
        ranks=trainer.ctx.ranks,
        split="validation",
        num_problems=config.eval_problems,
    )


def report(trainer: Trainer, rolled: Rollout, updated: UpdateMetrics, step: int) -> None:
    """Write the step's metrics and timing, print its line, now and then save and show samples."""
    ctx, config = trainer.ctx, trainer.ctx.config
    samples = rolled.drawn
    sums = rollout_sums(samples, reward_parts(trainer))
    totals = dict(zip(sums, ctx.ranks.sum(*sums.values()), strict=True))
    metrics = {
        "step": step,
        **rollout_means(totals),
        "rollout/equal_reward_groups": rolled.equal_reward_groups / config.prompts_per_step,
        **updated.row(),
    }
    if config.eval_every is not None and (
        step % config.eval_every == 0 or step == config.num_steps
    ):
        with timed(trainer, "eval"):
            metrics |= evaluate(trainer)
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


def reward_parts(trainer: Trainer) -> tuple[str, ...]:
    """Names of all parts that a sample's reward may have."""
    own = part_names(trainer.ctx.config, trainer.problems.tasks)
    return own if trainer.general is None else (*own, *REWARD_MODELS)


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


def timing(trainer: Trainer, num_tokens: float) -> dict[str, float]:
    """Seconds by phase, and sampled tokens a second of the rollout, of all ranks together."""
    seconds, trainer.seconds = trainer.seconds, {}
    row = {f"time/{phase}_seconds": round(value, 3) for phase, value in seconds.items()}
    row["time/step_seconds"] = round(sum(seconds.values()), 3)
    row["tokens_per_second"] = round(num_tokens / max(seconds["rollout"], 1e-9), 1)
    return row


@contextmanager
def timed(trainer: Trainer, phase: str) -> Iterator[None]:
    """Add the time of a block to a phase of the step."""
    start = time.perf_counter()
    yield
    trainer.seconds[phase] = trainer.seconds.get(phase, 0.0) + time.perf_counter() - start


def save(trainer: Trainer, step: int) -> None:
    """A checkpoint from which the run continues bit for bit: random streams are named by step."""
    extra: dict[str, Any] = {"position": trainer.problems.position}
    if trainer.general is not None:
        extra["general_position"] = trainer.general.problems.position
    if trainer.reference is not None and trainer.ctx.config.reference_refresh_every is not None:
        extra["reference"] = trainer.reference.state_dict()
    trainer.ctx.save_checkpoint(
        step,
        lambda folder: save_checkpoint(
            folder, trainer.policy, trainer.prompter.tokenizer, trainer.optimizers, extra
        ),
        keep=trainer.ctx.config.keep_checkpoints,
    )


def restore(trainer: Trainer) -> None:
    """Continue from `resume_from`."""
    assert trainer.ctx.resume_from is not None
    extra = load_checkpoint(trainer.ctx.resume_from, trainer.policy, trainer.optimizers)
    trainer.problems.position = extra["position"]
    if trainer.general is not None:
        trainer.general.problems.position = extra["general_position"]
    if trainer.reference is not None and "reference" in extra:
        trainer.reference.load_state_dict(extra["reference"])
