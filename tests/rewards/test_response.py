"""The two forms of a response, and the way from a summary to answer tags."""

import pytest

from aha.rewards.response import final_summary, form_of, in_answer_tags, is_well_formed
from aha.tasks.registry import load_task

GOOD = "<think>57 + 31 = 88</think>So the answer is 88."


def test_only_chat_templates_ask_for_a_summary():
    assert form_of("chat") == "think"
    assert {form_of(name) for name in ("r1-zero", "none", "my.txt")} == {"think_answer"}


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        (GOOD, "So the answer is 88."),
        ("  <think></think>\n\nHello.", "Hello."),
        ("Hello.", "Hello."),
        ("", None),
        ("   ", None),
        ("<think>only thinking</think>", None),
        ("<think>never closed", None),
        ("text <think>a</think> b", None),
        ("<think>a</think>b<think>c</think>d", None),
        ("<think>a</think><answer>b</answer>", None),
        ("b</think>c", None),
    ],
)
def test_the_summary_of_a_chat_response(text, summary):
    assert final_summary(text, "think") == summary


def test_a_prompt_that_opens_the_thinking():
    assert final_summary("a</think>b", "think", prompt_opens_think=True) == "b"
    assert final_summary("Hello.", "think", prompt_opens_think=True) is None


def test_small_talk_may_leave_the_thinking_out_and_problems_may_not():
    assert is_well_formed("Hello.", "think", must_think=False)
    assert not is_well_formed("88", "think")
    assert is_well_formed(GOOD, "think")


def test_tagged_responses_pass_through():
    text = "<think>a</think><answer> 88</answer>"
    assert in_answer_tags(text, "think_answer") == text
    assert is_well_formed(text, "think_answer") and final_summary(text, "think_answer") == "88"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (GOOD, "correct"),
        ("<think>x</think>88", "correct"),
        ("<think>x</think>The answer is \\boxed{88}.", "correct"),
        ("<think>x</think>So the answer is 87.", "wrong"),
        ("So the answer is 88.", "unparseable"),
        ("<think>88</think>", "unparseable"),
        ("<think>88</think><answer>88</answer>", "unparseable"),
        ("<think>x</think>88<think>y</think>", "unparseable"),
    ],
)
def test_a_task_judges_the_final_answer_of_the_summary(text, kind):
    task = load_task("arithmetic")
    problem = next(p for p in task.problems("train") if p.gold == "88")
    shown = in_answer_tags(text, "think")
    assert task.score(problem, shown).kind == kind
