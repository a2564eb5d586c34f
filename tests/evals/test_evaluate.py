"""Figures of sampled responses, from graded rows made by hand and from a real engine."""

import math

import pytest

from aha.engine.engine import Engine
from aha.engine.types import SamplingParams
from aha.errors import HealthError, UserError
from aha.evals.evaluate import (
    RIGHT,
    Graded,
    evaluate_tasks,
    grade,
    majority,
    sample_task,
    task_scores,
)
from aha.pipeline.ranks import Ranks
from aha.rewards.verdict import Verdict
from aha.tasks.files import FileTask
from aha.tasks.task import Problem
from aha.trainers.rollouts import Prompter
from tests.trainers.tiny import LetterTask, on_ranks, sample, tiny_model, tiny_tokenizer

PARAMS = SamplingParams(max_new_tokens=5)


def graded(group, correct=False, *, scored=True, answer=None, **values):
    defaults = {
        "length_tokens": 10,
        "reflection": 0,
        "format": 1.0,
        "language_consistency": None,
        "truncated": False,
    }
    vote = RIGHT if correct else answer
    return Graded(group=group, correct=correct, scored=scored, answer=vote, **defaults | values)


def judged(verdict, *, well_formed=True):
    one = sample([1], (2, 3, 0), verdict=verdict)
    one.rewards["format"] = float(well_formed)
    return grade(one)


def test_a_right_answer_in_the_wrong_form_is_not_correct_and_does_not_vote():
    right, unformed = (
        judged(Verdict.correct("42")),
        judged(Verdict.correct("42"), well_formed=False),
    )
    assert (right.correct, right.answer) == (True, RIGHT)
    assert (unformed.correct, unformed.answer) == (False, None)


def test_right_answers_vote_together_however_they_are_spelled():
    assert judged(Verdict.correct("42")).answer == judged(Verdict.correct("42.0")).answer
    assert judged(Verdict.wrong("41", "")).answer == "41"
    assert judged(Verdict.unparseable("no answer")).answer is None


def test_scores_are_means_with_an_error_clustered_by_problem():
    rows = [
        graded(0, True, length_tokens=20, reflection=3, language_consistency=1.0),
        graded(0, True, truncated=True),
        graded(1, False, format=0.0, language_consistency=0.5),
        graded(1, False, length_tokens=40),
    ]
    scores = task_scores(rows)
    assert scores.pass_at_1 == 0.5
    assert scores.pass_at_1_stderr == pytest.approx(math.sqrt(0.5 / 2))  # two problems: 1 and 0
    assert (scores.num_scored, scores.num_problems) == (4, 2)
    assert scores.length_tokens == 20
    assert scores.reflection == 0.75
    assert scores.format == 0.75
    assert scores.language_consistency == 0.75
    assert scores.truncated == 0.25


def test_responses_without_a_verdict_are_left_out_of_pass_at_1_alone():
    rows = [graded(0, True), graded(0, scored=False, length_tokens=30), graded(1, False)]
    scores = task_scores(rows)
    assert scores.pass_at_1 == 0.5
    assert (scores.num_scored, scores.num_problems) == (2, 2)
    assert scores.length_tokens == pytest.approx(50 / 3)
    nothing = task_scores([graded(0, scored=False)])
    assert (nothing.pass_at_1, nothing.pass_at_1_stderr, nothing.num_scored) == (0.0, 0.0, 0)


def test_the_majority_is_counted_by_problem():
    rows = [
        *(graded(0, True), graded(0, True), graded(0, answer="7")),  # right wins
        *(graded(1, True), graded(1, answer="7"), graded(1, answer="7")),  # 7 wins
        *(graded(2, True), graded(2, answer="7"), graded(2, answer=None)),  # a tie
        *(graded(3, True), graded(3, answer=None), graded(3, answer=None)),  # one vote
    ]
    votes = majority(rows, k=3)
    assert votes.value == pytest.approx((1 + 0 + 0.5 + 1) / 4)
    assert votes.n == 4


def engine_and_prompter():
    model, tokenizer = tiny_model(), tiny_tokenizer()
    return Engine(model, tokenizer), Prompter("none", tokenizer)


def run(task, ranks=None, **values):
    engine, prompter = engine_and_prompter()
    defaults = {"split": "heldout", "num_problems": 5, "num_samples": 3}
    return sample_task(
        engine, prompter, task, PARAMS, ranks=ranks or Ranks(), **(defaults | values)
    )


def test_the_first_problems_are_sampled_and_another_stream_draws_others():
    rows, samples = run(LetterTask(num_problems=8))
    assert [row.group for row in rows] == [g for g in range(5) for _ in range(3)]
    assert [s.problem.id for s in samples[::3]] == [f"letters/{i}" for i in range(5)]
    again, _ = run(LetterTask(num_problems=8))
    assert again == rows
    _, others = run(LetterTask(num_problems=8), stream=1)
    texts, other_texts = ([s.completion.token_ids for s in x] for x in (samples, others))
    assert texts != other_texts


def test_a_small_split_is_sampled_whole():
    rows, _ = run(LetterTask(num_problems=2), num_problems=100)
    assert [row.group for row in rows] == [0, 0, 0, 1, 1, 1]


def test_every_rank_knows_all_grades_and_keeps_its_own_samples():
    alone, samples = run(LetterTask(num_problems=5))
    shared = on_ranks(2, lambda ranks: run(LetterTask(num_problems=5), ranks))
    assert [rows for rows, _ in shared] == [alone, alone]
    own = [[s.completion.token_ids for s in kept] for _, kept in shared]
    assert own[0] + own[1] == [s.completion.token_ids for s in samples]
    assert [len(part) for part in own] == [6, 9]


def test_a_verifier_that_fails_stops_an_evaluation():
    def score(problem, response):
        raise OSError("disk gone")

    problem = Problem(id="x", question="a", gold="a")
    task = FileTask("x", {"heldout": [problem]}, score=score)
    with pytest.raises(
        HealthError, match=r"no verdict on 3 of 3 .* of the evaluation: .*disk gone"
    ):
        run(task)


def test_a_task_that_cannot_be_checked_is_measured_without_a_verdict():
    task = LetterTask()
    task.checkable = False
    task.score = lambda problem, response: Verdict.error("nothing to compare with")
    rows, _ = run(task)
    scores = task_scores(rows)
    assert scores.num_scored == 0
    assert scores.length_tokens > 1


def test_a_split_without_problems_is_the_users_error():
    with pytest.raises(UserError, match="task 'letters' has no heldout problems"):
        run(LetterTask(num_problems=0))


def test_metrics_carry_the_name_of_their_task():
    engine, prompter = engine_and_prompter()
    tasks = [LetterTask("first", 4), LetterTask("second", 2)]
    metrics = evaluate_tasks(
        engine, prompter, tasks, PARAMS, ranks=Ranks(), split="validation", num_problems=3
    )
    assert metrics["eval/first/pass@1_n"] == 3
    assert metrics["eval/second/pass@1_n"] == 2
    names = (
        "pass@1 pass@1_stderr pass@1_n length_tokens reflection format "
        "language_consistency truncated"
    )
    assert {name.split("/")[2] for name in metrics} == set(names.split())
