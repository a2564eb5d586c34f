"""Self-verification: rounds end when the answer stands, and everything is paid for."""

import pytest

from aha.evals.scaling import verify
from aha.evals.scaling.thinking import extend_all, first_lines, thought_of, wait
from tests.evals.scaling.worlds import chunk_of, sampler


@pytest.mark.parametrize(
    ("text", "no"),
    [
        ("yes", False),
        ("<think>is it wrong?</think> Yes, it is right.", False),
        ("<think>right?</think><answer> no </answer>", True),
        ("It is incorrect.", True),
        ("42", False),
        ("<think>no</think> 42", False),
    ],
)
def test_the_last_judgement_behind_the_thinking_counts(text, no):
    assert verify.says_no(text) is no


@pytest.mark.parametrize(
    ("thinking", "judged"),
    [
        (" Try 2 + 3 = 5, want 6: wrong. Wait, try 2 * 3 = 6, want 6: right.", True),
        ("so 4 is correct. But no: it is not correct", False),
        ("\u5e94\u4e3a 5\uff1a\u6b63\u786e\u3002", True),
        ("\u5e94\u4e3a 5\uff1a\u4e0d\u5bf9\u3002", False),
        ("\u4e0d\u6b63\u786e", False),
        ("2 + 3 = 5.", None),
        ("", None),
    ],
)
def test_the_models_own_judgement_is_its_last_one(thinking, judged):
    assert verify.last_judgement(thinking) is judged


def test_thinking_on_stops_where_two_answers_agree(tmp_path):
    world = sampler(tmp_path)
    chunk = chunk_of(world, 8)
    first = first_lines(world, chunk)
    second = extend_all(world, first, 1)
    third = extend_all(world, second, 2)
    answers = [
        [mark.answer for mark in world.marks([(line.question, line.draft) for line in lines])]
        for lines in (first, second)
    ]
    spent = [
        one.spent if two == one else three.spent if a is None or a != b else two.spent
        for one, two, three, a, b in zip(first, second, third, *answers, strict=True)
    ]
    outcomes = verify.reopen(world, chunk, 2)
    means = [sum(spent[i : i + 3]) / 3 for i in range(0, len(spent), 3)]
    assert [outcome.tokens for outcome in outcomes] == pytest.approx(means)


def test_one_round_is_one_wait_and_dearer(tmp_path):
    """The answer that is compared was drawn, and then taken away again."""
    world = sampler(tmp_path)
    chunk = chunk_of(world, 8)
    once, waited = verify.reopen(world, chunk, 1), wait(world, chunk, 1)
    assert [one.text for one in once] == [one.text for one in waited]
    assert [one.score for one in once] == [one.score for one in waited]
    extended = any(thought_of(world, line).tail for line in first_lines(world, chunk))
    assert extended and sum(o.tokens for o in once) > sum(o.tokens for o in waited)


def test_asking_costs_the_checks(tmp_path):
    world = sampler(tmp_path, max_new_tokens=20)
    chunk = chunk_of(world, 4)
    plain = [sum(len(d.ids) for d in drafts[:3]) / 3 for drafts in world.pool(chunk)]
    asked = verify.ask(world, chunk, 1)  # no word of the model is a no
    assert all(a.tokens >= b + 1 for a, b in zip(asked, plain, strict=True))
    assert [one.text for one in asked] == [world.text(drafts[0]) for drafts in world.pool(chunk)]
