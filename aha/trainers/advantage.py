"""Rewards and advantages of a step's samples, and which groups can teach something."""

from collections.abc import Sequence

import torch

from aha.algorithms.advantages import group_advantages
from aha.algorithms.dynamic_sampling import drop_equal_groups
from aha.algorithms.overlong import soft_overlong_penalty
from aha.errors import HealthError
from aha.pipeline.ranks import Ranks
from aha.rewards.combine import combine
from aha.trainers.config import GrpoConfig
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
    own = [(sample.reward, sample.group, sample.verdict.is_scored) for sample in samples]
    everyone = ranks.gather(own)
    if not any(everyone):
        return 0
    rewards, groups, scored = zip(*(row for rows in everyone for row in rows), strict=True)
    result = group_advantages(
        torch.tensor(rewards),
        torch.tensor(groups),
        scale=config.advantage_scale,
        scored_N=torch.tensor(scored),
    )
    start = sum(map(len, everyone[: ranks.rank]))
    for sample, advantage in zip(samples, result.advantages_N[start:].tolist(), strict=False):
        sample.advantage = advantage
    return result.equal_reward_groups


def total_reward(sample: Sample, config: GrpoConfig) -> float:
    """Reward = accuracy + format (+ language), weighted; a soft penalty for length if asked for."""
    if config.overlong == "soft":
        penalty = soft_overlong_penalty(
            torch.tensor([sample.length_tokens]),
            max_tokens=config.max_new_tokens,
            cache_tokens=max(1, round(config.max_new_tokens * OVERLONG_CACHE_FRACTION)),
        )
        sample.rewards["overlong"] = penalty.item()
    if not sample.verdict.is_scored:
        return 0.0
    return combine(sample.rewards, config.reward_weights | sample.extra_weights)


def drop_equal(samples: list[Sample], config: GrpoConfig, ranks: Ranks) -> tuple[list[Sample], int]:
    """This rank's samples without the groups of equal rewards, and the prompts missing in all."""
    kept_groups = 0
    if samples:
        kept = drop_equal_groups(
            torch.tensor([sample.reward for sample in samples]),
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
