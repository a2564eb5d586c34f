"""Duplicates, contamination, and the funnel of both."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aha.data.clean import clean, write_cleaned
from aha.data.decontaminate import find_overlaps
from aha.data.dedup import find_duplicates
from aha.data.ngrams import ngrams, tokens_of
from aha.errors import UserError
from aha.tasks.files import FileTask
from aha.tasks.registry import load_task
from aha.tasks.task import SPLITS, Problem

STORY = (
    "Ann buys {n} red apples and twice as many green pears at the weekly market on the old square "
    "in the middle of the town. How many pieces of fruit does she carry home?"
)
CHINESE = "小明在星期六的早上去市场买了{n}个苹果和两倍的梨，请问他一共带回家多少个水果呢"


def problem(question, gold="1", name="p"):
    return Problem(id=f"{name}/{question[:40]}", question=question, gold=gold)


def pairs(questions, golds=None, **options):
    golds = golds or ["1"] * len(questions)
    problems = [problem(q, g) for q, g in zip(questions, golds, strict=True)]
    return [(d.index, d.of, round(d.similarity, 2)) for d in find_duplicates(problems, **options)]


def test_tokens_are_words_or_chinese_characters():
    assert tokens_of("It's $2.50, \uff21\uff22!") == ["it", "s", "2", "50", "ab"]
    assert tokens_of("买3个apples") == ["买", "3", "个", "apples"]
    assert list(ngrams("abcd", 3)) == [("a", "b", "c"), ("b", "c", "d")]
    assert list(ngrams("ab", 3)) == [("a", "b")]


def test_exact_duplicates_differ_in_case_and_punctuation_only():
    assert pairs(["What is 2+2?", "what is   2 + 2", "What is 2+3?"]) == [(1, 0, 1.0)]
    assert pairs(["What is 2+2?", "what is 2 + 2"], ["4", "5"]) == []


def test_near_duplicates_have_the_same_numbers_and_answer():
    story = STORY.format(n=7)
    other_word = story.replace("carry", "bring")
    assert pairs([story, other_word]) == [(1, 0, 0.88)]
    assert pairs([story, other_word], threshold=None) == []
    assert pairs([story, other_word], threshold=0.9) == []
    assert pairs([story, other_word], ["21", "22"]) == []
    assert pairs([story, STORY.format(n=8)]) == []
    assert pairs([story, "Something else entirely is asked here."]) == []


def test_near_duplicates_in_chinese():
    text = CHINESE.format(n=7)
    (found,) = pairs([text, text.replace("早上", "上午")], threshold=0.6)
    assert found[:2] == (1, 0)
    assert pairs([text, CHINESE.format(n=9)], threshold=0.6) == []


def test_a_dropped_problem_does_not_drop_others():
    """b is near a, c is near b but not near a: only b goes."""
    words = [f"w{chr(97 + i)}" for i in range(26)]
    a, b, c = (" ".join(words[i : i + 20]) for i in (0, 2, 4))
    assert pairs([a, b, c], threshold=0.75) == [(1, 0, 0.8)]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), threshold=st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_the_search_finds_what_comparing_all_pairs_finds(seed, threshold):
    rng = random.Random(seed)
    texts = [" ".join(rng.choices("abcd", k=rng.randint(1, 9))) for _ in range(25)]
    grams = [set(ngrams(tokens_of(text), 3)) for text in texts]
    kept, dropped = [], []
    for index, text in enumerate(texts):
        if text in texts[:index] or any(
            len(grams[index] & grams[i]) >= threshold * len(grams[index] | grams[i]) for i in kept
        ):
            dropped.append(index)
        else:
            kept.append(index)
    found = find_duplicates([problem(text) for text in texts], threshold=threshold)
    assert [duplicate.index for duplicate in found] == dropped


def overlaps(questions, suite, **options):
    found = find_overlaps([problem(q) for q in questions], {"suite": suite}, **options)
    return [(hit.index, hit.suite, hit.passage) for hit in found]


TEN = "one two three four five six seven eight nine ten"


def test_a_passage_of_ten_words_is_an_overlap_and_nine_are_none():
    asked = [f"Zero {TEN.upper()}, eleven?", TEN.removesuffix(" ten"), "nothing of it"]
    assert overlaps(asked, [f"Is it {TEN} or not?"]) == [(0, "suite", TEN)]
    assert [hit[0] for hit in overlaps(asked, [f"Is it {TEN}?"], words=9)] == [0, 1]


def test_a_short_question_is_found_as_a_whole_only():
    assert [
        hit[0] for hit in overlaps(["What is 2+2", "What is 2+2 in words?"], ["what is 2 + 2?"])
    ] == [0]


def test_of_chinese_thirteen_characters_are_compared():
    text = "小明在星期六的早上去市场买了苹果"
    thirteen, twelve = text[:13], text[:12]
    assert [hit[0] for hit in overlaps([f"请问{thirteen}", f"请问{twelve}好"], [text])] == [0]


@pytest.fixture
def task():
    story = STORY.format(n=7)
    splits = {
        "train": [
            problem(story.replace("carry", "bring"), name="near"),
            problem("Is this the one?", name="exact"),
            problem(f"{TEN} and more", name="leaked"),
            problem("A good problem", name="good"),
        ],
        "validation": [problem("Another good problem")],
        "heldout": [problem(story), problem("is this the one")],
    }
    return FileTask("dirty", splits)


def test_cleaning_counts_every_problem_once_and_keeps_what_is_held_out(task, tmp_path):
    cleaned = clean(task, {"exam.jsonl": [f"{TEN}!"]})
    assert cleaned.funnel.table() == {
        "steps": [
            {"name": "drawn", "count": 7},
            {"name": "not exact duplicate", "count": 6},
            {"name": "not near duplicate", "count": 5},
            {"name": "not in a suite", "count": 4},
        ],
        "dropped": {"exact duplicate": 1, "near duplicate": 1, "in a suite": 1},
    }
    assert [(row["id"].split("/")[0], row["reason"]) for row in cleaned.dropped] == [
        ("near", "near duplicate"),
        ("exact", "exact duplicate"),
        ("leaked", "in a suite"),
    ]
    assert cleaned.dropped[0]["detail"].endswith("(0.88)")
    assert cleaned.dropped[2]["detail"] == f"exam.jsonl: {TEN}"
    beside = write_cleaned(cleaned, tmp_path / "clean.jsonl")
    assert [json.loads(line) for line in beside.read_text().splitlines()] == cleaned.dropped
    again = load_task(str(tmp_path / "clean.jsonl"))
    for split in SPLITS:
        kept = [p.question for p in again.problems(split)]
        assert kept == [
            p.question for p in task.problems(split) if "good" in p.question or split == "heldout"
        ]


def test_nothing_left_is_an_error(task, tmp_path):
    cleaned = clean(task, {"all": [p.question for s in SPLITS for p in task.problems(s)]})
    with pytest.raises(UserError, match="no problem is left"):
        write_cleaned(cleaned, tmp_path / "x.jsonl")
    with pytest.raises(UserError, match="cannot write"):
        write_cleaned(cleaned, tmp_path / "x.csv")
