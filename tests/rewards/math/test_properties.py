"""Properties of numbers and lists in all their spellings."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from aha.rewards.math import extract, extract_choice, verify

INTEGERS = st.integers(-(10**9), 10**9)
FRACTIONS = st.fractions(-1000, 1000, max_denominator=997)
TEXT = st.text(max_size=200)
PIECES = (
    r"\frac \sqrt { } ( ) [ ] \{ \} , ; : 1 2 3.5 x y + - * / ^ _ = < \le \cup \pm \text{a} | ! %"
    r" \pi \begin{pmatrix} \end{pmatrix} & \\ \boxed{ $ \in \infty \log \sin and or ^\circ \binom"
)
LATEX = st.lists(st.sampled_from(PIECES.split(" ")), max_size=25).map(" ".join)


@given(INTEGERS)
def test_an_integer_in_every_spelling(number):
    for spelling in (
        str(number), f"{number:,}", f"{number}.0", f"${number}$", rf"\boxed{{{number}}}",
        f"x = {number}", f"{number} apples", f"The answer is {number}.", f"{number}/1",
        rf"\frac{{{2 * number}}}{{2}}", f"{number:,}".replace(",", "{,}"),
        f"{number:,}".replace(",", r"\,"), f"blah\n#### {number}",
    ):  # fmt: skip
        assert verify(spelling, str(number)).is_correct, spelling


@given(INTEGERS, INTEGERS)
def test_integers_are_equal_only_to_themselves(left, right):
    assert verify(str(left), str(right)).is_correct == (left == right)
    assert verify(rf"\boxed{{{left:,}}}", rf"${right}$").is_correct == (left == right)


@given(FRACTIONS)
def test_a_fraction_in_every_spelling(value):
    top, bottom = value.numerator, value.denominator
    gold = f"{top}/{bottom}"
    for spelling in (
        rf"\frac{{{top}}}{{{bottom}}}", rf"\dfrac{{{3 * top}}}{{{3 * bottom}}}",
        f"{top} / {bottom}",
        rf"-\frac{{{-top}}}{{{bottom}}}" if top <= 0 else rf"\frac{{{-top}}}{{{-bottom}}}",
        rf"{top} \div {bottom}",
    ):  # fmt: skip
        assert verify(spelling, gold).is_correct, spelling
    assert not verify(gold, f"{top + 1}/{bottom}").is_correct


@given(st.decimals(-1000, 1000, places=3))
def test_a_decimal_in_every_spelling(value):
    exact = Fraction(value)
    gold = rf"\frac{{{exact.numerator}}}{{{exact.denominator}}}"
    for spelling in (
        f"{value}",
        f"{value}0",
        rf"\${value}",
        rf"{value} \times 10^0",
        f"{value * 100}%",
    ):
        assert verify(spelling, gold).is_correct, spelling


@settings(max_examples=50)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=6, unique=True), st.randoms())
def test_lists_have_no_order_tuples_do(items, random):
    shuffled = random.sample(items, len(items))
    bare, mixed = ", ".join(map(str, items)), ", ".join(map(str, shuffled))
    assert verify(mixed, bare).is_correct
    assert verify(rf"\{{{mixed}\}}", rf"\{{{bare}\}}").is_correct
    assert verify(f"({mixed})", f"({bare})").is_correct == (items == shuffled)
    assert not verify(", ".join(map(str, items[1:])), bare).is_correct
    assert not verify(f"{bare}, 51", bare).is_correct


@settings(max_examples=50)
@given(st.integers(-20, 20), st.integers(-20, 20), st.integers(1, 9))
def test_expanded_and_factored(a, b, c):
    expanded = f"{c}x^2 + ({c * (a + b)})x + ({c * a * b})"
    assert verify(f"{c}(x+({a}))(x+({b}))", expanded).is_correct
    assert not verify(f"{c}(x+({a}))(x+({b}))+1", expanded).is_correct


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(TEXT, LATEX), st.sampled_from(["42", r"\{1,2\}", "x<3", "B", r"\text{odd}", "(1,2)"])
)
def test_any_text_gets_a_verdict(reply, gold):
    assert verify(reply, gold).kind in ("correct", "wrong", "unparseable")
    extract(reply)
    extract_choice(reply)
