"""A whole measurement of the embedded model: the same bytes however it is interrupted or shared."""

import json
import signal
import subprocess
import sys
import time

import pytest
import torch

from aha.errors import UserError
from aha.evals.scaling.journal import Journal
from aha.evals.scaling.run import ScaleConfig, scale
from aha.evals.scaling.training import training_curve
from aha.model.reward_model import reward_model_of, write_reward_model
from aha.pipeline.progress import Progress
from aha.pipeline.ranks import Ranks
from aha.pipeline.sources import resolve_model

POINTS = ["budget=4", "majority=1,2", "oracle=2", "mcts:logprob=2"]
QUIET = Progress(enabled=False)


def config(**values):
    defaults = {
        "model": "embedded",
        "suite": "arithmetic",
        "strategies": POINTS,
        "problems": 70,
        "samples": 2,
        "max_new_tokens": 24,
        "ranks": 1,
    }
    return ScaleConfig(**(defaults | values))


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    path = tmp_path_factory.mktemp("scale") / "scale.json"
    scale(config(), path, log=QUIET)
    return path


def test_the_result_holds_settings_points_and_no_clock(measured):
    found = json.loads(measured.read_text())
    assert found["kind"] == "scaling" and found["suite"] == "arithmetic"
    assert found["settings"]["num_problems"] == 70 and found["settings"]["pool"] == 2
    assert len(found["problem_ids"]) == 70 and len(found["model"]["sha256"]) == 64
    assert [f"{p['strategy']}={p['size']}" for p in found["points"]] == [
        "budget=4", "majority=1", "majority=2", "oracle=2", "mcts:logprob=2",
    ]  # fmt: skip
    assert "seconds" not in measured.read_text()
    for point in found["points"]:
        scores, tokens = point["problem_scores"], point["problem_tokens"]
        assert len(scores) == len(tokens) == point["n"] == 70
        assert point["accuracy"] == pytest.approx(sum(scores) / 70)
        assert point["tokens"] == pytest.approx(sum(tokens) / 70)
        assert all(0.0 <= score <= 1.0 for score in scores)
    one, two, ceiling = found["points"][1:4]
    assert two["tokens"] == pytest.approx(2 * one["tokens"]) == pytest.approx(ceiling["tokens"])
    assert ceiling["accuracy"] >= two["accuracy"] and ceiling["oracle"]
    assert sorted(path.name for path in measured.parent.iterdir()) == ["scale.json"]


def test_a_finished_measurement_is_read_and_another_one_is_not(measured, tmp_path):
    path = tmp_path / "scale.json"
    found = json.loads(measured.read_text())
    found["points"][0]["example"] = "it was read"
    path.write_text(json.dumps(found))
    assert scale(config(), path, log=QUIET)["points"][0]["example"] == "it was read"
    anew = scale(config(strategies=["majority=1"]), path, log=QUIET)
    assert [point["size"] for point in anew["points"]] == [1]
    assert anew["points"][0]["accuracy"] == found["points"][1]["accuracy"]


def test_two_processes_write_the_same_bytes(measured, tmp_path):
    scale(config(ranks=2), tmp_path / "scale.json", log=QUIET)
    assert (tmp_path / "scale.json").read_bytes() == measured.read_bytes()


def test_killed_at_any_time_it_goes_on_to_the_same_bytes(measured, tmp_path):
    path = tmp_path / "scale.json"
    code = (
        "from tests.evals.scaling.test_run import *; from pathlib import Path\n"
        f"scale(config(), Path({str(path)!r}), log=QUIET)"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if sum(file.read_bytes().count(b"\n") for file in tmp_path.glob("*/*.jsonl")) >= 4:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.01)
    assert process.wait(60) == -signal.SIGKILL and not path.exists()
    torn = next(tmp_path.glob("scale.json.partial/*.jsonl"))
    with torn.open("a") as file:
        file.write('{"key": "majority=2/0", "val')
    scale(config(), path, log=QUIET)
    assert path.read_bytes() == measured.read_bytes()
    assert not (tmp_path / "scale.json.partial").exists()


def test_a_journal_of_other_settings_is_not_taken_over(tmp_path):
    first = Journal(tmp_path, "aaaa", Ranks())
    first.put("point/0", [1.5])
    assert Journal(tmp_path, "aaaa", Ranks()).get("point/0") == [1.5]
    assert Journal(tmp_path, "bbbb", Ranks()).get("point/0") is None


def test_a_server_cannot_be_cut_off():
    remote = config(model="endpoint:http://127.0.0.1:9/v1#m", suite="arithmetic")
    with pytest.raises(UserError):
        scale(remote, None, log=QUIET)


def test_the_training_curve_is_that_of_the_suite(tmp_path):
    stage = tmp_path / "stages" / "01-zero-abc"
    stage.mkdir(parents=True)
    (tmp_path / "run.json").write_text("{}")
    rows = [
        {"step": 0, "eval/logic/pass@1": 0.1, "eval/arithmetic/pass@1": 0.2},
        {"step": 4, "reward/mean": 1.0},
        {
            "step": 8,
            "eval/logic/pass@1": 0.3,
            "eval/arithmetic/pass@1": 0.6,
            "eval/arithmetic/pass@1_stderr": 0.05,
        },
    ]
    (stage / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    curve = training_curve(str(tmp_path), "arithmetic")
    assert curve == {
        "stage": "01-zero-abc",
        "metric": "eval/arithmetic/pass@1",
        "points": [[0, 0.2, 0.0], [8, 0.6, 0.05]],
    }
    assert training_curve(str(tmp_path), "gsm8k")["metric"] == "eval/logic/pass@1"
    assert training_curve("embedded", "arithmetic") is None


def test_a_reward_model_guides_votes_and_searches(tmp_path):
    folder = tmp_path / "reward"
    folder.mkdir()
    loaded = reward_model_of(resolve_model("embedded"))
    torch.nn.init.normal_(loaded.model.score.weight, generator=torch.Generator().manual_seed(0))
    write_reward_model(folder, loaded.model, loaded.tokenizer)
    asked = ["majority=1", "best:reward=2", "oracle=2", "beam:reward=2", "mcts:reward=2"]
    found = scale(
        config(strategies=asked, problems=3, reward_model=str(folder)), tmp_path / "x.json",
        log=QUIET,
    )  # fmt: skip
    accuracy = {point["strategy"]: point["accuracy"] for point in found["points"]}
    assert accuracy["best:reward"] <= accuracy["oracle"]
    assert len(found["settings"]["reward_model"]) == 64
    assert found["points"][1]["tokens"] == pytest.approx(2 * found["points"][0]["tokens"])
