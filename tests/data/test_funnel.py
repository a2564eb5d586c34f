"""Funnels, filters, mixing and balance: every row is counted once."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aha.data.filters import READING_REASONS, ReadingFilters, reading_fault, repeated_fraction
from aha.data.funnel import Funnel, merged
from aha.data.mixing import sizes
from aha.data.preferences import balanced, embedded_judge
from aha.errors import UserError
from aha.tasks.registry import load_task

REASONS = ("wrong", "mixed language")


def test_a_funnel_counts_every_row_once():
    funnel = Funnel(REASONS)
    kept = [funnel.count(reason) for reason in (None, "wrong", None, "mixed language", "wrong")]
    assert kept == [True, False, True, False, False]
    assert funnel.kept == 2
    assert funnel.table() == {
        "steps": [
            {"name": "drawn", "count": 5},
            {"name": "not wrong", "count": 3},
            {"name": "not mixed language", "count": 2},
        ],
        "dropped": {"wrong": 2, "mixed language": 1},
    }
    assert funnel.sentence() == "5 drawn, 2 wrong, 1 mixed language: 2 kept"


def test_an_unknown_reason_is_our_mistake():
    with pytest.raises(AssertionError, match="sleepy"):
        Funnel(REASONS).count("sleepy")


@given(st.lists(st.lists(st.sampled_from([None, *REASONS]), max_size=20), max_size=5))
def test_funnels_of_ranks_and_chunks_add_up(parts):
    funnels, whole = [], Funnel(REASONS)
    for part in parts:
        funnels.append(Funnel(REASONS))
        for reason in part:
            funnels[-1].count(reason)
            whole.count(reason)
    assert merged(REASONS, [f.counts() for f in funnels]).table() == whole.table()


FILTERS = ReadingFilters()


@pytest.mark.parametrize(
    ("thinking", "summary", "fault"),
    [
        ("First 1 + 1 = 2. That is easy.", "The answer is 2.", None),
        ("First 1 + 1 = 2. 然后 2 + 2 = 4。", "The answer is 4.", "mixed language"),
        ("First 1 + 1 = 2.", "所以答案是 2。", "mixed language"),
        ("I see it now and I say it here again. " * 6, "Yes.", "repetition"),
        (" ".join(f"word{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(301)), "Yes.",
         "long paragraph"),
        ("I try this.\n```python\nprint(1)\n```\nIt works.", "Yes.", "code block"),
    ],
)  # fmt: skip
def test_what_is_hard_to_read(thinking, summary, fault):
    assert fault is None or fault in READING_REASONS
    assert reading_fault(thinking, summary, language="en", filters=FILTERS) == fault


def test_a_setting_forgives():
    code = "I try this.\n```python\nprint(1)\n```\nIt works."
    kind = FILTERS.replace(drop_code_blocks=False)
    assert reading_fault(code, "Yes.", language="en", filters=kind) is None


def test_repeated_sequences():
    assert repeated_fraction(list("abcdefgh")) == 0.0
    assert repeated_fraction([]) == 0.0
    assert repeated_fraction(["a"] * 9) == pytest.approx(0.5)
    assert repeated_fraction(list("abcabcabc"), size=3) == pytest.approx(1 - 3 / 7)


def test_mixing_keeps_the_proportion():
    assert sizes(600, 600, general_fraction=0.25, max_rows=None) == (600, 200)
    assert sizes(600, 100, general_fraction=0.25, max_rows=None) == (300, 100)
    assert sizes(600, 600, general_fraction=0.25, max_rows=80) == (60, 20)
    assert sizes(10, 0, general_fraction=0.0, max_rows=None) == (10, 0)


def test_mixing_refuses_a_missing_kind():
    with pytest.raises(UserError, match="no general rows"):
        sizes(10, 0, general_fraction=0.25, max_rows=None)


def pair(number, chosen, rejected):
    return {"kind": "pair", "id": str(number), "chosen": "x" * chosen, "rejected": "x" * rejected}


@given(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 80)), max_size=40))
def test_balance_never_makes_it_worse_and_keeps_labels(lengths):
    rows = [pair(i, *both) for i, both in enumerate(lengths)] + [{"kind": "label", "id": "l"}]
    before = sum(a - b for a, b in lengths)
    funnel = Funnel(("length balance",))
    kept = balanced(rows, funnel)
    gone = [row for row in rows if row not in kept]
    assert len(gone) == funnel.dropped["length balance"]
    assert {"kind": "label", "id": "l"} in kept
    left = [row for row in kept if row["kind"] == "pair"]
    after = sum(len(r["chosen"]) - len(r["rejected"]) for r in left)
    assert abs(after) <= abs(before)


def test_balance_evens_out_a_lopsided_set():
    rows = [pair(i, 60, 20) for i in range(20)] + [pair(100 + i, 20, 60) for i in range(5)]
    left = list(balanced(rows, Funnel(("length balance",))))
    chosen = sum(len(row["chosen"]) for row in left) / len(left)
    rejected = sum(len(row["rejected"]) for row in left) / len(left)
    assert abs(chosen - rejected) <= 0.2 * (chosen + rejected) / 2
    assert len(left) >= 10


def test_the_embedded_judge_prefers_better_replies_and_the_first_place():
    from aha.tasks.embedded.assistant import said_of

    rng = random.Random(0)
    problem = load_task("assistant").problems("train")[0]
    said = said_of(problem)
    good, bad = said.reply("full"), said.reply("rude")
    assert all(embedded_judge(problem, good, bad, rng) > 0 for _ in range(50))
    assert all(embedded_judge(problem, bad, good, rng) < 0 for _ in range(50))
    same = [embedded_judge(problem, good, good, rng) for _ in range(2000)]
    assert 0.1 < sum(same) / len(same) < 0.5
