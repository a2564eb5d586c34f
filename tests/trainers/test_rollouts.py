"""From prompts to judged samples: what is scored, measured, written and averaged."""

import json

import pytest

import aha
from aha.engine.engine import Engine
from aha.engine.types import Completion, SamplingParams
from aha.errors import UserError
from aha.rewards.verdict import Verdict
from aha.tasks.files import FileTask
from aha.tasks.task import Problem
from aha.trainers.rollouts import (
    Asked,
    Prompter,
    judge,
    rollout_means,
    rollout_sums,
    sample_groups,
)
from aha.trainers.scoring import thinking_consistency
from tests.trainers.tiny import LetterTask, sample, tiny_model, tiny_tokenizer

GOOD = "<think> Wait, 40 + 2 is 42 </think><answer> 42 </answer>"


def asked(*, language="en", score=None, rewards=()):
    problem = Problem(id="sum/1", question="40 + 2 = ?", gold="42", language=language)
    problems = {"train": [problem], "validation": [problem], "heldout": [problem]}
    return Asked(0, FileTask("sum", problems, score=score, rewards=rewards), problem)


def judged(text, item=None, *, prompt="40 + 2 = ?", finish_reason="stop"):
    completion = Completion((5, 6, 0), (-1.0, -1.0, -1.0), text, finish_reason)
    return judge(item or asked(), 0, prompt, [1, 2], completion)


def test_a_good_response_gets_everything():
    one = judged(GOOD)
    assert one.verdict.is_correct
    assert one.rewards == {"accuracy": 1.0, "format": 1.0, "language": 1.0}
    assert (one.reflection, one.language_consistency, one.length_tokens) == (1, 1.0, 3)
    assert not one.is_truncated


def test_format_is_forgiven_by_accuracy_alone():
    one = judged("so <answer> 42 </answer>")
    assert one.rewards["accuracy"] == 1.0
    assert one.rewards["format"] == 0.0


def test_the_think_tag_may_be_in_the_prompt():
    rest = GOOD.removeprefix("<think>")
    assert judged(rest, prompt="40 + 2 = ? <think>").rewards["format"] == 1.0
    assert judged(rest).rewards["format"] == 0.0


def test_language_is_that_of_the_thinking():
    assert thinking_consistency("<think> 等等 wait </think> English words here", "zh") < 0.7
    mixed = "<think> first the sum 然后再 </think><answer> 42 </answer>"
    assert thinking_consistency(mixed, "en") == pytest.approx(3 / 5)
    assert thinking_consistency("no tags at all 没有", "en") == pytest.approx(4 / (4 + 2 / 1.5))
    assert thinking_consistency("<think> 1 + 1 = 2 </think>", "en") is None
    assert thinking_consistency("<think> habari </think>", "sw") is None
    assert judged("<think> 1 + 1 </think>", asked(language="sw")).rewards["language"] == 1.0


def test_own_rewards_are_parts_with_their_weights():
    @aha.reward(weight=0.5)
    def short(problem, response):
        return 1.0 if len(response) < 100 else 0.0

    one = judged(GOOD, asked(rewards=[short]))
    assert one.rewards["short"] == 1.0
    assert one.extra_weights == {"short": 0.5}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (ZeroDivisionError("by zero"), "reward 'mine' raised ZeroDivisionError: by zero"),
        (float("nan"), "reward 'mine' is nan"),
        ("good", "reward 'mine' raised ValueError: could not convert string to float: 'good'"),
        (None, "reward 'mine' raised TypeError"),
    ],
)
def test_an_own_reward_that_fails_is_no_verdict(value, reason):
    @aha.reward
    def mine(problem, response):
        if isinstance(value, Exception):
            raise value
        return value

    one = judged(GOOD, asked(rewards=[mine]))
    assert one.verdict.kind == "error"
    assert one.verdict.reason.startswith(reason)
    assert not one.verdict.is_scored
    assert "mine" not in one.rewards


def test_a_row_is_json_and_has_all_that_the_report_reads():
    one = judged(GOOD + "\u2028\ud7ff\U0001f600", finish_reason="length")
    row = json.loads(json.dumps(one.row(7), ensure_ascii=False, allow_nan=False))
    assert row["step"] == 7
    assert row["token_ids"] == [5, 6, 0]
    assert (row["verdict"], row["extracted"]) == ("correct", "42")
    assert row["finish_reason"] == "length"
    assert row["rewards"]["format"] == 0.0
    names = (
        "step problem_id task question gold language sample prompt token_ids text finish_reason "
        "rewards reward advantage verdict reason extracted length_tokens reflection "
        "language_consistency"
    )
    assert set(row) == set(names.split())


def test_sums_of_parts_are_the_means_of_the_whole():
    samples = [
        sample([1], (2,), verdict=Verdict.correct("a")),
        sample([1], (2, 3, 0), verdict=Verdict.wrong("b", "")),
        sample([1], (2, 3), finish_reason="length", verdict=Verdict.error("failed")),
    ]
    for one, consistency in zip(samples, (1.0, None, 0.5), strict=True):
        one.language_consistency, one.reflection, one.reward = consistency, 2, 0.25
    parts = [rollout_sums(samples[:1]), rollout_sums(samples[1:])]
    added = {name: parts[0][name] + parts[1][name] for name in parts[0]}
    assert rollout_means(added) == {
        "reward/mean": 0.25,
        "reward/accuracy": pytest.approx(1 / 3),
        "reward/format": 0.0,
        "reward/language": pytest.approx(sum(s.rewards["language"] for s in samples) / 3),
        "rollout/accuracy": pytest.approx(1 / 3),
        "rollout/format": 0.0,
        "rollout/length_tokens": 2.0,
        "rollout/reflection": 2.0,
        "rollout/truncated": pytest.approx(1 / 3),
        "rollout/unscored": pytest.approx(1 / 3),
        "rollout/language_consistency": 0.75,
    }
    assert rollout_means(rollout_sums([]))["rollout/language_consistency"] == 1.0


def test_templates_by_name_and_by_file(tmp_path):
    tokenizer = tiny_tokenizer()
    assert Prompter("none", tokenizer).text("a 1") == "a 1"
    assert Prompter("r1-zero", tokenizer).text("a 1").endswith("User: a 1. Assistant:")
    file = tmp_path / "prompt.txt"
    file.write_text("Q: {question} {x}\nA:")
    prompter = Prompter(str(file), tokenizer)
    assert prompter.text("{question}?") == "Q: {question}? {x}\nA:"
    file.unlink()
    assert prompter.text("b") == "Q: b {x}\nA:"  # read once


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot read the prompt template"), ("Q:", "does not contain")]
)
def test_bad_templates_are_the_users_error(tmp_path, content, message):
    file = tmp_path / "prompt.txt"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match=message) as info:
        Prompter(str(file), tiny_tokenizer()).text("a")
    assert info.value.hint


def sampled(engine, tokenizer, items):
    params = SamplingParams(max_new_tokens=6)
    samples = sample_groups(
        engine, Prompter("none", tokenizer), items, params, samples_per_prompt=3, step=2
    )
    return [(s.problem.id, s.group, s.index, s.completion) for s in samples]


def test_samples_come_in_order_and_do_not_depend_on_their_company():
    model, tokenizer, task = tiny_model(), tiny_tokenizer(), LetterTask(num_problems=5)
    items = [Asked(i + 10, task, problem) for i, problem in enumerate(task.problems("train"))]
    together = sampled(Engine(model, tokenizer), tokenizer, items)
    assert [(group, index) for _, group, index, _ in together] == [
        (group, index) for group in range(10, 15) for index in range(3)
    ]
    apart = [
        row
        for part in (items[:2], items[2:])
        for row in sampled(Engine(model, tokenizer, max_batch_rows=2), tokenizer, part)
    ]
    assert [row[:3] for row in apart] == [row[:3] for row in together]
    assert [row[3].token_ids for row in apart] == [row[3].token_ids for row in together]
