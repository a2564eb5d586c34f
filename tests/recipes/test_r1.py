"""R1's stages: who reads from whom, what a changed key makes anew, and the later ones for real."""

import json

import pytest
import torch

from aha.chat.templates import builtin_chat_template
from aha.model.hf_folder import load_model, save_model
from aha.pipeline.execute import execute
from aha.pipeline.files import write_json
from aha.pipeline.ranks import Ranks
from aha.pipeline.run_dir import open_run
from aha.pipeline.sources import embedded_model
from aha.pipeline.stage import Stage
from aha.recipes.presets import load_config
from aha.recipes.r1 import RECIPE

MODELS = ("zero", "dev1", "dev2")
TINY = (
    *("general.rows=48", "dev3.num_steps=4", "dev3.batch_samples=8", "dev3.row_tokens=128"),
    *("preferences.problems=12", "preferences.samples=1", "preferences.max_new_tokens=8"),
    *("preferences.min_margin=0.5", "preferences.balance_length=false"),
    *("helpful.batch_rows=4", "helpful.epochs=1", "harmless.batch_rows=8", "harmless.epochs=1"),
    *("r1.num_steps=3", "r1.prompts_per_step=4", "r1.samples_per_prompt=4", "r1.minibatches=1"),
    *("r1.max_new_tokens=12", "r1.preference.last_steps=2", "r1.eval_problems=4"),
    *("r1.eval_every=none", "r1.sample_every=1", "evaluate.problems=4", "evaluate.samples=1"),
    *("evaluate.cons_problems=2", "evaluate.cons_samples=2", "evaluate.chat_problems=4"),
    *("evaluate.chat_samples=1", "evaluate.max_new_tokens=8"),
)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def planned(*overrides):
    config = RECIPE.resolve(load_config(RECIPE, overrides=["ranks=1", *overrides]))
    return config, {stage.name: stage for stage in RECIPE.stages(config)}


def reads(stage: Stage) -> dict[str, str]:
    return {
        name: given.name if isinstance(given, Stage) else given.value
        for name, given in stage.inputs.items()
    }


def test_the_wiring_is_that_of_the_paper():
    _, found = planned()
    assert {name: reads(stage) for name, stage in found.items()} == {
        "zero": {"model": "embedded"},
        "cold_start": {"model": "zero"},
        "dev1": {"model": "embedded", "data": "cold_start"},
        "dev2": {"model": "dev1"},
        "rejection": {"model": "dev2"},
        "general": {},
        "mix": {"reasoning": "rejection", "general": "general"},
        "dev3": {"model": "embedded", "data": "mix"},
        "preferences": {"model": "dev3"},
        "helpful": {"model": "dev3", "data": "preferences"},
        "harmless": {"model": "dev3", "data": "preferences"},
        "r1": {"model": "dev3", "helpful": "helpful", "harmless": "harmless"},
        "evaluate": {
            "base": "embedded", **{name: name for name in ("zero", "dev1", "dev2", "dev3", "r1")},
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("override", "anew"),
    [
        ("evaluate.problems=7", ["evaluate"]),
        ("r1.preference.helpful_weight=3", ["r1", "evaluate"]),
        ("harmless.epochs=5", ["harmless", "r1", "evaluate"]),
        (
            "general.rows=77",
            ["general", "mix", "dev3", "preferences", "helpful", "harmless", "r1", "evaluate"],
        ),
    ],
)
def test_a_changed_key_makes_anew_what_depends_on_it_and_nothing_else(override, anew):
    (_, before), (_, after) = planned(), planned(override)
    assert [name for name in after if after[name].id != before[name].id] == anew


def test_the_table_is_about_the_task_that_was_trained_on():
    config, found = planned("r1.task=countdown", "r1.dtype=bfloat16")
    assert (config.evaluate.task, config.evaluate.dtype) == (("countdown",), "bfloat16")
    assert found["evaluate"].config.task == ("countdown",)
    assert "r1 50 steps of 256 responses" in RECIPE.sentence(planned()[0])


def test_one_seed_for_all_stages_but_the_evaluation():
    _, found = planned("seed=7")
    seeds = {name: stage.config.seed for name, stage in found.items()}
    assert seeds == {name: 0 if name == "evaluate" else 7 for name in found}
    (_, before), (_, after) = planned(), planned("seed=0")
    assert [stage.id for stage in before.values()] == [stage.id for stage in after.values()]


def conversation(number: int) -> dict:
    """A solved problem as rejection sampling leaves it."""
    answer = {"role": "assistant", "reasoning_content": f" First {number} + 1 = {number + 1}.",
              "content": f" So the answer is {number + 1}."}  # fmt: skip
    messages = [{"role": "user", "content": f"What is {number} + 1?"}, answer]
    row = {"id": f"arithmetic/train/{number}", "task": "arithmetic", "language": "en"}
    return {**row, "messages": messages}


def finish_early_stages(run) -> None:
    """As if everything up to rejection sampling had been done: all models are the base."""
    base = load_model(embedded_model())
    base.tokenizer.chat_template = builtin_chat_template(lambda token: False)
    for row in run.record["stages"]:
        directory = run.path / row["dir"]
        if row["name"] in MODELS:
            save_model(directory / "model", base.model, base.tokenizer)
            write_json(directory / "DONE.json", {"output": "model", "seconds": 1, "summary": {}})
        elif row["name"] in ("cold_start", "rejection"):
            directory.mkdir(parents=True)
            lines = [json.dumps(conversation(number)) + "\n" for number in range(48)]
            (directory / "data.jsonl").write_text("".join(lines))
            done = {"output": "data.jsonl", "seconds": 1, "summary": {"rows": 48}}
            write_json(directory / "DONE.json", done)


def rows_of(folder, name="metrics.jsonl") -> list[dict]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_from_the_second_fine_tuning_to_the_table(tmp_path):
    config, found = planned(*TINY)
    stages = list(found.values())
    run = open_run(
        tmp_path / "run", recipe="r1", config=config.table(), stages=stages, resume=False
    )
    finish_early_stages(run)
    with run.session():
        outputs = execute(run, stages, Ranks())
    run.close()
    mixed = rows_of(outputs["mix"].parent, "data.jsonl")
    assert {row["task"] for row in mixed} == {"arithmetic", "assistant", "requests"}
    labels = rows_of(outputs["preferences"], "labels.jsonl")
    assert {row["safe"] for row in labels} == {True, False}
    safety = json.loads((outputs["harmless"].parent / "DONE.json").read_text())["summary"]
    assert safety["eval/accuracy_n"] == sum(
        safety.get(f"eval/accuracy_n_{label}", 0) for label in ("safe", "unsafe")
    )
    steps = {row["step"]: row for row in rows_of(outputs["r1"].parent)}
    assert "grader/quality" not in steps[1] and {2, 3} <= set(steps)
    for step in (2, 3):
        assert 0 <= steps[step]["grader/quality"] <= 1 and 0 <= steps[step]["grader/safe"] <= 1
        assert 0 < steps[step]["reward/harmless"] < 1
    drawn = rows_of(outputs["r1"].parent, "samples/step-000003.jsonl")
    assert sum("helpful" in row["rewards"] for row in drawn) == len(drawn) / 2
    table = json.loads(outputs["evaluate"].read_text())["stage_table"]
    assert list(table) == ["base", "zero", "dev1", "dev2", "dev3", "r1"]
    assert {"accuracy", "refusal_harmful", "refusal_harmless", "chat_win_rate"} <= set(table["r1"])
    same = {name: table[name]["accuracy"] for name in ("dev1", "dev2")}
    assert same["dev1"] == same["dev2"]  # the same weights, the same template, the same draws
