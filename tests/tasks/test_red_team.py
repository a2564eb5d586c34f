"""The red-team: what each cheat is, that bad scores are found, and that time is bounded."""

import time

import pytest

from aha.chat.grammar import parse_response
from aha.rewards.verdict import Verdict
from aha.tasks.files import FileTask
from aha.tasks.red_team import (
    LONG_CHARS,
    cheats,
    judged,
    long_cheats,
    some_golds,
    validate_task,
    wrong_answer,
)
from aha.tasks.registry import load_task
from aha.tasks.task import Problem, Task

PROBLEMS = [Problem(id=f"p{n}", question=f"What is {n}?", gold=str(100 + n)) for n in range(6)]
SPLITS = {"train": PROBLEMS[:4], "validation": PROBLEMS[4:5], "heldout": PROBLEMS[5:]}


def task(score=None, *, isolated=False):
    return FileTask("own", SPLITS, score=score, isolated=isolated)


def answer_of(response):
    return parse_response(response).answer or ""


def test_the_list_of_cheats_is_the_one_of_the_docs():
    golds = ["A", "B", "C"]
    problem = Problem(id="p", question="Which?", gold="B", meta={"options": ["x", "y", "z"]})
    tried = cheats(problem, golds, "A")
    assert set(tried) == {
        "an empty response",
        "garbage",
        "the question repeated",
        "the question repeated as the answer",
        "an empty answer",
        "an answer only in the thinking",
        "the right answer only in the thinking",
        "another answer than in the thinking",
        "a response cut off",
        "two answer blocks",
        "two different answer blocks",
        "two different answer blocks, the last right",
        "text after the answer",
        "several boxed answers",
        "tag spam",
        "an answer in nested tags",
        "a tower of powers",
        "a LaTeX tower of powers",
        "a LaTeX bomb",
        "open braces",
        "many answers at once",
        "all options listed",
        "all options in a row",
        "Unicode look-alikes",
    }
    assert tried["all options listed"] == "<think></think><answer>x, y, z</answer>"
    assert tried["Unicode look-alikes"] == "<think></think><answer>\u0412</answer>"
    assert tried["another answer than in the thinking"] == "<think> B </think><answer> A </answer>"
    assert "99**98**97" in tried["a tower of powers"]


def test_cheats_that_make_no_sense_for_a_problem_are_left_out():
    chinese = Problem(id="p", question="答案？", gold="北京")
    tried = cheats(chinese, ["北京"], "上海")
    assert not {"Unicode look-alikes", "many answers at once", "all options listed"} & set(tried)
    letters = cheats(Problem(id="p", question="?", gold="(c)"), ["(c)", "(d)"], "(d)")
    assert letters["all options in a row"] == "<think></think><answer>A B C D E</answer>"
    same = Problem(id="p", question="5", gold="5")
    assert "the question repeated as the answer" not in cheats(same, ["5"], "6")


def test_an_answer_that_is_wrong_is_wrong_for_this_problem():
    def near(problem, response):
        return answer_of(response) in (problem.gold, str(int(problem.gold) + 1))

    golds = [problem.gold for problem in PROBLEMS]
    assert wrong_answer(task(near), PROBLEMS[0], golds) == "102"
    assert wrong_answer(task(), PROBLEMS[0], ["100", " 100"]) == "1000"
    assert wrong_answer(task(lambda p, r: True), PROBLEMS[0], golds) == "?"


def test_long_replies_are_long():
    sizes = {name: len(text) for name, text in long_cheats(PROBLEMS[0]).items()}
    assert len(sizes) == 4
    assert all(0.99 * LONG_CHARS < size < 1.01 * LONG_CHARS for size in sizes.values()), sizes


@pytest.mark.parametrize("name", ["arithmetic", "countdown", "logic"])
def test_no_cheat_is_paid_by_a_task_of_ours(name):
    assert validate_task(load_task(name), max_problems=8) == []


@pytest.mark.parametrize(
    ("score", "findings"),
    [
        (
            lambda p, r: answer_of(r).endswith(p.gold + "}"),
            [],  # the last box counts, and no cheat ends with the right one
        ),
        (lambda p, r: p.gold in answer_of(r).split(", "), ["many answers at once scores 1"]),
        (
            lambda p, r: p.gold in answer_of(r).replace("\\boxed{", "}").split("}"),
            ["several boxed answers scores 1"],
        ),
        (
            lambda p, r: r.count("<answer>") == 1 and r.endswith(p.gold),
            ["text after the answer scores 1"],
        ),
        (
            lambda p, r: r.count("<answer>") == 2 and f"<answer>{p.gold}</answer>" in r[-30:],
            ["two answer blocks scores 1", "two different answer blocks, the last right scores 1"],
        ),
        (
            lambda p, r: answer_of(r).isdecimal() and int(answer_of(r)) == int(p.gold),
            ["Unicode look-alikes scores 1"],
        ),
        (lambda p, r: p.gold * 2 in r.replace(", ", "") , ["10 MB of the right answer scores 1"]),
        (lambda p, r: len(r) > 10**6, ["10 MB of digits scores 1", "10 MB of braces scores 1"]),
    ],
)  # fmt: skip
def test_what_pays_a_cheat_is_found(score, findings):
    def accepts(problem, response):
        return answer_of(response) == problem.gold or score(problem, response)

    found = validate_task(task(accepts))
    for finding in findings:
        assert any(finding in text for text in found), found
    assert bool(found) == bool(findings)


def test_a_slow_verdict_is_found(monkeypatch):
    monkeypatch.setattr("aha.tasks.red_team.SLOW_SECONDS", 0.05)

    def slow(problem, response):
        time.sleep(0.1 * ("boxed" in response))
        return answer_of(response) == problem.gold

    assert any("a LaTeX bomb takes 0 s" in text for text in validate_task(task(slow)))


def test_progress_counts_the_problems():
    told = []
    validate_task(task(), on_progress=lambda done, total: told.append((done, total)))
    assert told == [(n, 6) for n in range(1, 7)]
    told.clear()
    validate_task(task(), max_problems=1, on_progress=lambda done, total: told.append(total))
    assert told == [3, 3, 3]


@pytest.mark.parametrize("isolated", [False, True])
def test_judgements_come_in_order_also_from_threads(isolated):
    def late(task, number):
        time.sleep(0.02 * (number % 3))
        return number

    assert list(judged(task(isolated=isolated), late, range(12))) == list(range(12))


def test_golds_are_different_ones():
    twice = [Problem(id=str(n), question=str(n), gold=str(n % 3)) for n in range(50)]
    assert some_golds(twice) == ["0", "1", "2"]


def test_rewards_of_a_task_without_right_answers_are_tried():
    from aha.rewards.user import reward

    class Talk(Task):
        name, checkable = "talk", False
        rewards = (reward(name="mine")(lambda p, r: 1 / len(r)),)

        def problems(self, split):
            return SPLITS[split]

        def score(self, problem, response):
            return Verdict.error("nothing to compare with")

    found = validate_task(Talk())
    assert found and all("reward 'mine' raised ZeroDivisionError" in text for text in found)
