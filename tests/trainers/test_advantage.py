"""Rewards and advantages of a step, with samples that have no verdict, over ranks."""

import math

import numpy as np
import pytest
import torch

from aha.algorithms.advantages import group_advantages
from aha.config import build
from aha.errors import HealthError, UserError
from aha.pipeline.ranks import Ranks
from aha.rewards.user import BUILT_IN_NAMES, Reward
from aha.rewards.verdict import Verdict
from aha.tasks.task import Task
from aha.trainers.advantage import (
    assign_advantages,
    drop_equal,
    reward_parts,
    stop_if_unscored,
    total_reward,
)
from aha.trainers.config import GrpoConfig
from tests.trainers.tiny import on_ranks, sample, tiny_config

ALONE = Ranks()
RIGHT, WRONG = Verdict.correct("a"), Verdict.wrong("b", "not a")
FAILED = Verdict.error("the verifier failed")


def group(number, *verdicts):
    return [sample([1, 2], (3, 4), group=number, verdict=verdict) for verdict in verdicts]


def advantages(samples):
    return [s.advantage for s in samples]


def test_rewards_are_the_weighted_parts():
    config = tiny_config(accuracy_weight=2.0, format_weight=0.5, language_weight=0.25)
    one = sample([1], (2,), rewards={"accuracy": 1.0, "format": 1.0, "language": 0.5})
    assert total_reward(one, config) == 2.0 + 0.5 + 0.125
    one.rewards["emoji"], one.extra_weights = 0.5, {"emoji": 3.0}
    assert total_reward(one, config) == 2.0 + 0.5 + 0.125 + 1.5


def test_every_built_in_part_has_a_reserved_name():
    everything = tiny_config(overlong=["soft", "cosine", "repetition"])
    assert set(everything.reward_weights) == set(BUILT_IN_NAMES)
    assert set(tiny_config().reward_weights) == {"accuracy", "format", "language"}


def test_the_soft_penalty_grows_over_the_last_fifth():
    config = tiny_config(overlong="soft", max_new_tokens=10)
    totals = []
    for length in (8, 9, 10):
        one = sample([1], (2,) * length, verdict=RIGHT)
        totals.append(total_reward(one, config))
        assert one.rewards["overlong"] == pytest.approx(totals[-1] - 1)
    assert totals == pytest.approx([1.0, 0.5, 0.0])


def test_shaping_adds_its_parts():
    config = tiny_config(overlong=["cosine", "repetition", "mask"], max_new_tokens=100)
    tokens = (*range(10), *range(10))
    one = sample([1], tokens, verdict=RIGHT)
    assert total_reward(one, config) == pytest.approx(sum(one.rewards.values()) - 1)  # language
    assert one.rewards["repetition"] == pytest.approx(10 / 13 - 1)  # 13 8-grams, 3 of them again
    assert one.rewards["cosine"] == pytest.approx(0.25 * (1 + math.cos(0.2 * math.pi)))
    assert "overlong" not in one.rewards


def test_the_parts_of_a_reward_have_names():
    class Short(Task):
        rewards = (Reward("short", 0.5, lambda problem, response: 1.0),)

    config = tiny_config(overlong="repetition")
    assert reward_parts(config, [Task(), Short(), Short()]) == (
        "accuracy", "format", "language", "repetition", "short"
    )  # fmt: skip


def test_keeping_and_penalising_exclude_each_other():
    with pytest.raises(UserError, match="keep goes with nothing else"):
        build(GrpoConfig, {"overlong": ["keep", "soft"]})


def test_gdpo_keeps_apart_what_has_equal_sums():
    def both(accuracy, form):
        verdict = RIGHT if accuracy else WRONG
        parts = {"accuracy": accuracy, "format": form, "language": 1.0}
        return sample([1, 2], (3, 4), verdict=verdict, rewards=parts)

    def step():
        return [both(1.0, 0.0), both(0.0, 1.0), both(0.0, 1.0), both(0.0, 1.0), both(0.0, 0.0)]

    summed, apart = step(), step()
    weights = {"accuracy_weight": 1.0, "format_weight": 1.0}
    assign_advantages(summed, tiny_config(advantage_scale="group_std", **weights), ALONE)
    config = tiny_config(advantage_scale="gdpo", **weights)
    assign_advantages(apart, config, ALONE)
    assert advantages(summed)[0] == advantages(summed)[1]
    assert advantages(apart)[0] > advantages(apart)[1] + 0.5  # the rarer part says more

    # the paper's equations, spelled out
    accuracy, form = np.array([1, 0, 0, 0, 0]), np.array([0, 1, 1, 1, 0])
    total = sum((part - part.mean()) / part.std() for part in (accuracy, form))
    assert advantages(apart) == pytest.approx(list(total / total.std()), rel=1e-4)
    assert len(drop_equal(apart, config, ALONE)[0]) == 5


def test_gdpo_drops_the_groups_in_which_nothing_differs():
    config = tiny_config(advantage_scale="gdpo", prompts_per_step=3)
    samples = [*group(0, RIGHT, WRONG), *group(1, RIGHT, RIGHT), *group(2, WRONG, FAILED)]
    assert assign_advantages(samples, config, ALONE) == 1
    kept, missing = drop_equal(samples, config, ALONE)
    assert ([s.group for s in kept], missing) == ([0, 0], 2)
    assert advantages(samples)[2:] == [0.0] * 4


def test_advantages_are_relative_to_the_group():
    samples = [*group(0, RIGHT, WRONG, WRONG, WRONG), *group(1, RIGHT, RIGHT, WRONG, WRONG)]
    equal = assign_advantages(samples, tiny_config(advantage_scale="none"), ALONE)
    assert advantages(samples) == [0.75, -0.25, -0.25, -0.25, 0.5, 0.5, -0.5, -0.5]
    assert equal == 0


def test_a_sample_without_a_verdict_is_left_out_of_its_group():
    samples = group(0, RIGHT, FAILED, WRONG, FAILED)
    assign_advantages(samples, tiny_config(advantage_scale="none"), ALONE)
    assert advantages(samples) == [0.5, 0.0, -0.5, 0.0]
    assert [s.reward for s in samples] == [1.0, 0.0, 0.0, 0.0]


def test_groups_of_equal_rewards_are_counted_and_get_exactly_nothing():
    samples = [*group(0, *[RIGHT] * 4), *group(1, *[WRONG] * 4), *group(2, RIGHT, WRONG)]
    config = tiny_config(advantage_scale="group_std", accuracy_weight=1.9)
    assert assign_advantages(samples, config, ALONE) == 2
    assert advantages(samples[:8]) == [0.0] * 8
    assert advantages(samples[8:]) == pytest.approx([1.0, -1.0], rel=1e-5)


@pytest.mark.parametrize("scale", ["none", "group_std", "batch_std", "gdpo"])
def test_ranks_see_the_advantages_of_the_whole_step(scale):
    verdicts = [(RIGHT, WRONG), (RIGHT, RIGHT), (WRONG, FAILED), (RIGHT, WRONG), (WRONG, WRONG)]
    config = tiny_config(advantage_scale=scale)

    def step():
        return [s for number, pair in enumerate(verdicts) for s in group(number, *pair)]

    alone = step()
    num_equal = assign_advantages(alone, config, ALONE)

    def on(ranks):
        mine = list(ranks.share(step()))
        return assign_advantages(mine, config, ranks), advantages(mine)

    shared = on_ranks(2, on)
    assert [count for count, _ in shared] == [num_equal] * 2 == [2, 2]
    assert [value for _, values in shared for value in values] == advantages(alone)


def test_batch_scale_is_that_of_the_equations():
    samples = [*group(0, RIGHT, WRONG, WRONG), *group(1, RIGHT, RIGHT, WRONG)]
    assign_advantages(samples, tiny_config(advantage_scale="batch_std"), ALONE)
    expected = group_advantages(
        torch.tensor([1.0, 0, 0, 1, 1, 0]), torch.tensor([0, 0, 0, 1, 1, 1]), scale="batch_std"
    )
    assert advantages(samples) == expected.advantages_N.tolist()


def test_equal_groups_are_dropped_and_asked_for_again():
    samples = [*group(0, RIGHT, RIGHT), *group(1, RIGHT, WRONG), *group(2, WRONG, FAILED)]
    config = tiny_config(prompts_per_step=4)
    assign_advantages(samples, config, ALONE)
    kept, missing = drop_equal(samples, config, ALONE)
    assert [s.group for s in kept] == [1, 1]
    assert missing == 3
    assert drop_equal([], config, ALONE) == ([], 4)


def test_missing_prompts_are_counted_over_the_ranks():
    config = tiny_config(prompts_per_step=4)

    def on(ranks):
        samples = group(0, RIGHT, WRONG) if ranks.is_main else group(1, RIGHT, RIGHT)
        assign_advantages(samples, config, ranks)
        kept, missing = drop_equal(samples, config, ranks)
        return len(kept), missing

    assert on_ranks(2, on) == [(2, 3), (0, 3)]


def test_a_failing_verifier_stops_the_run_with_a_hint():
    few = group(0, RIGHT, WRONG, RIGHT, WRONG, FAILED)  # 20 % is still borne
    stop_if_unscored(few, ALONE, 3)
    with pytest.raises(HealthError, match="no verdict on 2 of 6 responses of step 3: the verifier"):
        stop_if_unscored([*few, *group(0, FAILED)], ALONE, 3)
    with pytest.raises(HealthError, match="of the evaluation") as info:
        stop_if_unscored(group(0, FAILED), ALONE)
    assert "aha tasks validate" in info.value.hint


def test_a_verifier_that_fails_on_one_rank_stops_all():
    def on(ranks):
        samples = group(0, *[RIGHT] * 7) if ranks.is_main else group(1, *[FAILED] * 3)
        with pytest.raises(HealthError, match="3 of 10 responses"):
            stop_if_unscored(samples, ranks, 1)
        return True

    assert on_ranks(2, on) == [True, True]
