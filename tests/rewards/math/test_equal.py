"""Which answers say the same. pairs.jsonl: gold answers with answers, ours, one line a family."""

import json
import threading
from pathlib import Path

import pytest

from aha.rewards.math import verify, verify_here

PAIRS = Path(__file__).with_name("pairs.jsonl").read_text(encoding="utf-8").splitlines()
ROWS = [json.loads(line) for line in PAIRS]
FORMS = ["{}", r"\boxed{{{}}}", "<answer>{}</answer>", "So it follows.\n\nThe answer is {}."]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["gold"])
def test_same_answer(row):
    for answer in row["same"]:
        for form in FORMS[:3]:
            verdict = verify(form.format(answer), row["gold"])
            assert verdict.is_correct, (form.format(answer), verdict)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["gold"])
def test_another_answer(row):
    for answer in row["different"]:
        for form in FORMS:
            verdict = verify(form.format(answer), row["gold"])
            assert verdict.kind in ("wrong", "unparseable"), (form.format(answer), verdict)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["gold"])
def test_the_gold_answer_is_correct(row):
    for form in FORMS:
        assert verify(form.format(row["gold"]), row["gold"]).is_correct, form


def test_a_gold_answer_may_be_boxed_or_a_solution():
    assert verify("0.5", r"\boxed{\frac{1}{2}}").is_correct
    assert verify("0.5", r"$\frac{1}{2}$").is_correct
    assert verify("7", "Adding 3 and 4 we get $3+4 = \\boxed{7}$ as the sum.").is_correct
    assert verify("1, 2", r"\boxed{1} pens and \boxed{2} cups").is_correct


def test_prose_as_gold_answer_is_compared_as_text():
    gold = "All primes $p$ such that $p \\equiv 3 \\pmod 4$"
    assert verify(rf"\boxed{{{gold}}}", gold).is_correct
    assert not verify(r"\boxed{p \equiv 1 \pmod 4}", gold).is_correct


def test_an_empty_gold_answer_is_our_error_not_the_models():
    for gold in ("", "  "):
        assert verify("42", gold).kind == "error"


def test_tolerance_is_what_the_row_allows():
    assert not verify("3.15", "3.14").is_correct
    assert verify("3.15", "3.14", tolerance=0.05).is_correct
    assert not verify("3.2", "3.14", tolerance=0.05).is_correct
    assert verify("0.333", r"\frac{1}{3}", tolerance=0.0005).is_correct
    assert verify("(0.99, 2)", "(1,2)", tolerance=0.1).is_correct


def test_reasons_and_extracted_answers_are_shown():
    verdict = verify(r"Thus \boxed{41}.", "42")
    assert (verdict.kind, verdict.extracted) == ("wrong", "41")
    assert verdict.reason
    assert verify(r"\boxed{}", "42").kind == "unparseable"


def test_in_threads():
    found = []

    def run():
        found.append(verify(r"\sqrt{12}", r"2\sqrt{3}").is_correct)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 8


def test_verify_here_is_the_same_judgement():
    for row in ROWS[::5]:
        for answer in row["same"] + row["different"]:
            assert verify_here(answer, row["gold"]) == verify(answer, row["gold"])
