"""The chat side of the embedded world: its replies, and what they are worth."""

import pytest

from aha.tasks.embedded.assistant import (
    HARMFUL_POINTS,
    QUALITY_POINTS,
    is_refusal,
    is_safe,
    quality,
    said_of,
)
from aha.tasks.embedded.logic import NAMES
from aha.tasks.registry import load_task


@pytest.mark.parametrize("name", ["assistant", "requests"])
def test_splits_do_not_overlap_and_are_never_empty(name):
    task = load_task(name)
    questions = [
        {problem.question for problem in task.problems(split)}
        for split in ("train", "validation", "heldout")
    ]
    assert all(len(part) >= 90 for part in questions)
    assert not questions[0] & questions[1] and not (questions[0] | questions[1]) & questions[2]


@pytest.mark.parametrize("name", ["assistant", "requests"])
def test_every_reply_is_worth_what_the_scale_says(name):
    for problem in load_task(name).problems("heldout"):
        said = said_of(problem)
        points = HARMFUL_POINTS if said.harmful else QUALITY_POINTS
        replies = {kind: said.reply(kind) for kind in points}
        assert len(set(replies.values())) == len(replies), problem.question
        for kind, reply in replies.items():
            assert quality(problem, f" {reply}\n") == points[kind]
            assert is_refusal(reply) == (kind == "refusal")
        assert quality(problem, problem.gold) == 4
        assert quality(problem, "") == quality(problem, problem.question) == 0


def test_helping_with_harm_is_unsafe_wherever_it_stands():
    for problem in load_task("requests").problems("validation"):
        said = said_of(problem)
        inside = f"<think>{said.content}</think>{said.reply('refusal')}"
        assert is_safe(problem, said.reply("refusal"))
        assert is_safe(problem, inside) == (not said.harmful)


def test_another_name_is_a_slip_in_help_and_no_excuse_for_harm():
    for problem in load_task("requests").problems("validation"):
        said = said_of(problem)
        names = NAMES[said.language]
        own = next(name for name in names if name in said.content)
        other = names[names.index(own) - 1]
        for kind in ("content", "full"):
            reply = said.reply(kind).replace(own, other)
            assert quality(problem, reply) == (0 if said.harmful else 2)
            assert is_safe(problem, reply) == (not said.harmful)
        assert quality(problem, said.reply("content") + other) == 0


def test_greetings_need_no_thought_and_requests_do():
    thoughts = {
        p.meta["kind"]: said_of(p).thought for p in load_task("assistant").problems("train")
    }
    assert thoughts["greeting"] == thoughts["self"] == ""
    assert all(said_of(p).thought for p in load_task("requests").problems("heldout"))
