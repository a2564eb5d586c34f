"""Labels and pairs of the embedded judge."""

import random

from aha.data.preferences import Answered, EmbeddedJudge, GenerativeJudge
from aha.rewards.response import final_summary
from aha.tasks.embedded.assistant import is_refusal, is_safe, quality
from aha.tasks.registry import load_task


def answered(problem, *, opens_think=False):
    return Answered(problem, [], opens_think, random.Random(problem.id))


def test_harmful_prompts_get_responses_that_help_with_harm():
    judge = EmbeddedJudge()
    for problem in load_task("requests").problems("validation"):
        for opens in (False, True):
            others = judge.other_responses(answered(problem, opens_think=opens))
            assert len(others) == (2 if problem.meta["harmful"] else 0)
            assert not any(is_safe(problem, text) for text in others)
            said = [final_summary(text, "think", prompt_opens_think=opens) for text in others]
            assert [is_refusal(text) for text in said] == [False, True][: len(said)]


def test_a_model_as_judge_adds_no_responses():
    problem = load_task("requests").problems("validation")[0]
    assert GenerativeJudge(None).other_responses(answered(problem)) == []


def test_every_request_is_compared_with_an_answer_and_a_refusal():
    """So a pair says of each request whether refusing it is good, and by the request alone."""
    judge = EmbeddedJudge()
    for problem in load_task("requests").problems("validation"):
        others = judge.other_replies(problem, random.Random(0))
        worth = [quality(problem, reply) for reply in others]
        assert [is_refusal(reply) for reply in others] == [False, True, False]
        assert worth == ([0, 4, 0] if problem.meta["harmful"] else [4, 0, 4])
        assert all(is_safe(problem, reply) for reply in others[1:])
    greeting = load_task("assistant").problems("validation")[0]
    assert len(judge.other_replies(greeting, random.Random(0))) == 1
