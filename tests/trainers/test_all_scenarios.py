"""General prompts late in training, rewards of reward models, and the grader that earns nothing."""

from dataclasses import replace
from types import MappingProxyType

import pytest
import torch

from aha.chat.templates import builtin_chat_template
from aha.engine.types import Completion
from aha.errors import UserError
from aha.model.reward_model import reward_model_of, write_reward_model
from aha.pipeline.sources import embedded_model
from aha.tasks.embedded.assistant import said_of
from aha.tasks.registry import load_task
from aha.trainers.all_scenarios import GENERAL_GROUPS, all_scenarios, general_task, grader_means
from tests.trainers.tiny import sample, tiny_config


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def reward_model(tmp_path_factory):
    """The embedded model with a random head."""
    folder = tmp_path_factory.mktemp("reward") / "model"
    folder.mkdir()
    loaded = reward_model_of(embedded_model())
    generator = torch.Generator().manual_seed(0)
    torch.nn.init.normal_(loaded.model.score.weight, std=0.1, generator=generator)
    loaded.tokenizer.chat_template = builtin_chat_template(lambda token: False)
    write_reward_model(folder, loaded.model, loaded.tokenizer)
    return folder


@pytest.fixture
def general(reward_model):
    config = tiny_config(
        template="chat",
        preference={"last_steps": 3, "prompts_fraction": 0.5, "helpful_weight": 2.0},
    )
    return all_scenarios(config, {"helpful": reward_model, "harmless": reward_model})


def request(harmful: bool):
    problems = load_task("requests").problems("validation")
    return next(p for p in problems if p.meta["harmful"] == harmful and p.language == "en")


def answered(problem, text, *, group=GENERAL_GROUPS):
    one = sample([1], (2,), group=group)
    completion = Completion((2,), (-1.0,), text, "stop")
    return replace(one, problem=problem, completion=completion, rewards={"format": 1.0})


def test_general_prompts_come_in_the_last_steps_alone(general):
    asked = [general.num_general(16, step, 10) for step in range(1, 11)]
    assert asked == [0] * 7 + [8] * 3
    taken = general.take(4)
    assert [one.group - GENERAL_GROUPS for one in taken] == [0, 1, 2, 3]
    assert {one.task.name for one in taken} == {"assistant", "requests"}


def test_reward_models_judge_general_prompts_alone(general):
    problem = request(harmful=False)
    whole = answered(problem, "<think> Is it good?</think> Hello.")
    unfinished = answered(problem, "<think> Is it good?")
    reasoning = answered(problem, "<think> 1</think> Hello.", group=3)
    general.score([whole, reasoning, unfinished])
    assert 0 < whole.rewards["helpful"] < 1 and 0 < whole.rewards["harmless"] < 1
    assert whole.extra_weights == {"helpful": 2.0, "harmless": 1.0}
    assert unfinished.rewards["helpful"] == 0.0 and unfinished.rewards["harmless"] > 0
    assert reasoning.rewards == {"format": 1.0} and reasoning.extra_weights == {}


def test_only_the_summary_is_helpful_and_the_thinking_counts_for_harm(general):
    problem = request(harmful=False)
    first = answered(problem, "<think> Yes.</think> Hello.")
    second = answered(problem, "<think> Wait, check: 31 + 40 = 71, want 73: wrong.</think> Hello.")
    general.score([first, second])
    assert first.rewards["helpful"] == pytest.approx(second.rewards["helpful"], abs=1e-7)
    assert abs(first.rewards["harmless"] - second.rewards["harmless"]) > 1e-5


def test_the_grader_knows_the_truth_and_is_strict(general):
    bad, good = request(harmful=True), request(harmful=False)
    refusal, help_with_harm = said_of(bad).reply("refusal"), said_of(bad).content
    samples = [
        answered(bad, refusal),  # quality 4 of 4, safe
        answered(bad, f"<think>{help_with_harm}</think>{refusal}"),  # planned it: worth nothing
        answered(bad, help_with_harm),  # quality 0, unsafe
        answered(good, said_of(good).reply("full")),  # 4
        answered(good, said_of(good).reply("refusal")),  # 0: over-refusal
        answered(good, "<think> I will"),  # no summary
        answered(good, said_of(good).reply("full"), group=5),  # a reasoning prompt
    ]
    means = grader_means(general.grader_sums(samples))
    assert means == {
        "grader/quality": pytest.approx((4 + 0 + 0 + 4 + 0 + 0) / 4 / 6),
        "grader/safe": pytest.approx(4 / 6),
        "grader/refuses_harmful": pytest.approx(2 / 3),
        "grader/refuses_harmless": pytest.approx(1 / 3),
    }
    halves = [general.grader_sums(part) for part in (samples[:2], samples[2:])]
    together = {name: halves[0][name] + halves[1][name] for name in halves[0]}
    assert grader_means(together) == pytest.approx(means)


def test_the_grader_says_nothing_about_what_it_did_not_see(general):
    assert grader_means(general.grader_sums([])) == {}
    only_bad = general.grader_sums([answered(request(harmful=True), "Hello.")])
    assert set(grader_means(only_bad)) == {
        *("grader/quality", "grader/safe", "grader/refuses_harmful"),
    }
    theirs = replace(request(harmful=True), meta=MappingProxyType({}))
    assert grader_means(general.grader_sums([answered(theirs, "Hello.")])) == {}


def test_a_missing_reward_model_and_a_checkable_task_are_refused(reward_model):
    config = tiny_config(template="chat", preference={"last_steps": 3})
    with pytest.raises(UserError, match="no harmless reward model"):
        all_scenarios(config, {"helpful": reward_model})
    assert all_scenarios(tiny_config(), {}) is None
    with pytest.raises(UserError, match="can be checked"):
        general_task("arithmetic")
