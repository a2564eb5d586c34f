"""Suites that a model grades: SimpleQA, MT-Bench, Arena-Hard, AlpacaEval.

Arena-Hard and AlpacaEval compare with a baseline's replies, which stand in the rows (`baseline`,
or AlpacaEval's `output`). Where no row has one, replies are marked from 1 to 10 instead.
"""

from dataclasses import replace
from functools import partial

from aha.evals.figures import without_length
from aha.evals.suites.entry import Entry, Row, without_gold
from aha.evals.suites.judging import (
    correctness,
    preference,
    preference_figures,
    rating,
    rating_figures,
    turn_figures,
)
from aha.evals.suites.suite import Protocol

_FREE = Protocol(samples=1)


def _first_turn(row: Row) -> Row:
    """The first turn is the question; all of them stay in `meta`."""
    turns = row.get("turns", row.get("prompt"))
    if not isinstance(turns, list):
        return without_gold()(row) or {}
    said = [turn["content"] if isinstance(turn, dict) else turn for turn in turns]
    others = {key: value for key, value in row.items() if key not in ("prompt", "turns", "label")}
    return {**others, "question": said[0], "turns": said, "answer": None}


def _paired(row: Row) -> Row:
    """The baseline's reply is the gold answer that this one is compared with."""
    asked = {**row, "question": row["instruction"]} if "instruction" in row else _first_turn(row)
    baseline = row.get("baseline", row.get("output"))
    rest = {k: v for k, v in asked.items() if k not in ("baseline", "output", "instruction")}
    return {**rest, "answer": baseline, "verifier": "exact"}


def _pairwise(**said: object) -> Entry:
    """Without baselines the same prompts are marked."""
    paired = Entry(
        adapt=_paired,
        judged=preference,
        needs_gold=False,
        protocol=_FREE,
        metric="win_rate",
        figures=preference_figures,
        whole={"win_rate_lc": without_length("win_rate", "length_difference")},
        **said,  # type: ignore[arg-type]
    )
    return replace(
        paired,
        without_gold=replace(
            paired, judged=rating, metric="rating", figures=rating_figures, whole={}
        ),
    )


JUDGED = (
    Entry(
        name="simpleqa",
        description="Short questions about facts, graded by a judge",
        hub="basicv8vc/SimpleQA@test",
        licence="MIT",
        judged=correctness,
        protocol=_FREE,
    ),
    Entry(
        name="mt-bench",
        description="80 questions of two turns, each reply marked from 1 to 10",
        hub="HuggingFaceH4/mt_bench_prompts@train",
        licence="Apache-2.0",
        adapt=_first_turn,
        judged=partial(rating, of_turns=True),
        needs_gold=False,
        protocol=_FREE,
        metric="rating",
        figures=turn_figures,
        has_turns=True,
    ),
    _pairwise(
        name="arena-hard",
        description="500 hard prompts of users, compared with a baseline in both orders",
        hub="lmarena-ai/arena-hard-auto-v0.1@train",
        files=("arena_hard_v01",),
        licence="Apache-2.0",
    ),
    _pairwise(
        name="alpacaeval",
        description="805 instructions, compared with a baseline in both orders",
        hub="tatsu-lab/alpaca_eval:alpaca_eval_gpt4_baseline@eval",
        files=("alpaca_eval",),
        licence="CC-BY-NC-4.0",
    ),
)
