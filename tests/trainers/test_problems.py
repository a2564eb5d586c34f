"""The order of problems: fair, complete, seeded, and the same after a resume."""

from collections import Counter

import pytest

from aha.errors import UserError
from aha.trainers.problems import ProblemStream
from tests.trainers.tiny import LetterTask


def ids(asked):
    return [item.problem.id for item in asked]


def test_every_problem_comes_once_an_epoch():
    stream = ProblemStream([LetterTask(num_problems=8)], seed=0)
    first, second = ids(stream.take(8)), ids(stream.take(8))
    assert sorted(first) == sorted(second) == [f"letters/{i}" for i in range(8)]
    assert first != second  # shuffled anew
    assert first != sorted(first)


def test_an_epoch_may_end_in_the_middle_of_a_step():
    stream = ProblemStream([LetterTask(num_problems=8)], seed=0)
    taken = [ids(stream.take(3)) for _ in range(8)]
    counts = Counter(name for step in taken for name in step)
    assert set(counts.values()) == {3}


def test_tasks_take_turns_and_each_finishes_its_own_epoch():
    small, large = LetterTask("small", 3), LetterTask("large", 5)
    stream = ProblemStream([small, large], seed=0)
    asked = stream.take(30)
    assert [item.task.name for item in asked[:4]] == ["small", "large", "small", "large"]
    counts = Counter(ids(asked))
    assert {counts[f"small/{i}"] for i in range(3)} == {5}
    assert {counts[f"large/{i}"] for i in range(5)} == {3}


def test_groups_are_numbered_through_the_run():
    stream = ProblemStream([LetterTask()], seed=0)
    assert [item.group for step in range(3) for item in stream.take(2)] == [0, 1, 2, 3, 4, 5]


def test_a_saved_position_restores_the_rest():
    undisturbed = ProblemStream([LetterTask("a", 5), LetterTask("b", 3)], seed=4)
    undisturbed.take(13)
    resumed = ProblemStream(
        [LetterTask("a", 5), LetterTask("b", 3)], seed=4, position=undisturbed.position
    )
    assert ids(resumed.take(20)) == ids(undisturbed.take(20))


def test_the_seed_names_the_order():
    orders = [ids(ProblemStream([LetterTask()], seed=seed).take(8)) for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]


def test_a_task_without_training_problems_is_the_users_error():
    with pytest.raises(UserError, match="no training problems"):
        ProblemStream([LetterTask(num_problems=0)], seed=0).take(1)


def test_two_tasks_of_one_name_are_refused():
    with pytest.raises(UserError, match="two tasks of this run are called 'letters'"):
        ProblemStream([LetterTask(), LetterTask(num_problems=3)], seed=0)
