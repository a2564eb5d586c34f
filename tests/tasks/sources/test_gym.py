"""reasoning-gym's generators as tasks, scored by the generator in a worker process."""

import pytest

from aha.errors import UserError
from aha.tasks.registry import load_task
from aha.tasks.task import SPLITS

pytest.importorskip("reasoning_gym")


@pytest.fixture(scope="module")
def sums():
    return load_task("gym:chain_sum?seed=3&size=60&min_terms=2&max_terms=2&name=adds")


def answered(text):
    return f"<think></think><answer>{text}</answer>"


def test_problems_are_those_of_the_generator(sums):
    import reasoning_gym

    entries = reasoning_gym.create_dataset("chain_sum", seed=3, size=60, min_terms=2, max_terms=2)
    problems = {p.id: p for split in SPLITS for p in sums.problems(split)}
    assert sums.name == "adds" and len(problems) == 60
    assert [len(sums.problems(split)) for split in SPLITS] == [54, 3, 3]
    for index, entry in enumerate(entries):
        problem = problems[f"adds/{index:06d}"]
        assert (problem.question, problem.gold) == (entry["question"], entry["answer"])


def test_only_full_marks_are_right(sums):
    problem = sums.problems("train")[0]
    assert sums.score(problem, answered(problem.gold)).is_correct
    for text in (
        answered(int(problem.gold) + 1),
        answered(""),
        problem.gold,
        answered("x" * 20_000),
    ):
        verdict = sums.score(problem, text)
        assert verdict.is_scored and verdict.score == 0.0


def test_partial_credit_only_when_asked_for():
    """Some generators pay a part for a text that only holds the answer."""
    strict, lenient = (
        load_task(f"gym:letter_counting?size=20{o}") for o in ("", "&partial_credit=true")
    )
    problem = strict.problems("train")[0]
    text = answered(f"{problem.gold} letters")
    assert strict.score(problem, text).score == 0.0
    assert 0.0 <= lenient.score(problem, text).score < 1.0
    assert lenient.score(problem, answered(problem.gold)).is_correct


def test_a_generator_that_gives_full_marks_to_any_text_gets_none():
    task = load_task("gym:game_of_life_halting?size=20")
    problem = task.problems("train")[0]
    assert task.score(problem, answered(problem.gold)).is_correct
    assert task.score(problem, answered("it halts, or it does not")).kind == "wrong"


def test_a_generator_that_raises_on_a_models_text_is_no_failure():
    task = load_task("gym:prime_factorization?size=20")
    problem = task.problems("train")[0]
    assert task.score(problem, answered("xyz")).kind == "unparseable"
    assert task.score(problem, answered(problem.gold)).is_correct


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("gym:chain_sums", "no generator 'chain_sums'"),
        ("gym:chain_sum?size=0", "size = 0"),
        ("gym:chain_sum?seed=x", "seed = 'x'"),
        ("gym:chain_sum?nonsense=1", "unexpected keyword argument 'nonsense'"),
        ("gym:chain_sum?size=2", "none for train"),
    ],
)
def test_what_cannot_be_generated(reference, message):
    with pytest.raises(UserError, match=message):
        load_task(reference)
