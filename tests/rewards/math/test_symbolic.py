"""What our grammar does not have goes to math-verify, in a worker or in place."""

import threading

import pytest

from aha.rewards.math import verify, verify_here
from aha.rewards.math.extent import is_formal
from aha.rewards.math.judge import Undecided, judge
from aha.rewards.math.symbolic import judge_symbolic

OUTSIDE = ("5 5 ==", "5")
"""A reply that our grammar does not read, and a gold answer."""
NEVER_ASKED = [
    "99^{98^{97}}",
    "123456789!",
    "2^{1000000}",
    "{" * 20 + "1" + "}" * 20,
    r"\frac{1}{2",
    "x" * 500 + "=1",
    "the answer that everybody expects is 3",
    "no mathematics here",
    "<b>1</b>",
    "\u4e00=1",
]


@pytest.mark.parametrize("text", NEVER_ASKED, ids=lambda text: text[:20])
def test_what_sympy_is_never_asked(text):
    assert not is_formal(text)


def test_outside_the_grammar_is_undecided():
    with pytest.raises(Undecided):
        judge(*OUTSIDE)
    assert verify_here(*OUTSIDE).kind in ("wrong", "unparseable")


def test_other_numbers_of_commas_are_not_asked():
    assert judge("5 5 ==, 5", "5").kind == "unparseable"


def test_math_verify_compares():
    assert judge_symbolic(r"\frac{2}{4}", "0.5").is_correct
    assert judge_symbolic(r"\frac{3}{4}", "0.5").kind == "wrong"
    assert judge_symbolic("1728", r"\{1331, 1728\}").kind == "wrong"
    assert judge_symbolic(r"\frac{", "0.5").kind == "unparseable"


def test_a_worker_is_asked_from_any_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(verify(*OUTSIDE, timeout_seconds=30)))
    thread.start()
    thread.join()
    assert found[0].kind in ("wrong", "unparseable")
