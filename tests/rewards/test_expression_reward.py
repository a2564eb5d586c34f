"""Expressions are parsed and computed exactly; countdown uses every number once."""

import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aha.rewards.expression import evaluate, parse_expression, verify_countdown


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7), (" 1 + 2*3 ", 7), ("(1+2)*3", 9), ("10-4-3", 3), ("8/4/2", 1), ("2/3*3", 2),
        ("1/3+1/3", Fraction(2, 3)), ("-3+5", 2), ("2*-3", -6), ("--3", 3), ("-(2+3)", -5),
        ("+4", 4), ("3\u00d74\u00f76\u22121", 1), ("((((1))))", 1), ("007", 7), ("1\n+\t2", 3),
        ("10000000000000000000000*3-1", 29999999999999999999999),
    ],
)  # fmt: skip
def test_values(text: str, value: int | Fraction):
    assert evaluate(text) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the answer is empty"), ("1+", "the expression breaks off"),
        ("(1+2", "a parenthesis is not closed"), ("1+2)", "unexpected ')'"),
        ("()", "unexpected ')'"), ("2**3", "unexpected '*'"), ("7//2", "unexpected '/'"),
        ("1/0", "division by zero"), ("1/(2-2)", "division by zero"), ("2(3)", "unexpected '('"),
        ("2 3", "unexpected '3'"), ("1.5", "unexpected '.'"), ("x", "unexpected 'x'"),
        ("1+__import__('os')", "unexpected '_'"), ("\uff11+1", "unexpected '\uff11'"),
        ("\u00b2", "unexpected '\u00b2'"), ("1\0", "unexpected '\\x00'"),
        ("(" * 51 + "1" + ")" * 51, "more than 50 parentheses deep"),
        ("1+" * 300 + "1", "601 characters are too long"),
    ],
)  # fmt: skip
def test_problems(text: str, problem: str):
    parsed = parse_expression(text)
    assert (parsed.value, parsed.problem, parsed.numbers_used) == (None, problem, ())


def test_numbers_used_in_order():
    assert parse_expression("(5-3)*12/3").numbers_used == (5, 3, 12, 3)


def test_the_bounds_are_reached():
    assert evaluate("(" * 50 + "1" + ")" * 50) == 1
    assert evaluate("-" * 499 + "1") == -1
    assert evaluate("9" * 500) == 10**500 - 1
    assert len(str(evaluate("/".join(["7"] * 250)))) < 500


def trees() -> st.SearchStrategy[tuple[str, Fraction | None]]:
    """Fully parenthesized expressions with their value, computed beside the parser."""

    def combine(left, operator, right):
        text = f"({left[0]} {operator} {right[0]})"
        if left[1] is None or right[1] is None or (operator == "/" and right[1] == 0):
            return text, None
        apply = {
            "+": Fraction.__add__, "-": Fraction.__sub__,
            "*": Fraction.__mul__, "/": Fraction.__truediv__,
        }[operator]  # fmt: skip
        return text, apply(left[1], right[1])

    leaves = st.integers(0, 20).map(lambda number: (str(number), Fraction(number)))
    return st.recursive(
        leaves, lambda kids: st.builds(combine, kids, st.sampled_from("+-*/"), kids), max_leaves=12
    )


@settings(deadline=None, max_examples=200)
@given(trees())
def test_values_of_random_trees(tree: tuple[str, Fraction | None]):
    assert evaluate(tree[0]) == tree[1]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(1, 9), st.sampled_from("+-*")), min_size=1, max_size=8))
def test_precedence_is_that_of_arithmetic(terms: list[tuple[int, str]]):
    text = "".join(f"{number}{operator}" for number, operator in terms) + "1"
    assert evaluate(text) == eval(text)  # the text is ours: digits and + - * only


@settings(deadline=None, max_examples=150)
@given(st.text(alphabet="0123456789+-*/()= \u00d7\u2212x.", max_size=40) | st.text())
def test_any_text_gets_a_verdict(text: str):
    verdict = verify_countdown(text, numbers=(3, 5), target=8)
    assert verdict.kind in ("correct", "wrong", "unparseable")
    assert (evaluate(text) is None) == bool(parse_expression(text).problem)


COUNTDOWN = [
    ("(25-1)*4", "correct", "the value is 96 and every number is used once"),
    ("(25 - 1) * 4 = 96", "correct", "the value is 96 and every number is used once"),
    ("4*(25-1)=96.0", "correct", "the value is 96 and every number is used once"),
    ("4*(-1+25)", "correct", "the value is 96 and every number is used once"),
    ("4*(25-1)=95", "wrong", "the value is said to be 95, not 96"),
    ("4*25-1", "wrong", "the value is 99, not 96"),
    ("4*25-1=96", "wrong", "the value is 99, not 96"),
    ("4*24", "wrong", "does not use 1, 25 and uses 24 too often or without being given"),
    ("4*(25-1)*1", "wrong", "uses 1 too often or without being given"),
    ("4*25", "wrong", "does not use 1"),
    ("96", "wrong", "does not use 1, 4, 25 and uses 96 too often or without being given"),
    ("", "unparseable", "the answer is empty"),
    ("=96", "unparseable", "the answer is empty"),
    ("96=4*(25-1)", "unparseable", "what follows = is not one number"),
    ("4*(25-1)=", "unparseable", "what follows = is not one number"),
    ("4*(25-1)=96=96", "unparseable", "what follows = is not one number"),
    ("the answer is 4*(25-1)", "unparseable", "unexpected 't'"),
    ("4*(25-1)" + "+0" * 300, "unparseable", "608 characters are too long"),
]


@pytest.mark.parametrize(("text", "kind", "reason"), COUNTDOWN)
def test_countdown(text: str, kind: str, reason: str):
    verdict = verify_countdown(text, numbers=(1, 4, 25), target=96)
    assert (verdict.kind, verdict.reason) == (kind, reason)
    assert verdict.extracted == (None if kind == "unparseable" else text)


def test_countdown_with_equal_numbers_and_a_fraction():
    assert verify_countdown("3+3", numbers=(3, 3), target=6).is_correct
    assert not verify_countdown("3", numbers=(3, 3), target=3).is_correct
    assert verify_countdown("1/2", numbers=(1, 2), target=Fraction(1, 2)).is_correct


@pytest.mark.parametrize("unit", ["(", ")", "1", "1+", "-", " ", "=", "\0", "\ud800"])
def test_ten_megabytes_take_moments(unit: str):
    text = unit * (10_000_000 // len(unit))
    started = time.perf_counter()
    assert evaluate(text) is None
    assert verify_countdown(text, numbers=(1,), target=1).kind == "unparseable"
    assert time.perf_counter() - started < 1.0
