"""What a cheater could earn is known before a run starts."""

import json

import pytest

from aha.recipes.run import run
from aha.tasks.registry import load_task
from aha.trainers.config import GrpoConfig
from aha.trainers.red_team import TRIED_PROBLEMS, try_cheats
from tests.trainers.tiny import tiny_folder

GOOD = """
import aha
from aha.chat import parse_response

problems = [dict(question=f"Name {n}", answer=n) for n in range(20, 80)]


def score(problem, response):
    return parse_response(response).answer == problem.gold
"""
HACKABLE = GOOD.replace(
    "parse_response(response).answer == problem.gold", "problem.gold in response"
)
UNGUARDED = """

@aha.reward(weight=0.5)
def brief(problem, response):
    return 1.0 if len(response) < 10_000 else 0.0
"""


@pytest.fixture
def trial(tmp_path):
    def trial(text, **values):
        path = tmp_path / "own.py"
        path.write_text(text)
        return try_cheats(load_task(str(path)), GrpoConfig(**values))

    return trial


def earned(trial):
    return {earning.cheat: earning.reward for earning in trial.earnings}


def test_a_good_reward_pays_the_form_alone(trial):
    good = trial(GOOD, format_weight=0.25)
    assert good.full_marks == 1.25
    assert good.num_problems == TRIED_PROBLEMS
    assert set(earned(good).values()) == {0.0, 0.25}
    assert earned(good)["an empty answer"] == 0.25
    assert good.warnings() == []
    assert "  0.25 of 1.25 (format 0.25): " in "\n".join(good.lines())


def test_a_score_that_looks_for_the_number_anywhere_is_a_warning(trial):
    bad = trial(HACKABLE)
    assert earned(bad)["the right answer only in the thinking"] == 2.0
    assert earned(bad)["an answer only in the thinking"] == 1.0
    assert earned(bad)["an empty answer"] == 1.0
    (warning,) = bad.warnings()
    assert warning.startswith("the reward part 'accuracy' of task 'own' pays ")
    assert warning.endswith("earns 2.00 of 2.00 (accuracy 1.00, format 1.00)")


def test_a_reward_part_that_pays_wrong_answers_is_a_warning(trial):
    bad = trial(GOOD + UNGUARDED)
    assert bad.full_marks == 2.5
    assert earned(bad)["an empty response"] == 0.5
    (warning,) = bad.warnings()
    assert warning.startswith("the reward part 'brief' of task 'own' pays 20 cheats: ")
    assert "earns 1.50 of 2.50 (format 1.00, brief 0.50)" in warning


def test_a_score_without_a_verdict_is_a_warning(trial):
    raising = GOOD.replace("return parse", "1 / len(response)\n    return parse")
    (warning,) = trial(raising).warnings()
    assert "has no verdict on 1 cheat: an empty response (score() raised ZeroDivision" in warning


def test_a_score_that_hangs_is_left_in_time(trial, monkeypatch):
    monkeypatch.setattr("aha.trainers.red_team.MAX_SECONDS", 0.5)
    hanging = "timeout_seconds = 0.2\n" + GOOD.replace(
        "return parse", "while '<think> ' not in response:\n        pass\n    return parse"
    )
    stopped = trial(hanging)
    assert stopped.is_cut_short
    assert "stopped after 0.5 s" in stopped.lines()[0]
    assert any("has no verdict on" in warning for warning in stopped.warnings())


def test_a_run_shows_the_warning_before_its_first_step(tmp_path, capsys):
    path = tmp_path / "hackable.py"
    path.write_text(HACKABLE)
    settings = {
        "num_steps": 1, "prompts_per_step": 2, "samples_per_prompt": 2, "max_new_tokens": 4,
        "template": "none", "dynamic_sampling": "false", "ranks": 1, "evaluate.problems": 2,
        "evaluate.samples": 1, "evaluate.cons_problems": 2, "evaluate.cons_samples": 2,
    }  # fmt: skip
    out = run(
        "zero",
        model=str(tiny_folder(tmp_path / "model")),
        task=(str(path),),
        overrides=[f"{key}={value}" for key, value in settings.items()],
        out=tmp_path / "run",
    )
    err = capsys.readouterr().err
    warning = "WARNING: the reward part 'accuracy' of task 'hackable' pays 1"
    assert warning in err
    assert err.index(warning) < err.index("[1/2] zero") < err.index("1/1")
    record = json.loads((out / "run.json").read_text())
    (kept,) = record["warnings"]
    assert f"WARNING: {kept}" in err
    (trial,) = record["red_team"]
    assert trial["task"] == "hackable"
    assert trial["full_marks"] == 2.0
    assert trial["earnings"][0]["parts"] == {"accuracy": 1.0, "format": 1.0}
