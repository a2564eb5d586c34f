"""Reinforcement learning as in DeepSeek-R1-Zero: sample, score, advantage, loss, step, log, save.

GRPO: arXiv 2402.03300, Algorithm 1; arXiv 2501.12948, equations 1-3. The equations are in
`aha.algorithms`, sampling in `aha.engine`, the loop in `loop`. Rollout and training use the same
weights in the same module, so the importance ratio of the first update after a rollout is 1 by
construction; its largest deviation is logged as `ratio_max_abs_log`.
"""

import copy

import torch

from aha.errors import UserError
from aha.model.decoder import Decoder
from aha.model.hf_folder import load_model
from aha.pipeline.stage import StageContext, StageResult
from aha.rewards.language import CONSISTENCY_LANGUAGES
from aha.tasks.registry import check_gold, load_task
from aha.tasks.task import Task
from aha.trainers.advantage import assign_advantages, drop_equal, reward_parts
from aha.trainers.all_scenarios import REWARD_MODELS, all_scenarios
from aha.trainers.config import GrpoConfig
from aha.trainers.loop import Rollout, Trainer, draw, run_steps
from aha.trainers.optim import adamw
from aha.trainers.update import UpdateMetrics, update_policy

MAX_REFILLS = 3
"""Rounds of dynamic sampling after the first."""


def train(ctx: StageContext[GrpoConfig]) -> StageResult:
    """Train a policy from the input `model`; the output is a plain HF folder."""
    trainer = build_trainer(ctx)

    def update(rolled: Rollout, step: int) -> UpdateMetrics:
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
        return updated

    return run_steps(trainer, rollout, update)


def build_trainer(ctx: StageContext[GrpoConfig]) -> Trainer[GrpoConfig]:
    """Load the policy and set up everything around it."""
    config = ctx.config
    loaded = load_model(ctx.inputs["model"], dtype=getattr(torch, config.dtype))
    tasks = [checkable_task(name, config) for name in config.task]
    general = all_scenarios(config, ctx.inputs)
    trainer = Trainer.around(
        ctx,
        loaded,
        optimizers=adamw(
            loaded.model,
            lr=config.learning_rate,
            beta2=config.adam_beta2,
            weight_decay=config.weight_decay,
        ),
        tasks=tasks,
        reward_parts=reward_parts(config, tasks) + (REWARD_MODELS if general else ()),
    )
    trainer.general = general
    if config.kl_coef is not None:
        trainer.reference = frozen_copy(loaded.model)
        if config.reference_refresh_every is not None:
            trainer.more_state = {"reference": trainer.reference}
    return trainer


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


def rollout(trainer: Trainer[GrpoConfig], step: int) -> Rollout:
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


def refresh_reference(trainer: Trainer[GrpoConfig], step: int) -> None:
    """Every so often the reference becomes the current policy (paper: every 400 steps)."""
    every = trainer.ctx.config.reference_refresh_every
    if trainer.reference is not None and every is not None and step % every == 0:
        trainer.reference.load_state_dict(trainer.policy.state_dict())
