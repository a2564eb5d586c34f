"""Ablations: arms differ in one thing, share seeds and data, and end in a comparison."""

import importlib
import json

import pytest
import torch

from aha.config import build, load_toml
from aha.evals.arms import ArmsConfig, comparison, read_training
from aha.pipeline.execute import execute
from aha.pipeline.ranks import Ranks
from aha.pipeline.run_dir import open_run
from aha.pipeline.stage import Stage
from aha.recipes import r1
from aha.recipes.presets import PRESETS, load_config
from aha.trainers.ppo_config import PpoConfig
from tests.trainers.tiny import tiny_folder, tiny_task_file

RECIPE = importlib.import_module("aha.recipes.ablation").RECIPE
STUDIES = importlib.import_module("aha.recipes.ablation").STUDIES


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def planned(*overrides, **options):
    config = load_config(RECIPE, overrides=["ranks=1", *overrides], **options)
    resolved = RECIPE.resolve(config)
    return resolved, {stage.name: stage for stage in RECIPE.stages(resolved)}


def differing(left: Stage, right: Stage) -> dict:
    ours, theirs = left.config.table(), right.config.table()
    return {
        k: (ours.get(k), theirs.get(k)) for k in {*ours, *theirs} if ours.get(k) != theirs.get(k)
    }


STAGES = {
    "ppo": ["grpo", "ppo_095", "ppo_1"],
    "language": ["without_language", "with_language"],
    "cold_start": ["rl_from_base", "zero", "cold_start", "dev1", "rl_from_dev1"],
    "from_base": [
        *("zero", "cold_start", "dev1", "dev2", "rejection", "general", "mix"),
        *("dev3_from_base", "dev3_from_dev2"),
    ],
}


@pytest.mark.parametrize("study", STAGES)
def test_a_study_runs_what_its_arms_need_and_compares_them(study):
    config, found = planned(f"study={study}")
    assert list(found) == [*STAGES[study], "evaluate"]
    compared = found["evaluate"].inputs
    arms = [name for name in STAGES[study] if name in compared]
    assert arms[-2:] == STAGES[study][-2:] or study == "cold_start"
    assert compared["base"].value == "embedded"
    for name in arms:
        assert compared[name] is found[name]
    order = list(found.values())
    for stage in order:
        for given in stage.inputs.values():
            assert not isinstance(given, Stage) or order.index(given) < order.index(stage)
    sentence = RECIPE.sentence(config)
    assert sentence.startswith(STUDIES[study].question)
    assert ("30 steps" if study == "cold_start" else "48 steps") in sentence


def test_the_arms_of_ppo_differ_from_grpo_in_the_critic_alone():
    _, found = planned()
    grpo, low, high = found["grpo"], found["ppo_095"], found["ppo_1"]
    assert set(differing(grpo, high)) == {"critic"}
    assert set(differing(low, high)) == {"critic"}
    lambdas = [arm.config.critic.gae_lambda for arm in (low, high)]
    assert lambdas == [0.95, 1.0] and isinstance(low.config, PpoConfig)
    assert low.config.critic.replace(gae_lambda=1.0) == high.config.critic
    assert {arm.inputs["model"].identity for arm in (grpo, low, high)} == {
        grpo.inputs["model"].identity
    }


def test_an_algorithm_with_groups_still_has_arms_of_ppo():
    _, found = planned("algorithm=r1", "study=ppo")
    assert found["grpo"].config.advantage_scale == "group_std"
    assert set(differing(found["grpo"], found["ppo_1"])) == {"critic", "advantage_scale"}


def test_the_arms_of_language_differ_in_the_weight():
    _, found = planned("study=language", "dev2.language_weight=0.7")
    both = found["without_language"], found["with_language"]
    assert differing(*both) == {"language_weight": (0.0, 0.7)}


def test_the_arms_of_cold_start_differ_in_model_and_template():
    _, found = planned("study=cold_start")
    base, tuned = found["rl_from_base"], found["rl_from_dev1"]
    assert differing(base, tuned) == {"template": ("r1-zero", "chat")}
    assert tuned.inputs["model"] is found["dev1"]
    tagged = found["evaluate"].config.tagged_models
    assert tagged == ("base", "rl_from_base")


def test_the_arms_of_from_base_differ_in_the_model():
    _, found = planned("study=from_base")
    base, tuned = found["dev3_from_base"], found["dev3_from_dev2"]
    assert differing(base, tuned) == {}
    assert base.inputs["data"] is tuned.inputs["data"] is found["mix"]
    assert base.inputs["model"].value == "embedded" and tuned.inputs["model"] is found["dev2"]


def test_the_stages_are_those_of_r1():
    """Same names, values and wiring, so the same identities."""
    _, found = planned("study=from_base")
    whole = r1.RECIPE.resolve(load_config(r1.RECIPE, overrides=["ranks=1"]))
    theirs = {stage.name: stage.id for stage in r1.stages(whole)}
    for name in ("zero", "cold_start", "dev1", "dev2", "rejection", "general", "mix"):
        assert found[name].id == theirs[name], name


def test_the_preset_repeats_that_of_r1():
    ours, theirs = (load_toml(PRESETS / name / "tiny.toml") for name in ("ablation", "r1"))
    shared = set(ours) & set(theirs) - {"evaluate"}
    assert len(shared) >= 10
    for name in shared:
        assert ours[name] == theirs[name], name


def test_a_resolved_config_is_read_back_by_every_rank_and_resume():
    config, found = planned("study=cold_start")
    again = RECIPE.resolve(build(RECIPE.config, json.loads(json.dumps(config.table()))))
    assert again == config
    assert [stage.id for stage in RECIPE.stages(again)] == [stage.id for stage in found.values()]


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_steps_and_seconds_to_an_accuracy(tmp_path):
    accuracies = [0.1, 0.7, 0.5, 0.8, 0.9, 0.9]
    rows = [{"step": 0, "eval/arithmetic/pass@1": 0.1}]
    rows += [{"step": n, "rollout/accuracy": a} for n, a in enumerate(accuracies, 1)]
    write_rows(tmp_path / "metrics.jsonl", rows)
    times = {"time/rollout_seconds": 2.0, "time/train_seconds": 1.0, "time/eval_seconds": 50.0}
    write_rows(tmp_path / "timing.jsonl", [{"step": n, **times} for n in range(1, 7)])
    done = {
        "summary": {"steps": 6, "weight_bytes": 4_000_000, "peak_memory_bytes": [10**8, 2 * 10**8]}
    }
    (tmp_path / "DONE.json").write_text(json.dumps(done))
    found = read_training(tmp_path, ArmsConfig())
    assert (found.steps_to_target, found.seconds_to_target, found.seconds) == (2, 6.0, 18.0)
    assert found.last_accuracy == pytest.approx(0.76)
    never = read_training(tmp_path, ArmsConfig(target_accuracy=0.95))
    assert (never.steps_to_target, never.seconds_to_target) == (None, None)
    table = {"base": figures(0.1), "arm": figures(0.8)}
    lines = comparison(table, {"arm": never}, ArmsConfig(target_accuracy=0.95))
    cells = {line[:30].strip(): line for line in lines}
    assert len({len(line) for line in lines}) == 1
    assert cells["steps to 95%"].endswith("not reached")
    assert cells["accuracy"].split() == ["accuracy", "10.0%", "+-", "1.0%", "80.0%", "+-", "1.0%"]
    assert cells["weights, MB"].split()[-1] == "4.0"
    assert cells["peak memory of a rank, MB"].split()[-1] == "200.0"


def figures(value: float) -> dict:
    return {
        "accuracy": {"value": value, "stderr": 0.01, "n": 100},
        "length_tokens": {"value": 30.0, "stderr": 0.5, "n": 100},
    }


def test_an_arm_without_rollouts_has_steps_and_seconds(tmp_path):
    assert read_training(tmp_path, ArmsConfig()) is None
    write_rows(tmp_path / "metrics.jsonl", [{"step": n, "loss/sft": 1.0} for n in range(3)])
    times = {"time/train_seconds": 1.5, "time/eval_seconds": 9.0}
    write_rows(tmp_path / "timing.jsonl", [{"step": n, **times} for n in (1, 2)])
    found = read_training(tmp_path, ArmsConfig())
    assert (found.steps, found.seconds, found.last_accuracy) == (2, 3.0, None)
    lines = comparison({"arm": figures(0.8)}, {"arm": found}, ArmsConfig())
    assert not [line for line in lines if line.startswith(("steps to", "training accuracy"))]
    assert [line.split()[-1] for line in lines if line.startswith("seconds of")] == ["3"]


def test_a_whole_study_of_a_few_steps(tmp_path):
    model, task = tiny_folder(tmp_path / "model"), tiny_task_file(tmp_path)
    sizes = ["num_steps=2", "prompts_per_step=2", "samples_per_prompt=4", "max_new_tokens=8"]
    sizes += ["template=none", "eval_every=none", "minibatches=1"]
    sizes += [f"evaluate.{key}" for key in ("problems=4", "cons_problems=2", "chat_problems=2")]
    sizes += ["evaluate.max_new_tokens=8", "evaluate.cons_samples=2"]
    config, found = planned(*sizes, model=str(model), task=[str(task)])
    run = open_run(
        tmp_path / "run",
        recipe="ablation",
        config=config.table(),
        stages=list(found.values()),
        resume=False,
    )
    with run.session():
        outputs = execute(run, list(found.values()), Ranks())
    result = json.loads(outputs["evaluate"].read_text())
    assert set(result["stage_table"]) == {"base", "grpo", "ppo_095", "ppo_1"}
    training = result["training"]
    assert training["ppo_1"]["tensor_bytes"] > 1.6 * training["grpo"]["tensor_bytes"]
    assert training["grpo"]["last_explained_variance"] is None
    assert training["ppo_095"]["last_explained_variance"] is not None
    for arm in training.values():
        assert arm["steps"] == 2 and arm["peak_memory_bytes"][0] > 1e7
        assert 0 < arm["processor_seconds"][0] < 600
    text = (outputs["evaluate"].parent / "comparison.txt").read_text()
    assert (
        "seconds to 60%" in text
        and "processor seconds of a rank" in text
        and "ppo_095" in text.splitlines()[0]
    )
    run.close()
