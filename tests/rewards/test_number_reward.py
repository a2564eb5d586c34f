"""Numbers are compared exactly, and only one plain number is an answer."""

import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aha.rewards.numbers import parse_number, verify_number

NUMBERS = [
    ("42", Fraction(42)), (" 42\n", Fraction(42)), ("42.", Fraction(42)), ("+42", Fraction(42)),
    ("-42", Fraction(-42)), ("\u221242", Fraction(-42)), ("007", Fraction(7)), ("0", Fraction(0)),
    ("-0", Fraction(0)), ("1,234,567", Fraction(1234567)), ("1,234.50", Fraction(2469, 2)),
    ("0.1", Fraction(1, 10)), (".5", Fraction(1, 2)), ("-.5", Fraction(-1, 2)),
    ("3/4", Fraction(3, 4)), ("-6 / 8", Fraction(-3, 4)), ("1.50.", Fraction(3, 2)),
    ("1,000/3", Fraction(1000, 3)), ("9" * 100, Fraction(10**100 - 1)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), NUMBERS)
def test_numbers(text: str, value: Fraction):
    assert parse_number(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ".", "-", "4 5", "29 or 30", "29, 30", "4-5", "--4", "+-4", "1,23", "12,34,567",
        ",123", "1.2.3", "42..", "1/0", "1/2/3", "1.5/2", "1/-2", "1e5", "0x10", "1_000", "1 000",
        "$4", "4%", "4 apples", "x = 4", "four", "\uff14\uff12", "\u0664", "\u00b2", "\u00bd",
        "\u20131", "4\u200b", "4\0", "inf", "nan", "\ud800", "9" * 101,
    ],
)  # fmt: skip
def test_what_is_no_number(text: str):
    assert parse_number(text) is None
    assert verify_number(text, "42").kind == "unparseable"


@pytest.mark.parametrize(
    ("prediction", "gold", "kind"),
    [
        ("42", "42", "correct"), ("42.0", "42", "correct"), ("0.5", "1/2", "correct"),
        ("2/4", "0.5", "correct"), ("1,000", "1000", "correct"), ("-7", "7", "wrong"),
        ("0.333333333333", "1/3", "wrong"), ("1000000000000000000001", "1000000000000000000000",
        "wrong"), ("4", "four", "error"), ("", "4", "unparseable"),
    ],
)  # fmt: skip
def test_verdicts(prediction: str, gold: str, kind: str):
    assert verify_number(prediction, gold).kind == kind


def test_verdicts_say_why():
    assert verify_number(" 5. ", "4").reason == "5. is not 4"
    assert verify_number(" 5. ", "4").extracted == "5."
    assert verify_number("4.0", "4").extracted == "4.0"
    assert verify_number("29 or 30", "29").reason == "'29 or 30' is not one number"
    assert verify_number("", "29").reason == "the answer is empty"
    assert verify_number("1" * 1000, "1").reason == "1000 characters are not one number"


@settings(deadline=None)
@given(st.integers(-(10**30), 10**30), st.integers(0, 12))
def test_decimals_are_exact(digits: int, places: int):
    sign, size = ("-" if digits < 0 else ""), str(abs(digits)).rjust(places + 1, "0")
    text = sign + (f"{size[:-places]}.{size[-places:]}" if places else size)
    assert parse_number(text) == Fraction(digits, 10**places)


@settings(deadline=None)
@given(st.integers(), st.integers(1))
def test_fractions_are_exact(numerator: int, denominator: int):
    assert parse_number(f"{numerator}/{denominator}") == Fraction(numerator, denominator)
    assert parse_number(f"{numerator:,}") == numerator


@settings(deadline=None)
@given(st.text())
def test_any_text_gets_a_verdict(text: str):
    assert verify_number(text, "4").kind in ("correct", "wrong", "unparseable")
    assert verify_number("4", text).kind in ("correct", "wrong", "error")


@pytest.mark.parametrize("unit", ["9", "1,", "1/1", " ", "-", "\0"])
def test_ten_megabytes_take_moments(unit: str):
    started = time.perf_counter()
    verdict = verify_number(unit * (10_000_000 // len(unit)), "1")
    assert verdict.kind == "unparseable"
    assert len(verdict.reason) < 200
    assert time.perf_counter() - started < 1.0
