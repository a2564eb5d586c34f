"""Who may use a problem follows from a hash that must never change."""

from collections import Counter

import pytest

from aha.tasks.embedded.splits import SPLIT_SIZES, collect_problems, split_of, stream
from aha.tasks.registry import load_task, task_names
from aha.tasks.task import SPLITS

HELDOUT = [2, 30, 52]
VALIDATION = [3, 9, 29, 40]
DRAWS = [624611]
"""Computed here in 2026-11 (BLAKE2b). Other values would move held-out problems into training."""

TALK = ("smalltalk", "assistant", "requests")
"""Tasks without right answers; there are only so many ways to say hello."""


def test_the_hash_is_stable():
    splits = [split_of(str(number)) for number in range(60)]
    assert [number for number, split in enumerate(splits) if split == "heldout"] == HELDOUT
    assert [number for number, split in enumerate(splits) if split == "validation"] == VALIDATION
    assert split_of("用 3, 7, 19") == "train"


def test_one_in_twenty_is_held_out():
    counts = Counter(split_of(f"problem {number}") for number in range(20_000))
    assert counts["heldout"] == pytest.approx(1000, abs=100)  # 3.2 standard deviations
    assert counts["validation"] == pytest.approx(1000, abs=100)


def test_streams_are_named():
    assert [stream("corpus", 0, "1/0").randrange(10**6)] == DRAWS
    draws = {stream(*name).random() for name in (("a", 1), ("a", 2), ("b", 1), ("a", "1", ""))}
    assert len(draws) == 4


@pytest.mark.parametrize("name", task_names())
def test_splits_share_no_question_and_no_id(name):
    task = load_task(name)
    questions = [{p.question for p in task.problems(split)} for split in SPLITS]
    ids = [p.id for split in SPLITS for p in task.problems(split)]
    assert len(set(ids)) == len(ids)
    assert not questions[0] & questions[1]
    assert not questions[0] & questions[2]
    assert not questions[1] & questions[2]


@pytest.mark.parametrize("name", [name for name in task_names() if name not in TALK])
def test_splits_have_their_full_size(name):
    sizes = {split: len(load_task(name).problems(split)) for split in SPLITS}
    assert sizes == SPLIT_SIZES


@pytest.mark.parametrize("name", TALK)
def test_talk_has_fewer_questions_but_enough(name):
    sizes = [len(load_task(name).problems(split)) for split in SPLITS]
    assert min(sizes) >= 100


@pytest.mark.parametrize("name", task_names())
def test_problems_do_not_depend_on_what_was_asked_before(name):
    first = load_task(name).problems("validation")
    collect_problems.cache_clear()
    load_task("logic").problems("heldout")
    assert load_task(name).problems("validation") == first
    assert [p.id for p in first[:2]] == [f"{name}/validation/{n:06d}" for n in (0, 1)]
    assert {p.language for p in first} == {"en", "zh"}
