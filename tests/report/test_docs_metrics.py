"""docs/run-directory.md names everything that a run writes, and nothing that none does."""

import json
import re
from pathlib import Path

import pytest

from aha.evals.corrections import MEANING
from aha.recipes.run import run
from aha.report import read_run, show_json
from tests.trainers.tiny import tiny_folder, tiny_task_file

PAGE = Path(__file__).parents[2] / "docs" / "run-directory.md"
ZERO = [
    "ranks=1", "template=none", "num_steps=2", "prompts_per_step=2", "samples_per_prompt=2",
    "minibatches=1", "max_new_tokens=6", "format_weight=0", "dynamic_sampling=false",
    "save_every=1", "eval_every=1", "eval_problems=2", "sample_every=1", "evaluate.problems=2",
    "evaluate.samples=2", "evaluate.cons_samples=2", "evaluate.cons_problems=2",
]  # fmt: skip
BASE = [
    "width=16", "layers=1", "heads=1", "mlp_width=16", "batch_rows=1", "row_tokens=32",
    "num_tokens=1000", "warmup_steps=2", "save_every=30", "eval_every=31", "ranks=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def zero(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    model, task = tiny_folder(folder / "model"), tiny_task_file(folder)
    return run("zero", model=str(model), task=[str(task)], overrides=ZERO, out=folder / "run")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return run("base", overrides=BASE, out=tmp_path_factory.mktemp("docs") / "run")


def documented(section):
    """Names in the first column of a section's tables."""
    body = re.search(rf"^## {re.escape(section)}$(.*?)(?=^## |\Z)", PAGE.read_text(), re.M | re.S)[
        1
    ]
    cells = re.findall(r"^\| (`[^|]*)\|", body, re.M)
    names = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    assert len(names) == len(set(names)), f"{section} names something twice"
    return set(names)


def keys(folder, pattern):
    """Keys of all rows of the run's JSON-lines files of a name, the task's name as TASK."""
    lines = [line for file in folder.glob(pattern) for line in file.read_text().splitlines()]
    assert lines
    return {
        re.sub(r"^eval/letters/", "eval/TASK/", key) for line in lines for key in json.loads(line)
    }


def test_every_metric_is_documented(zero, base):
    written = keys(zero, "stages/*/metrics.jsonl") | keys(base, "stages/*/metrics.jsonl")
    assert documented("metrics.jsonl") == written
    assert documented("timing.jsonl") == keys(zero, "stages/*/timing.jsonl")


def test_every_key_of_a_sample_is_documented(zero):
    assert documented("samples/") == keys(zero, "stages/*/samples/*.jsonl")


def test_every_key_of_the_headline_is_documented(zero):
    headline = json.loads((zero / "run.json").read_text())["headline"]
    assert documented("Headline") == {key.replace("cons@2", "cons@K") for key in headline}
    assert set(headline["tasks"]["letters"]) == set(headline) - {"tasks"}
    assert documented("Self-corrections") == set(headline["corrections_after"])
    shown = {key.replace("cons@16", "cons@K") for key in show_json(read_run(zero))["headline"]}
    assert shown <= documented("Headline") | {
        "cons@2_after",
        "cons@2_after_stderr",
        "cons@2_after_n",
    }


def test_kinds_of_corrections_are_explained_in_the_same_words():
    for kind, meaning in MEANING.items():
        assert f"| `{kind}` | times | {meaning} |" in PAGE.read_text()


def test_every_key_of_run_json_is_documented(zero):
    assert documented("run.json") == set(json.loads((zero / "run.json").read_text()))


LATER = {"report.html", "scale.json", "scale.svg", "scale.html", "emergence.json"}
"""Put there by other commands than `aha run`."""


def test_every_file_is_documented(zero, base):
    known = documented("Files") - LATER
    folders = tuple(name for name in known if name.endswith("/") and name.count("/") > 2)
    written = set()
    for folder in (zero, base):
        for file in folder.rglob("*"):
            name = re.sub(
                r"stages/\d\d-\w+-[0-9a-f]{8}/",
                "stages/NN-NAME-HASH8/",
                str(file.relative_to(folder)),
            )
            name = re.sub(r"step-\d{6}", "step-NNNNNN", name)
            if file.is_file():
                written.add(next((f for f in folders if name.startswith(f)), name))
    assert written == known - {"stages/NN-NAME-HASH8/"}
