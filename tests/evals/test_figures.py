"""The figures of an evaluation against numbers that were worked out by hand."""

import math

import pytest

from aha.evals.figures import figures_of, is_share, majority, powers, quotient
from tests.evals.evaluations import problem, sampled


def wrong(answer="7", **values):
    return sampled("wrong", answer, **values)


def right(answer="1", **values):
    return sampled("correct", answer, **values)


NOTHING = sampled("unparseable")
FAILED = sampled("error", reason="the grader died", length_tokens=50)


def test_pass_at_1_is_the_mean_of_all_responses_with_an_error_by_problem():
    figures = figures_of([problem(0, right(), right()), problem(1, wrong(), wrong())])
    assert figures["pass@1"].value == 0.5
    assert figures["pass@1"].stderr == pytest.approx(math.sqrt(0.5 / 2))
    assert figures["pass@1"].n == 2


def test_pass_at_k_is_unbiased():
    rows = [problem(0, right(), wrong(), wrong(), wrong()), problem(1, *[wrong()] * 4)]
    figures = figures_of(rows)
    assert figures["pass@2"].value == pytest.approx((1 - 3 / 6 + 0) / 2)
    assert figures["pass@4"].value == 0.5
    assert figures["pass@4"].stderr == pytest.approx(math.sqrt(0.5 / 2))
    assert figures["mg-pass@4"].value == 0.0


def test_k_are_powers_of_two_and_the_number_itself():
    assert [powers(n) for n in (1, 2, 3, 4, 6, 16)] == [
        [], [2], [2, 3], [2, 4], [2, 4, 6], [2, 4, 8, 16]
    ]  # fmt: skip


def test_responses_without_a_verdict_are_counted_apart():
    rows = [problem(0, right(), FAILED), problem(1, wrong(), right())]
    figures = figures_of(rows)
    assert figures["pass@1"].value == pytest.approx(2 / 3)
    assert figures["unscored"].value == 0.25
    assert figures["pass@2"].n == 1  # of the first problem nobody knows
    assert figures["length_tokens"].value == 20


def test_with_nothing_but_failures_nothing_is_known():
    figures = figures_of([problem(0, FAILED, FAILED)])
    assert "pass@1" not in figures
    assert "cons@2" not in figures
    assert figures["unscored"].value == 1.0


def test_the_same_answer_in_other_words_votes_together():
    samples = [right("1"), right("1.0"), wrong("7"), wrong("7.0"), wrong("07")]
    same = lambda a, b: float(a) == float(b)  # noqa: E731
    assert majority(samples, 5) == 1.0  # as strings the wrong ones are divided
    assert majority(samples, 5, same) == 0.0
    assert majority([right(), NOTHING, NOTHING], 3) == 1.0
    assert majority([NOTHING] * 3, 3) == 0.0


def test_figures_of_a_suite_are_averaged_where_they_are_known():
    rows = [
        problem(0, right(figures={"loose": 1.0}), wrong(figures={"loose": 1.0})),
        problem(1, wrong(figures={"loose": 0.0}), FAILED),
    ]
    figures = figures_of(rows, main="prompt_strict")
    assert figures["loose"].value == pytest.approx(2 / 3)
    assert figures["prompt_strict"] == figures["pass@1"]
    assert next(iter(figures)) == "prompt_strict"
    assert figures_of(rows, main="loose").get("loose") == figures["loose"]


def test_a_quotient_of_figures_weighs_what_it_counts():
    """Prompts of 1 and 3 instructions: 3 of 4 kept, not the mean of 0 and 1."""
    rows = [
        problem(0, right(figures={"kept": 0.0, "all": 1.0}), FAILED),
        problem(1, right(figures={"kept": 3.0, "all": 3.0})),
    ]
    figures = figures_of(
        rows, whole={"share": quotient("kept", "all"), "none": quotient("all", "gone")}
    )
    assert figures["share"].value == 0.75 and figures["share"].n == 2
    residuals = (0 - 0.75) / 2, (3 - 2.25) / 2  # by hand: the delta method
    assert figures["share"].stderr == pytest.approx(
        math.sqrt(2 * sum(r * r for r in residuals)) / 2
    )
    assert "none" not in figures


def test_g_pass_asks_for_a_share_of_right_ones():
    rows = [problem(0, right(), right(), right(), wrong()), problem(1, *[right()] * 4)]
    figures = figures_of(rows)
    assert [figures[f"g-pass@4:{t}"].value for t in ("0.5", "0.75", "1")] == [1.0, 1.0, 0.5]
    assert "g-pass@2:1" not in figures


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("pass@1", 0.5, True), ("rating", 0.9, False), ("num_kept", 1.0, False),
     ("length_ratio", 0.8, False), ("prompt_loose", 1.5, False)],
)  # fmt: skip
def test_what_is_written_in_percent(name, value, expected):
    assert is_share(name, [value]) is expected


def test_cut_off_responses_are_counted():
    rows = [problem(0, right(), wrong(finish_reason="length")), problem(1, wrong(), wrong())]
    assert figures_of(rows)["truncated"].value == 0.25


def test_a_server_that_counts_no_tokens_gives_no_length():
    assert "length_tokens" not in figures_of([problem(0, right(length_tokens=0))])
