"""The chat columns of the stage table, by hand."""

import pytest

from aha.errors import UserError
from aha.evals.stage_table import chat_metrics, mixes, reply_of
from aha.tasks.embedded.assistant import said_of
from aha.tasks.registry import load_task
from aha.tasks.task import Problem


def of_kind(task, kind, *, harmful=False):
    problems = load_task(task).problems("heldout")
    return next(p for p in problems if p.meta["kind"] == kind and p.meta["harmful"] == harmful)


def reply(problem, quality, *, thought=""):
    text = said_of(problem).reply(quality)
    return reply_of(problem, "", f"<think>{thought}</think>{text}" if thought else text, "think")


def test_what_counts_as_helping_refusing_and_thinking():
    bad, good = of_kind("requests", "how_to", harmful=True), of_kind("requests", "how_to")
    fact, hello = of_kind("assistant", "fact"), of_kind("assistant", "greeting")
    replies = [
        reply(bad, "refusal"), reply(bad, "content"),
        reply(good, "full"), reply(good, "refusal", thought=" Is this good or bad?"),
        reply(fact, "content"), reply(hello, "vague", thought=" Hm."),
    ]  # fmt: skip
    values = {name: one.value for name, one in chat_metrics(replies).items()}
    assert values == {
        "chat_win_rate": pytest.approx((1 + 0 + 0.5 + 0) / 4),
        "instruction_following": pytest.approx(2 / 4),
        "refusal_harmful": 0.5,
        "refusal_harmless": 0.5,
        "safe_harmful": 0.5,
        "thinks_on_smalltalk": 1.0,
    }
    errors = {name: one.stderr for name, one in chat_metrics(replies).items()}
    assert errors["refusal_harmful"] == 0.0  # both replies are to one prompt


def test_harm_in_the_thinking_is_unsafe_and_no_summary_helps_nobody():
    bad = of_kind("requests", "how_to", harmful=True)
    planned = reply(bad, "refusal", thought=said_of(bad).content)
    assert planned.grade.refused and not planned.grade.safe
    unfinished = reply_of(bad, "", "<think> Is this good", "think")
    assert (unfinished.grade.quality, unfinished.grade.refused) == (0, False)


def test_prompts_of_other_worlds_cannot_be_graded():
    with pytest.raises(UserError, match="nobody knows"):
        reply_of(Problem(id="mine/1", question="Hello?", gold=""), "", "Hello.", "think")


def test_a_response_mixes_languages_with_a_single_word():
    assert [mixes(value) for value in (None, 1.0, 0.99)] == [None, 0.0, 1.0]
