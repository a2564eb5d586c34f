"""Looking back is judged by arithmetic: was the value wrong, and was it called wrong?"""

import random
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aha.evals.corrections import KINDS, MEANING, analyse_corrections, count_corrections
from aha.evals.corrections.equations import find_equations
from aha.tasks.embedded.arithmetic import draw_chain
from aha.tasks.embedded.solutions import solve_chain
from aha.tasks.embedded.voice import Voice

CHECK = "Wait, check: 57 - 20 = 37, 37 - 8 = 29."
CHECK_ZH = "等等，检查： 57 - 20 = 37， 37 - 8 = 29。"
CASES = [
    # (text, [(kind, wrong value, right value)])
    (f"57 - 28 = 31. {CHECK} 31 is wrong, so 29.", [("fix", 31, 29)]),
    (f"57 - 28 = 29. {CHECK} 29 is right.", [("confirmed", None, 29)]),
    (f"57 - 28 = 31. {CHECK} 31 is right.", [("missed", 31, 29)]),
    (f"57 - 28 = 29. {CHECK} 29 is wrong, so 31.", [("false_alarm", 31, 29)]),
    (f"57 - 28 = 31. {CHECK} 31 is wrong, so 30.", [("unrepaired", 31, 29)]),
    # the check itself slips
    ("57 - 28 = 29. Wait, check: 57 - 20 = 36, 36 - 8 = 28. 29 is wrong, so 28.",
     [("false_alarm", 28, 29)]),
    ("57 - 28 = 31. Wait, check: 57 - 20 = 37, 37 - 8 = 31. 31 is right.", [("missed", 31, 29)]),
    # Chinese, spaced and unspaced, and mixed
    ("57 - 28 = 31。等等，检查：57 - 20 = 37，37 - 8 = 29。31 不对，应为 29。", [("fix", 31, 29)]),
    (f"首先 57 - 28 = 31。{CHECK_ZH} 31 错误，应为 29。", [("fix", 31, 29)]),
    (f"57 - 28 = 29。{CHECK_ZH} 29 正确。", [("confirmed", None, 29)]),
    (f"57 - 28 = 29。{CHECK_ZH} 29 不正确，应为 31。", [("false_alarm", 31, 29)]),
    (f"First 57 - 28 = 31.{CHECK_ZH} 31 is wrong, so 29.", [("fix", 31, 29)]),
    # word-level models put spaces everywhere
    ("57 - 28 = 31 . wait , check : 57 - 20 = 37 , 37 - 8 = 29 . 31 is wrong , so 29 .",
     [("fix", 31, 29)]),
    # no verdict in words: what it works out anew counts
    ("57 - 28 = 31. Wait, 57 - 28 = 29. Then 29 + 5 = 34.", [("fix", 31, 29)]),
    ("57 - 28 = 31. Wait, 57 - 28 = 29, not 31.", [("fix", 31, 29)]),
    ("57 - 28 = 31. Hmm, wrong. Let me try again: 57 - 28 = 29.", [("fix", 31, 29)]),
    ("57 - 28 = 31. 31 is wrong. 57 - 28 = 29.", [("fix", 31, 29)]),
    ("57 - 28 = 29. Let me verify: 57 - 28 = 29.", [("confirmed", None, 29)]),
    ("57 - 28 = 31. Wait, check: 57 - 20 = 37, 37 - 8 = 29.", [("fix", 31, 29)]),
    # two steps, each checked
    (f"57 - 28 = 31. {CHECK} 31 is wrong, so 29. Then 29 + 15 = 44. Wait, check: 29 + 10 = 39, "
     "39 + 5 = 44. 44 is right.", [("fix", 31, 29), ("confirmed", None, 44)]),
    # the repaired value is what a second check looks at
    (f"57 - 28 = 31. {CHECK} 31 is wrong, so 29. {CHECK} 29 is right.",
     [("fix", 31, 29), ("confirmed", None, 29)]),
    # guess and check is search, not a mistake
    ("Try 4 * 7 - 9 = 19. But 19 is not 27. Try 4 * 9 - 9 = 27.", [("rejected_guess", 19, None)]),
    ("Try 4 * 7 = 28, 28 - 9 = 19. But 19 is not 27.", [("rejected_guess", 19, None)]),
    ("试试 4 * 7 = 28， 28 - 9 = 19。但是 19 不是 27。", [("rejected_guess", 19, None)]),
    ("Try 4 * 7 = 28, 28 - 1 = 27. But 27 is not 27.", [("misjudged_guess", 27, None)]),
    # ordinary model prose
    (r"So $57 \times 3 = 161$. Wait, $50 \times 3 = 150$, $7 \times 3 = 21$, $150 + 21 = 171$. "
     "So 161 is wrong, it should be 171.", [("fix", 161, 171)]),
    # words alone are no correction
    ("Wait, let me check this. But maybe it is wrong.", []),
    ("57 - 28 = 29. But 29 + 5 = 34. So the answer is 34.", []),
    ("57 - 28 = 29. Wait. Then 29 + 5 = 34.", []),
    ("57 - 28 = 29. 12 is wrong.", []),
    ("", []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_corrections(text, expected):
    found = analyse_corrections(text, correct=True)
    assert [(c.kind, c.wrong_value, c.right_value) for c in found] == expected


def test_a_correction_points_to_the_check_and_to_what_it_checks():
    text = f"First 57 - 28 = 31. {CHECK} 31 is wrong, so 29. Then 29 + 5 = 34."
    (found,) = analyse_corrections(text, correct=True)
    assert text[found.start : found.end] == f"{CHECK} 31 is wrong, so 29"
    assert text[found.claim_start : found.claim_end] == "57 - 28 = 31"


@pytest.mark.parametrize(("correct", "kind"), [(True, "fix"), (False, "unrepaired")])
def test_the_verdict_decides_where_the_text_never_says_the_new_value(correct, kind):
    (found,) = analyse_corrections("57 - 28 = 31. Wait, 31 is wrong.", correct=correct)
    assert found.kind == kind


def world(language, *sentences):
    """What the embedded world says in a language, sentence by sentence."""
    voice = Voice(language, random.Random(0))
    return "".join(voice.say(name, **fields) for name, fields in sentences)


def first(value):
    return "first", {"equation": f"57 - 28 = {value}"}


def check(value, verdict):
    equations = [f"{value} + 20 = {value + 20}", f"{value + 20} + 8 = {value + 28}"]
    return "check", {"equations": equations, "target": 57, "verdict": verdict}


def again(value):
    return "again", {"equations": ["57 - 20 = 37", f"37 - 8 = {value}"]}


WORLD = [
    ([first(31), check(31, False), again(29)], [("fix", 31, 29)]),
    ([first(29), check(29, True)], [("confirmed", None, 29)]),
    ([first(31), check(31, True)], [("missed", 31, 29)]),
    ([first(29), check(29, False), again(29)], [("false_alarm", None, 29)]),
    ([first(29), check(29, False), again(28)], [("false_alarm", 28, 29)]),
    ([first(31), check(31, False), again(30)], [("unrepaired", 31, 29)]),
    ([first(31), check(31, False), again(29), check(29, True)],
     [("fix", 31, 29), ("confirmed", None, 29)]),
    ([first(31), check(31, False), again(30), check(30, False), again(29)],
     [("unrepaired", 31, 29), ("fix", 30, 29)]),
    ([first(31), check(31, False), ("then", {"equation": "31 + 15 = 46"})],
     [("unrepaired", 31, 29)]),
    ([first(31), check(31, False), again(29), ("then", {"equation": "29 + 15 = 44"})],
     [("fix", 31, 29)]),
]  # fmt: skip


@pytest.mark.parametrize("language", ["en", "zh", "mixed"])
@pytest.mark.parametrize(("sentences", "expected"), WORLD)
def test_the_checks_of_the_embedded_world_are_understood(language, sentences, expected):
    text = world(language, *sentences)
    found = analyse_corrections(text, correct=True)
    assert [(c.kind, c.wrong_value, c.right_value) for c in found] == expected, text


@pytest.mark.parametrize("language", ["en", "zh", "mixed"])
def test_the_guesses_of_the_embedded_world_are_understood(language):
    def guess(name, value, verdict):
        equations = ["4 * 7 = 28", f"28 - {28 - value} = {value}"]
        return name, {"equations": equations, "target": 27, "verdict": verdict}

    cases = [
        ([guess("attempt", 19, False), guess("another", 27, True)], ["rejected_guess"]),
        ([guess("attempt", 19, False), guess("another", 20, False)], ["rejected_guess"] * 2),
        ([guess("attempt", 27, False)], ["misjudged_guess"]),
        ([guess("attempt", 19, False), guess("another", 20, True)],
         ["rejected_guess", "misjudged_guess"]),
        ([guess("attempt", 27, True)], []),
    ]  # fmt: skip
    for sentences, kinds in cases:
        text = world(language, *sentences)
        assert [found.kind for found in analyse_corrections(text, True)] == kinds, text


def test_solutions_of_the_embedded_world_hold_no_false_alarm_they_do_not_mean():
    """Verdicts there follow from the arithmetic of the check, so that nearly all are right."""
    rng = random.Random(5)
    voice = Voice("en", rng)
    found = []
    for _ in range(300):
        solution = solve_chain(draw_chain(rng, 4), "checked", voice)
        found.append(analyse_corrections(solution.thinking, correct=True))
    rates = count_corrections(found)
    assert rates.per_response("confirmed") > 1
    assert rates.per_response("fix") > 0.2
    assert rates.caught_fraction > 0.9
    assert rates.false_alarm_fraction < 0.05


def test_every_kind_is_explained():
    assert set(MEANING) == set(KINDS)


EQUATIONS = [
    ("57 - 28 = 31", [("57 - 28", 31, 29)]),
    ("so (3 + 4) * 2 = 14.", [("(3 + 4) * 2", 14, 14)]),
    ("(because 3 + 4 = 8)", [("3 + 4", 8, 7)]),
    ("1) 3 + 4 = 7", [("3 + 4", 7, 7)]),
    ("- 3 + 4 = 7\n* 5 + 1 = 6", [("3 + 4", 7, 7), ("5 + 1", 6, 6)]),
    ("-3 + 4 = 1", [("-3 + 4", 1, 1)]),
    ("12 * 3 + 4 = 36 + 4 = 40", [("12 * 3 + 4", 40, 40), ("36 + 4", 40, 40)]),
    ("12 * 3 = 36 + 4 = 40", [("12 * 3", 36, 36), ("36 + 4", 40, 40)]),
    ("10 / 4 = 2.5", [("10 / 4", Fraction(5, 2), Fraction(5, 2))]),
    ("10 / 3 = 3.33", [("10 / 3", Fraction(10, 3), Fraction(10, 3))]),
    ("10 / 3 = 3.5", [("10 / 3", Fraction(7, 2), Fraction(10, 3))]),
    ("1,000 + 5 = 1,005", [("1000 + 5", 1005, 1005)]),
    ("7 \u00d7 8 = 56", [("7 * 8", 56, 56)]),
    ("2x + 3 = 7, x = 2, f(2) + 1 = 3, 4 = 4, a - 1 = 3, 2 + 2 == 4, 1 + 1 = 2y", []),
    ("1 / 0 = 5 and 3 + = 4", []),
]


@pytest.mark.parametrize(("text", "expected"), EQUATIONS)
def test_equations(text, expected):
    assert [(e.left, e.stated, e.true) for e in find_equations(text)] == expected


@given(st.text(alphabet="0123456789+-*/()=. ,waitbusonr错对不是", max_size=300), st.booleans())
def test_any_text_is_analysed(text, correct):
    for found in analyse_corrections(text, correct):
        assert 0 <= found.start <= found.end <= len(text)
        assert 0 <= found.claim_start < found.claim_end <= len(text)


@pytest.mark.parametrize(
    "text",
    ["1" * 200_000, "1 " * 100_000, "wait " * 40_000, "1 + 1 = 2. wait " * 12_000,
     "(" * 99_999 + "=", "want 1:" * 20_000, "try 1 + 1 = 2 " * 8_000,
     "1 + " * 50_000 + "= 1", "= " * 100_000, "1 is wrong, so " * 13_000, "not " * 50_000],
)  # fmt: skip
def test_hostile_text_is_analysed_in_bounded_time(text):
    start = time.process_time()
    analyse_corrections(text, correct=True)
    assert time.process_time() - start < 3
