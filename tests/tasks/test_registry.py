"""Tasks by name, and what validation finds in bad ones."""

import pytest

from aha.errors import UserError
from aha.rewards.user import reward
from aha.rewards.verdict import Verdict
from aha.tasks.files import FileTask
from aha.tasks.red_team import MAX_REPORTED
from aha.tasks.registry import (
    check_distinct,
    check_gold,
    gold_response,
    load_task,
    task_names,
    validate_task,
)
from aha.tasks.task import Problem, Task

PROBLEMS = [Problem(id=f"p{n}", question=f"What is {n}?", gold=str(100 + n)) for n in range(6)]
SPLITS = {"train": PROBLEMS[:4], "validation": PROBLEMS[4:5], "heldout": PROBLEMS[5:]}


def task(score=None, splits=SPLITS, rewards=()):
    return FileTask("own", splits, score=score, rewards=rewards)


def test_every_name_is_a_task_of_that_name():
    for name in task_names():
        assert load_task(name).name == name


@pytest.mark.parametrize(
    ("name", "hint"),
    [("aritmetic", "did you mean 'arithmetic'"), ("qqq", "known: arithmetic"), ("", "known")],
)
def test_an_unknown_name_has_a_hint(name, hint):
    with pytest.raises(UserError) as info:
        load_task(name)
    assert hint in info.value.hint


def test_a_good_task_has_no_findings():
    assert validate_task(task()) == []


@pytest.mark.parametrize(
    ("score", "finding"),
    [
        (lambda p, r: False, "the gold answer '100' is wrong"),
        (lambda p, r: True, "an empty response scores 1"),
        (lambda p, r: p.gold in r, "an answer only in the thinking scores 1"),
        (lambda p, r: f"<answer> {p.gold}" in r, "a response cut off scores 1"),
        (lambda p, r: p.gold in r.split("<answer>")[-1], "two answer blocks scores 1"),
        (lambda p, r: "What" in r, "the question repeated scores 1"),
        (lambda p, r: 1 / 0, "is error (score() raised ZeroDivisionError"),
        (lambda p, r: 1 / len(r) > 0, "no verdict on an empty response"),
        (lambda p, r: "maybe", "is error (score() returned 'maybe'"),
        (lambda p, r: 7, "is error (score() returned 7.0"),
        (lambda p, r: 0.1 * ("<think>" not in r), "garbage scores 0.1"),
    ],
)
def test_a_bad_score_is_found(score, finding):
    findings = validate_task(task(score))
    assert any(finding in text for text in findings), findings
    assert len(findings) <= MAX_REPORTED


def test_a_score_that_takes_any_of_many_answers_is_found():
    def generous(problem, response):
        _, _, answer = response.partition("<answer>")
        answer, tag, rest = answer.partition("</answer>")
        return bool(tag) and not rest and problem.gold in answer

    assert any("many answers at once scores 1" in text for text in validate_task(task(generous)))


def test_a_task_of_ones_own_that_raises_is_found():
    class Raising(Task):
        name = "raising"

        def problems(self, split):
            return SPLITS[split]

        def score(self, problem, response):
            raise LookupError("no table")

    assert "raised LookupError: no table" in validate_task(Raising())[0]


@pytest.mark.parametrize(
    ("function", "finding"),
    [
        (lambda p, r: 1 / len(r), "reward 'mine' raised ZeroDivisionError"),
        (lambda p, r: float("inf"), "reward 'mine' is inf"),
        (lambda p, r: None, "reward 'mine' raised TypeError"),
    ],
)
def test_a_bad_reward_is_found(function, finding):
    findings = validate_task(task(rewards=[reward(name="mine")(function)]))
    assert any(finding in text for text in findings), findings


def test_splits_that_overlap_or_are_empty_are_found():
    twice = Problem(id="other", question="What is 0?", gold="100")
    overlapping = validate_task(task(splits={**SPLITS, "heldout": [twice]}))
    assert overlapping == ["other: p0 has the same question"]
    same_id = validate_task(task(splits={**SPLITS, "heldout": [PROBLEMS[4]]}))
    assert same_id == ["p4: p4 has the same id", "p4: p4 has the same question"]
    assert validate_task(task(splits={**SPLITS, "heldout": []})) == [
        "there are no problems for heldout"
    ]


def test_a_problem_may_bring_its_own_gold_response():
    own = Problem(id="own", question="q", gold="5", meta={"gold_response": "it is 5"})
    assert gold_response(own) == "it is 5"
    assert gold_response(PROBLEMS[0]) == "<think> 100 </think><answer> 100</answer>"
    splits = {"train": [own], "validation": PROBLEMS[:1], "heldout": PROBLEMS[1:2]}
    findings = validate_task(task(splits=splits))
    assert findings == ["own: the gold answer '5' is unparseable (no think block)"]


def test_what_cannot_be_checked_is_not_scored():
    class Talk(Task):
        name, checkable = "talk", False

        def problems(self, split):
            return SPLITS[split]

        def score(self, problem, response):
            return Verdict.error("nothing to compare with")

    assert validate_task(Talk()) == []


def test_only_some_problems_may_be_looked_at():
    calls = []

    def score(problem, response):
        calls.append(problem.id)
        return False

    validate_task(task(score), max_problems=1)
    assert set(calls) == {"p0", "p4", "p5"}


def test_one_name_twice_is_refused():
    check_distinct([load_task("logic"), load_task("countdown")])
    with pytest.raises(UserError, match="two tasks of this run are called 'logic'"):
        check_distinct([load_task("logic"), load_task("logic")])


def test_a_task_that_fails_its_own_gold_answer_stops_before_a_run(tmp_path):
    path = tmp_path / "bad.py"
    path.write_text(
        "problems = [{'question': f'{i} + 1', 'answer': i + 1} for i in range(30)]\n"
        "def score(problem, response):\n    return False\n"
    )
    with pytest.raises(UserError, match="judges its own gold answer") as caught:
        check_gold(load_task(str(path)))
    assert caught.value.hint
    assert check_gold(load_task("arithmetic")) is None
