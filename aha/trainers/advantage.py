"""Rewards and advantages of a step's samples, and which groups can teach something."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch

from aha.algorithms.advantages import group_advantages
from aha.algorithms.dynamic_sampling import drop_equal_groups
from aha.algorithms.overlong import soft_overlong_penalty
from aha.errors import HealthError
from aha.pipeline.ranks import Ranks
from aha.rewards.combine import combine, normalized_sums
from aha.rewards.shaping import cosine_length, repetition_penalty
from aha.tasks.task import Task
from aha.trainers.config import GrpoConfig, Overlong, part_of
from aha.trainers.rollouts import Sample

OVERLONG_CACHE_FRACTION = 0.2
"""Part of max_new_tokens over which the soft penalty grows (DAPO: 4096 of 20480 tokens)."""
MAX_UNSCORED_FRACTION = 0.2
"""More samples than this without a verdict (verifier time-outs and failures) stop the run."""


def assign_advantages(samples: Sequence[Sample], config: GrpoConfig, ranks: Ranks) -> int:
    """Set `reward` and `advantage` of every sample; returns the number of equal groups in all.

    Computed over the samples of all ranks, so that a batch-wide scale does not depend on them.
    """
    for sample in samples:
        sample.reward = total_reward(sample, config)
    everyone = ranks.gather([compared(sample, config) for sample in samples])
    if not any(everyone):
        return 0
    rows = [row for rows in everyone for row in rows]
    result = group_advantages(
        torch.tensor(signals(rows, config)),
        torch.tensor([row.group for row in rows]),
        scale="batch_std" if config.advantage_scale == "gdpo" else config.advantage_scale,
        scored_N=torch.tensor([row.is_scored for row in rows]),
    )
    start = sum(map(len, everyone[: ranks.rank]))
    for sample, advantage in zip(samples, result.advantages_N[start:].tolist(), strict=False):
        sample.advantage = advantage
    return result.equal_reward_groups


@dataclass(frozen=True, slots=True)
class Compared:
    """What the other ranks have to know of a sample."""

    reward: float
    group: int
    is_scored: bool
    parts: Mapping[str, float]
    weights: Mapping[str, float]


def compared(sample: Sample, config: GrpoConfig) -> Compared:
    """The parts are left out where only their sum is compared."""
    verdict, by_part = sample.verdict, config.advantage_scale == "gdpo"
    parts = sample.rewards if by_part else {}
    weights = weights_of(sample, config) if by_part else {}
    return Compared(sample.reward, sample.group, verdict.is_scored, parts, weights)


def signals(rows: Sequence[Compared], config: GrpoConfig) -> list[float]:
    """What is compared in a group: the reward, or with GDPO the sum of the normalised parts."""
    if config.advantage_scale != "gdpo":
        return [row.reward for row in rows]
    return normalized_sums(
        [row.parts for row in rows],
        [row.weights for row in rows],
        [row.group for row in rows],
        scored=[row.is_scored for row in rows],
    )


def total_reward(sample: Sample, config: GrpoConfig) -> float:
    """Reward = accuracy + format (+ language + shaping), weighted; sets the parts of shaping."""
    sample.rewards |= {part_of(name): shape(name, sample, config) for name in config.shaping}
    if not sample.verdict.is_scored:
        return 0.0
    return combine(sample.rewards, weights_of(sample, config))


def weights_of(sample: Sample, config: GrpoConfig) -> dict[str, float]:
    """The weight of every part of a sample's reward."""
    return config.reward_weights | sample.extra_weights


def reward_parts(config: GrpoConfig, tasks: Iterable[Task]) -> tuple[str, ...]:
    """Names of all parts that a sample's reward may have: built in, shaping, the tasks' own."""
    own = [reward.name for task in tasks for reward in task.rewards]
    return tuple(dict.fromkeys([*config.reward_weights, *own]))


def shape(name: Overlong, sample: Sample, config: GrpoConfig) -> float:
    """One part of the reward that `overlong` adds, before its weight."""
    if name == "repetition":
        return repetition_penalty(sample.completion.token_ids)
    if name == "cosine":
        return cosine_length(
            sample.length_tokens,
            max_tokens=config.max_new_tokens,
            is_correct=sample.verdict.is_correct,
        )
    penalty = soft_overlong_penalty(
        torch.tensor([sample.length_tokens]),
        max_tokens=config.max_new_tokens,
        cache_tokens=max(1, round(config.max_new_tokens * OVERLONG_CACHE_FRACTION)),
    )
    return penalty.item()


def drop_equal(samples: list[Sample], config: GrpoConfig, ranks: Ranks) -> tuple[list[Sample], int]:
    """This rank's samples without the groups of equal rewards, and the prompts missing in all."""
    kept_groups = 0
    if samples:
        kept = drop_equal_groups(
            torch.tensor(signals([compared(sample, config) for sample in samples], config)),
            torch.tensor([sample.group for sample in samples]),
            scored_N=torch.tensor([sample.verdict.is_scored for sample in samples]),
        )
        samples, kept_groups = [samples[index] for index in kept.index_K.tolist()], kept.kept_groups
    return samples, config.prompts_per_step - int(ranks.sum(kept_groups)[0])


def stop_if_unscored(samples: Sequence[Sample], ranks: Ranks, step: int | None = None) -> None:
    """A verifier that fails silently is the end of a run: stop it with a diagnosis.

    step: of the training; None in an evaluation.
    """
    failed = [sample for sample in samples if not sample.verdict.is_scored]
    num_failed, num_samples = ranks.sum(len(failed), len(samples))
    if num_failed > MAX_UNSCORED_FRACTION * max(1.0, num_samples):
        example = f": {failed[0].verdict.reason}" if failed else ""
        when = "the evaluation" if step is None else f"step {step}"
        raise HealthError(
            f"the verifier gave no verdict on {num_failed:.0f} of {num_samples:.0f} responses "
            f"of {when}{example}",
            hint="run `aha tasks validate`, mend the task, start anew from the last checkpoint",
        )
