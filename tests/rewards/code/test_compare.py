"""Printed and returned values against what a test expects."""

import pytest

from aha.rewards.code.compare import read_value, same_output, same_value


@pytest.mark.parametrize(
    ("actual", "expected", "equal"),
    [
        ("4\n", "4", True),
        ("1 2\n3  \n\n", "1 2 3", True),
        ("4", "5", False),
        ("4 4", "4", False),
        ("", "4", False),
        ("", "", True),
        ("0.3333333", "0.33333333333", True),
        ("0.3334", "0.33333333333", False),
        ("1e-7", "0.0", True),
        ("5.0", "5", True),
        ("5.0000001", "5", False),
        ("10000000000000001", "10000000000000000", False),
        ("1" * 5000, "1" * 4999 + "2", False),
        ("yes", "YES", False),
        ("nan", "nan", True),
        ("nan", "1.0", False),
        ("inf", "1e999", False),
        ("007", "7", True),
        ("1e5000", "1", False),
    ],
)
def test_output(actual, expected, equal):
    assert same_output(actual, expected) is equal


@pytest.mark.parametrize(
    ("actual", "expected", "equal"),
    [
        ((1, 2), [1, 2], True),
        ([(1, (2,))], [[1, [2]]], True),
        ([1, 2], [2, 1], False),
        (0.1 + 0.2, 0.3, True),
        (3, 3.0, True),
        (True, True, True),
        (1, True, True),
        ("1", 1, False),
        (None, None, True),
        (None, 0, False),
        ({1: 2}, {"1": 2}, True),
        ({1: 2}, {"1": 3}, False),
        ({1, 2}, [1, 2], False),
        (10**400, 1.0, False),
        ([], [[]], False),
    ],
)
def test_values(actual, expected, equal):
    assert same_value(actual, expected) is equal


def test_tolerance_is_a_setting():
    assert same_output("1.01", "1.0", tolerance=0.1)
    assert not same_output("1.01", "1.0")


@pytest.mark.parametrize(
    ("text", "value"),
    [("[1, 2]", [1, 2]), ("true", True), ("(1, 'a')", (1, "a")), ("abc", "abc"), ('"x"', "x")],
)
def test_values_as_text(text, value):
    assert read_value(text) == value
