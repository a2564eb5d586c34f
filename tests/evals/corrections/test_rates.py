"""Rates over responses are plain counts, whoever counted them."""

import json

import pytest

from aha.evals.corrections import (
    KINDS,
    CorrectionRates,
    count_corrections,
    merge_rates,
    rate_responses,
    thought_of,
)
from aha.evals.corrections.analysis import MAX_TEXT_CHARS

CHECK = "Wait, check: 57 - 20 = 37, 37 - 8 = 29."
FIX = f"57 - 28 = 31. {CHECK} 31 is wrong, so 29."
CONFIRMED = f"57 - 28 = 29. {CHECK} 29 is right."
MISSED = f"57 - 28 = 31. {CHECK} 31 is right."
ALARM = f"57 - 28 = 29. {CHECK} 29 is wrong, so 31."
UNREPAIRED = f"57 - 28 = 31. {CHECK} 31 is wrong, so 30."
TEXTS = (FIX, CONFIRMED, MISSED, ALARM, UNREPAIRED, "nothing")


def whole(thought):
    return f"<think>{thought}</think><answer>29</answer>"


def test_rates():
    rates = rate_responses((whole(text), True) for text in TEXTS)
    assert rates.num_responses == 6
    once = {"fix": 1, "confirmed": 1, "missed": 1, "false_alarm": 1, "unrepaired": 1}
    assert rates.counts == {**once, "rejected_guess": 0, "misjudged_guess": 0}
    assert rates.caught_fraction == pytest.approx(2 / 3)
    assert rates.false_alarm_fraction == pytest.approx(1 / 2)
    assert rates.per_response("fix") == pytest.approx(1 / 6)
    nothing = count_corrections([])
    assert nothing.caught_fraction is None
    assert nothing.per_response("fix") == 0.0


def test_the_summary_has_every_figure_and_comes_back_whole():
    rates = rate_responses((whole(text), True) for text in (FIX, FIX, ALARM, "so", "7", "8", "9"))
    summary = json.loads(json.dumps(rates.summary()))
    assert summary == {
        **dict.fromkeys(KINDS, 0.0),
        "fix": 2 / 7,
        "false_alarm": 1 / 7,
        "caught_fraction": 1.0,
        "false_alarm_fraction": 1.0,
        "n": 7,
    }
    assert CorrectionRates.of_summary(summary) == rates
    empty = rate_responses([]).summary()
    assert (empty["n"], empty["fix"], empty["caught_fraction"]) == (0, 0.0, None)
    assert CorrectionRates.of_summary(empty) == rate_responses([])


def test_parts_add_up_to_the_whole():
    rated = [(whole(text), True) for text in TEXTS * 3]
    parts = [rate_responses(rated[:5]), rate_responses([]), rate_responses(rated[5:])]
    assert merge_rates(parts) == rate_responses(rated)


def test_the_verdict_counts_where_the_text_is_silent():
    silent = whole("57 - 28 = 31. Wait, 31 is wrong.")
    rates = rate_responses([(silent, True), (silent, True), (silent, False)])
    assert (rates.counts["fix"], rates.counts["unrepaired"]) == (2, 1)


def test_what_is_too_long_is_left_out():
    rates = rate_responses([(whole(FIX), True), (whole(FIX + " " * MAX_TEXT_CHARS), True)])
    assert (rates.num_responses, rates.counts["fix"]) == (1, 1)


@pytest.mark.parametrize(
    ("text", "thought"),
    [
        (f"<think> {FIX} </think> <answer> 29 </answer>", FIX),
        (f"<think>{FIX}<answer> 57 - 28 = 29 </answer>", FIX),
        (f"{FIX}<answer> 29 </answer>", FIX),
        (FIX, FIX),
        (f"<think>{FIX}</think>", FIX),
        ("<think></think><answer> 57 - 28 = 29 </answer>", ""),
        ("", ""),
    ],
)
def test_the_thought_is_what_stands_before_the_answer(text, thought):
    assert thought_of(text) == thought
