"""Suites as part of a run: their curves appear, and what is trained does not change by a bit."""

import json

import pytest
import torch

from aha.errors import UserError
from aha.model.hf_folder import load_model
from aha.pipeline.testing import stage_context
from aha.trainers.config import SftConfig
from aha.trainers.grpo import train
from aha.trainers.sft import train as fine_tune
from aha.trainers.suites import are_due, curve_name, loaded, measured_during
from aha.trainers.suites_config import SuitesConfig
from tests.trainers.tiny import on_ranks, tiny_config, tiny_folder, tiny_task_file


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suites")
    tiny_folder(folder / "model")
    tiny_task_file(folder)
    rows = [{"id": str(i), "question": "abcd"[i], "answer": "abcd"[i]} for i in range(4)]
    (folder / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def trained(world, out, suites, ranks=None):
    config = tiny_config(world / "letters.py", num_steps=3)
    config = measured_during(config, suites) if suites else config
    ctx = stage_context(out, config, {"model": world / "model"}, ranks)
    train(ctx)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return rows, load_model(out / "model").model


def test_curves_appear_and_training_stays_the_same(world, tmp_path):
    suites = SuitesConfig(names=(str(world / "own.jsonl"),), every=2, samples=2, template="none")
    plain, without = trained(world, tmp_path / "plain", None)
    rows, model = trained(world, tmp_path / "with", suites)
    assert [row["step"] for row in rows if "eval/own/pass@1" in row] == [0, 2, 3]
    assert {"eval/own/pass@1_stderr", "eval/own/length_tokens"} <= rows[0].keys()
    assert rows[0]["eval/own/pass@1_n"] == 2 * len(
        loaded(suites.names, None)[0].task.problems("heldout")
    )
    kept = [{k: v for k, v in row.items() if not k.startswith("eval/own/")} for row in rows]
    assert kept == plain
    pairs = zip(model.parameters(), without.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_every_rank_measures_a_share(world, tmp_path):
    suites = SuitesConfig(names=(str(world / "own.jsonl"),), every=3, template="none")
    alone, _ = trained(world, tmp_path / "one", suites)

    def work(ranks):
        out = tmp_path / "two"
        config = measured_during(tiny_config(world / "letters.py", num_steps=3), suites)
        ctx = stage_context(out, config, {"model": world / "model"}, ranks)
        train(ctx)

    on_ranks(2, work)
    first = json.loads((tmp_path / "two" / "metrics.jsonl").read_text().splitlines()[0])
    own = {key: value for key, value in first.items() if key.startswith("eval/own/")}
    assert own and own == {key: alone[0][key] for key in own}


def test_a_config_with_suites_is_another_stage_and_reads_back():
    config = tiny_config()
    suites = SuitesConfig(names=("arithmetic",), every=7)
    measured = measured_during(config, suites)
    assert isinstance(measured, type(config)) and measured.num_steps == config.num_steps
    assert measured.table() == config.table() | {"suites": suites.table()}
    assert measured.replace(num_steps=9).suites == suites
    assert not are_due(config, 0, 3)
    assert [step for step in range(11) if are_due(measured, step, 10)] == [0, 7, 10]


def test_held_out_problems_of_a_trained_task_have_their_own_curve():
    assert curve_name("arithmetic", ("arithmetic", "logic")) == "arithmetic-heldout"
    assert curve_name("arithmetic-5", ("arithmetic",)) == "arithmetic-5"


def test_suites_are_named_once_and_exist():
    with pytest.raises(UserError, match="twice"):
        loaded(("logic", "logic"), None)
    with pytest.raises(UserError, match="unknown suite"):
        loaded(("arithmetik",), None)


def test_fine_tuning_measures_suites_too(world, tmp_path):
    rows = [
        {"id": f"row {n}", "prompt": "abcd"[n % 4], "response": "abcd"[n % 4]} for n in range(8)
    ]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = SftConfig(num_steps=3, batch_samples=4, row_tokens=16, validation_fraction=0.0)
    suites = SuitesConfig(
        names=(str(world / "own.jsonl"),), every=2, template="none", max_new_tokens=4
    )
    inputs = {"model": world / "model", "data": tmp_path / "data.jsonl"}
    found = []
    for name, given in (("plain", config), ("with", measured_during(config, suites))):
        ctx = stage_context(tmp_path / name, given, inputs)
        fine_tune(ctx)
        lines = (ctx.directory / "metrics.jsonl").read_text().splitlines()
        found.append([json.loads(line) for line in lines])
    plain, measured = found
    assert [row["step"] for row in measured if "eval/own/pass@1" in row] == [0, 2, 3]
    assert [row["loss/sft"] for row in measured[1:]] == [row["loss/sft"] for row in plain]
    assert [row["step"] for row in plain] == [1, 2, 3]
