"""Distillation: which stages each method has, and a whole run of a few steps."""

import importlib
import json

import pytest
import torch

from aha.cli.run import command
from aha.config import build
from aha.errors import UserError
from aha.pipeline.execute import execute
from aha.pipeline.ranks import Ranks
from aha.pipeline.run_dir import open_run
from aha.recipes.presets import load_config
from tests.trainers.tiny import tiny_folder, tiny_task_file

RECIPE = importlib.import_module("aha.recipes.distill").RECIPE


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def planned(*overrides, **options):
    config = RECIPE.resolve(load_config(RECIPE, overrides=["ranks=1", *overrides], **options))
    return config, {stage.name: stage for stage in RECIPE.stages(config)}


STAGES = {
    "sft": ["samples", "distilled"],
    "on_policy": ["on_policy"],
    "both": ["samples", "distilled", "on_policy"],
}


@pytest.mark.parametrize("compared", [True, False])
@pytest.mark.parametrize("method", STAGES)
def test_a_method_has_its_stages_and_all_models_are_compared(method, compared):
    config, found = planned(f"method={method}", f"compare_rl={str(compared).lower()}")
    rl = ["rl_student"] if compared else []
    assert list(found) == ["train_teacher", "student", *rl, *STAGES[method], "evaluate"]
    students = [name for name in (*STAGES[method], *rl) if name != "samples"]
    assert list(found["evaluate"].inputs) == ["teacher", "student", *students]
    for name in students:
        assert found[name].inputs["model"] is found["student"]
    sentence = RECIPE.sentence(config)
    assert ("RL alone: 120 steps" in sentence) == compared
    assert ("8,192 samples of the teacher" in sentence) == (method != "on_policy")
    assert ("on its own samples: " in sentence) == (method != "sft")


def test_models_that_are_given_are_not_trained(tmp_path):
    model = tiny_folder(tmp_path / "model")
    _, found = planned(f"teacher={model}", "method=on_policy", model=str(model))
    assert list(found) == ["rl_student", "on_policy", "evaluate"]
    assert found["on_policy"].inputs["teacher"].path == model


def test_a_teacher_may_be_a_run(tmp_path):
    run = tmp_path / "run"
    (run / "stages").mkdir(parents=True)
    (run / "run.json").write_text("{}")
    with pytest.raises(UserError, match="no finished model"):
        planned(f"teacher={run}")
    tiny_folder(run / "stages/01-zero-1234abcd/model")
    model = tiny_folder(run / "stages/02-r1-1234abcd/model")
    _, found = planned(f"teacher={run}")
    assert found["samples"].inputs["model"].path == model


def test_a_student_of_the_presets_size_has_less_than_half_the_parameters():
    config, _ = planned()
    student = config.student
    matrices = 4 * student.width**2 + 3 * student.width * student.mlp_width
    assert student.layers * matrices + student.vocab_size * student.width < 0.5e6
    assert config.rl_student.learning_rate == config.train_teacher.learning_rate


def test_a_resolved_config_is_read_back():
    config, found = planned("method=both")
    again = RECIPE.resolve(build(RECIPE.config, json.loads(json.dumps(config.table()))))
    assert [stage.id for stage in RECIPE.stages(again)] == [stage.id for stage in found.values()]


def test_the_command_line_says_whether_rl_is_compared(capsys):
    command("distill", compare_rl=False, dry_run=True)
    assert "#   rl_student" not in capsys.readouterr().out
    command("distill", compare_rl=True, dry_run=True)
    assert "#   rl_student" in capsys.readouterr().out
    with pytest.raises(UserError, match="compare_rl"):
        command("zero", compare_rl=True, dry_run=True)


def test_a_whole_run_of_a_few_steps(tmp_path):
    model, task = tiny_folder(tmp_path / "model"), tiny_task_file(tmp_path)
    teacher = tiny_folder(tmp_path / "teacher", seed=7, width=48)
    rl = {"num_steps": 2, "prompts_per_step": 2, "samples_per_prompt": 4, "max_new_tokens": 8}
    rl |= {"minibatches": 1, "template": "none", "eval_every": "none", "task": f"['{task}']"}
    both = [f"{stage}.{k}={v}" for stage in ("on_policy", "rl_student") for k, v in rl.items()]
    sizes = ("problems=4", "cons_problems=2", "chat_problems=2", "max_new_tokens=8")
    both += [f"evaluate.{key}" for key in (*sizes, "cons_samples=2", "template=none")]
    both += ["evaluate.tagged_models=['none']", f"evaluate.task=['{task}']"]
    _, found = planned(*both, f"teacher={teacher}", "method=on_policy", model=str(model))
    stages = list(found.values())
    run = open_run(
        tmp_path / "run", recipe="distill", config=RECIPE.config().table(), stages=stages,
        resume=False,
    )  # fmt: skip
    with run.session():
        outputs = execute(run, stages, Ranks())
    run.close()
    result = json.loads(outputs["evaluate"].read_text())
    assert set(result["stage_table"]) == {"teacher", "student", "on_policy", "rl_student"}
    assert set(result["training"]) == {"on_policy", "rl_student"}
    assert result["training"]["on_policy"]["steps"] == 2
    header, *rows = (outputs["evaluate"].parent / "comparison.txt").read_text().splitlines()
    assert header.split() == ["teacher", "student", "on_policy", "rl_student"]
    assert any(row.startswith("accuracy") and row.count("+-") == 4 for row in rows)
