"""Rewards of a user's own: how they are marked, and what they may do."""

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aha
from aha.errors import UserError
from aha.rewards.user import BUILT_IN_NAMES, Reward, check_names, reward


def short(problem, response):
    """Short is good."""
    return len(response) < 10


def test_with_and_without_arguments():
    assert reward(short) == Reward("short", 1.0, short)
    assert reward(weight=0.5)(short) == Reward("short", 0.5, short)
    assert reward(weight=2, name="brief")(short) == Reward("brief", 2.0, short)


def test_as_a_decorator():
    @aha.reward(weight=0.25)
    def polite(problem, response):
        return "please" in response

    assert (polite.name, polite.weight) == ("polite", 0.25)
    assert polite(None, "please") == 1.0
    assert polite(None, "now") == 0.0


@given(value=st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.integers(-9, 9))
def test_a_number_is_the_value(value):
    assert reward(name="x")(lambda problem, response: value).evaluate(None, "") == (value, "")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_not_finite_is_a_failure(value):
    part = reward(name="x")(lambda problem, response: value)
    assert part.evaluate(None, "") == (0.0, f"reward 'x' is {value}")


@pytest.mark.parametrize("value", [None, "good", [1.0], {}])
def test_a_value_that_is_no_number_is_a_failure(value):
    number, failure = reward(name="x")(lambda problem, response: value).evaluate(None, "")
    assert number == 0.0
    assert failure.startswith("reward 'x' raised ")


def test_an_exception_is_a_failure_with_its_text():
    @reward
    def broken(problem, response):
        return response[5]

    number, failure = broken.evaluate(None, "")
    assert (number, failure) == (
        0.0,
        "reward 'broken' raised IndexError: string index out of range",
    )


@pytest.mark.parametrize("thing", [0.5, "short", functools.partial(short, None)])
def test_what_is_not_a_named_function_is_refused(thing):
    with pytest.raises(UserError, match="not a named function") as info:
        reward(thing)
    assert "@aha.reward" in info.value.hint


@pytest.mark.parametrize("weight", ["1", None, float("nan"), float("inf"), True])
def test_a_weight_is_a_finite_number(weight):
    with pytest.raises(UserError, match="the weight of a reward is"):
        reward(weight=weight)(short)


@pytest.mark.parametrize("name", BUILT_IN_NAMES)
def test_names_of_built_in_parts_are_taken(name):
    with pytest.raises(UserError, match=f"a reward part '{name}' already"):
        check_names([reward(name=name)(short)])


def test_two_parts_of_one_name_are_refused():
    check_names([reward(short), reward(name="other")(short)])
    with pytest.raises(UserError, match="a reward part 'short' already"):
        check_names([reward(short), reward(short)])
