"""Which points are measured."""

import pytest

from aha.errors import UserError
from aha.evals.scaling.strategies import STRATEGIES, default_points, parse_points


def names(points):
    return [point.name for point in points]


def test_budgets_are_the_largest_powers_of_two_below_the_limit():
    points = default_points(max_new_tokens=512, has_reward=False)
    budgets = [p.size for p in points if p.strategy.name == "budget"]
    assert budgets == [8, 16, 32, 64, 128, 256]
    large = default_points(max_new_tokens=32_768, has_reward=False)
    assert [p.size for p in large if p.strategy.name == "fill"] == [
        512, 1024, 2048, 4096, 8192, 16384,
    ]  # fmt: skip
    assert [p.size for p in default_points(max_new_tokens=3, has_reward=False)][:2] == [1, 2]


def test_a_reward_model_brings_its_strategies():
    without = {p.strategy.name for p in default_points(max_new_tokens=512, has_reward=False)}
    with_one = {p.strategy.name for p in default_points(max_new_tokens=512, has_reward=True)}
    assert with_one - without == {"best:reward", "beam:reward", "mcts:reward"}
    assert [name for name, one in STRATEGIES.items() if one.is_oracle] == ["oracle"]


def test_points_are_read_once_each():
    points = parse_points(
        ["majority=1,4,4", "beam:none=1", "majority=4,16"], max_new_tokens=512, has_reward=False
    )
    assert names(points) == ["majority=1", "majority=4", "beam:none=1", "majority=16"]
    usual = parse_points(["wait"], max_new_tokens=512, has_reward=False)
    assert names(usual) == ["wait=1", "wait=2", "wait=4"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("majorty=3", "unknown strategy 'majorty'"),
        ("majority=0", "no numbers"),
        ("majority=", "no numbers"),
        ("majority=4,x", "no numbers"),
        ("majority=99999999999999999999", "no numbers"),
        ("best:reward=4", "needs a reward model"),
    ],
)
def test_what_cannot_be_measured_is_said(spec, message):
    with pytest.raises(UserError, match=message) as caught:
        parse_points([spec], max_new_tokens=512, has_reward=False)
    assert caught.value.hint
