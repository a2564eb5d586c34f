"""One row of any kind to one verdict; rows that are wrong themselves are errors that say why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aha.rewards.answer import grade_row, is_code, row_problem, row_seconds
from aha.rewards.verdict import Verdict

WELL = "<think>2 + 3 is 5</think><answer>5</answer>"
FENCED = "<think>a</think><answer>```python\nprint(5)\n```</answer>"


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"gold": "5", "prediction": "The answer is 5."}, "correct"),
        ({"gold": "5", "prediction": WELL}, "correct"),
        ({"gold": 5, "pred": 5.0}, "correct"),
        ({"answer": "1/2", "completion": "so $\\boxed{\\frac{1}{2}}$"}, "correct"),
        ({"gold": "1/2", "response": "0.25"}, "wrong"),
        ({"gold": "C", "text": "The answer is (C).", "kind": "choice"}, "correct"),
        ({"gold": "C", "pred": "D", "kind": "some kind of another project"}, "wrong"),
        ({"gold": "5", "prediction": None}, "unparseable"),
        ({"gold": "5", "completion": "6", "pred": "5"}, "wrong"),
        ({"gold": "New York", "prediction": " new  york", "kind": "exact"}, "correct"),
        ({"gold": "5", "prediction": "<answer>5 m</answer>", "kind": "number"}, "unparseable"),
        ({"gold": "5", "prediction": "<answer>5.0</answer>", "kind": "number"}, "correct"),
        ({"kind": "format:think_answer", "completion": WELL}, "correct"),
        ({"kind": "think_answer", "completion": WELL + " and"}, "wrong"),
        ({"kind": "think", "completion": "<think>a</think>b"}, "correct"),
        ({"kind": "think", "completion": "<think>a</think><think>b</think>c"}, "wrong"),
        ({"kind": "think_then_nonempty_answer", "completion": "<think>a</think> \n"}, "wrong"),
        ({"kind": "think_answer_code", "completion": FENCED, "language": "python"}, "correct"),
        ({"kind": "think_answer_code", "completion": FENCED}, "correct"),
        ({"kind": "think_answer_code", "completion": FENCED, "language": "cpp"}, "wrong"),
        ({"kind": "think_answer_code", "completion": WELL}, "wrong"),
        ({"kind": "tag_count", "completion": WELL}, "correct"),
        (
            {"kind": "countdown", "numbers": [6, 7], "target": 42, "prediction": "6 * 7"},
            "correct",
        ),
        (
            {
                "kind": "countdown",
                "meta": {"numbers": ["6", 7], "target": "42"},
                "response": "<think>6 * 6</think><answer>7 * 6 = 42</answer>",
            },
            "correct",
        ),
        ({"kind": "countdown", "numbers": [6, 7], "target": 42, "pred": "7 * 7"}, "wrong"),
        (
            {
                "kind": "knights_knaves",
                "gold": "(1) Zoey is a knight\n(2) Max is a knave",
                "prediction": "<answer>(1) Zoey is a knight (2) Max is a knave</answer>",
            },
            "correct",
        ),
        ({"kind": "countdown", "prediction": "5"}, "error"),
        ({"kind": "countdown", "numbers": 6, "target": 42, "pred": "7 * 7"}, "error"),
    ],
)
def test_a_row_is_judged_by_its_kind(row, kind):
    verdict = grade_row(row)
    assert verdict.kind == kind, verdict


def test_tags_are_counted_by_quarters():
    verdict = grade_row({"kind": "tag_count", "completion": "<think>a</think><answer>b"})
    assert (verdict.kind, verdict.score) == ("wrong", 0.75)
    assert verdict.reason == "0.75: not once: </answer>"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ([1], "not an object"),
        ({}, "no prediction (one of prediction, completion,"),
        ({"prediction": "5"}, "no gold answer"),
        ({"prediction": "5", "gold": None}, "no gold answer"),
        ({"prediction": "5", "gold": [5]}, "no gold answer"),
        ({"prediction": "5", "kind": "exact"}, "no gold answer"),
        ({"prediction": "5", "kind": "what"}, "unknown kind 'what' and no gold answer"),
        ({"prediction": "5", "kind": "code"}, "no tests for the program"),
    ],
)
def test_a_row_that_cannot_be_judged_says_why(row, problem):
    assert row_problem(row).startswith(problem)
    verdict = grade_row(row)
    assert (verdict.kind, verdict.reason) == ("error", row_problem(row))


def test_tests_make_a_row_a_program():
    row = {"response": "x", "tests": ["assert f() == 1"]}
    assert is_code(row) and not is_code({"gold": "1", "pred": "1"})
    assert row_seconds(row) > row_seconds({"gold": "1", "pred": "1"}) == 5.0
    assert row_seconds({"gold": "1", "pred": "1", "timeout_seconds": 2}) == 2.0


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
keys = st.sampled_from(
    ["gold", "prediction", "kind", "numbers", "target", "meta", "language", "text"]
)
kinds = st.sampled_from(["exact", "number", "countdown", "think", "tag_count", "think_answer_code"])


@given(st.dictionaries(keys, json_values), kinds)
def test_any_row_gets_a_verdict(row, kind):
    assert isinstance(grade_row(row | {"kind": kind}), Verdict)
