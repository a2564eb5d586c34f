"""`--from STAGE` and `--only STAGE`: what is forgotten, what is run, what is refused."""

import json

import pytest

from aha.errors import UserError
from aha.pipeline.execute import check_inputs, dependents, execute, forget, named_stage
from aha.pipeline.ranks import Ranks
from aha.pipeline.run_dir import open_run, read_run
from aha.pipeline.stage import Stage, StageContext, StageResult
from tests.pipeline.test_execute import contents
from tests.pipeline.toy import ToyConfig

CALLS = []


def write(ctx: StageContext[ToyConfig]) -> StageResult:
    """Writes how many inputs it had."""
    CALLS.append(ctx.directory.name.split("-")[1])
    ctx.publish("model", lambda folder: (folder / "n").write_text(str(len(ctx.inputs))))
    return StageResult("model", {"inputs": len(ctx.inputs)})


def diamond():
    """base -> left, right; left -> late; late, right -> end."""
    base = Stage("base", ToyConfig(), write)
    left = Stage("left", ToyConfig(), write, {"model": base})
    right = Stage("right", ToyConfig(), write, {"model": base})
    late = Stage("late", ToyConfig(), write, {"model": left})
    end = Stage("end", ToyConfig(), write, {"a": late, "b": right})
    return [base, left, right, late, end]


def go(path, *, only=None, first=None):
    """What aha.recipes.run.run does; returns the names of the stages that ran."""
    CALLS.clear()
    stages = diamond()
    run = open_run(path, recipe="toy", config={}, stages=stages, resume=True)
    try:
        if first is not None:
            forget(run, stages, first)
        if only is not None:
            check_inputs(run, stages, only)
        with run.session():
            execute(run, stages, Ranks(), only=only)
    finally:
        run.close()
    return list(CALLS)


def test_dependents_are_all_that_read_from_a_stage():
    stages = diamond()
    names = {
        stage.name: [one.name for one in dependents(stages, stage)]
        for stage in stages
    }  # fmt: skip
    assert names["left"] == ["left", "late", "end"]
    assert names["right"] == ["right", "end"]
    assert names["base"] == ["base", "left", "right", "late", "end"]
    assert names["end"] == ["end"]


@pytest.mark.parametrize(
    ("first", "again"),
    [("left", ["left", "late", "end"]), ("right", ["right", "end"]), ("end", ["end"])],
)
def test_from_runs_the_stage_and_its_dependents_again(tmp_path, first, again):
    assert go(tmp_path / "run") == ["base", "left", "right", "late", "end"]
    before = contents(tmp_path / "run")
    assert go(tmp_path / "run", first=first) == again
    assert contents(tmp_path / "run") == before
    assert read_run(tmp_path / "run")["status"] == "done"


def test_forgetting_deletes_the_folders_and_the_headline(tmp_path):
    go(tmp_path / "run")
    stages = diamond()
    run = open_run(tmp_path / "run", recipe="toy", config={}, stages=stages, resume=True)
    assert run.record["headline"] == {"inputs": 2}
    assert forget(run, stages, "right") == ["right", "end"]
    run.close()
    record = read_run(tmp_path / "run")
    there = [row["name"] for row in record["stages"] if (tmp_path / "run" / row["dir"]).exists()]
    assert there == ["base", "left", "late"]
    assert "headline" not in record and record["status"] == "stopped"
    assert ["seconds" in row for row in record["stages"]] == [True, True, False, True, False]


def test_only_runs_one_stage_and_the_run_is_not_done(tmp_path):
    assert go(tmp_path / "run", only="base") == ["base"]
    assert read_run(tmp_path / "run")["status"] == "stopped"
    assert go(tmp_path / "run", only="base") == []
    assert go(tmp_path / "run", only="right") == ["right"]
    assert go(tmp_path / "run") == ["left", "late", "end"]
    assert read_run(tmp_path / "run")["status"] == "done"


def test_the_last_stage_alone_completes_a_run(tmp_path):
    go(tmp_path / "run")
    end = tmp_path / "run" / read_run(tmp_path / "run")["stages"][-1]["dir"]
    (end / "DONE.json").unlink()
    assert go(tmp_path / "run", only="end") == ["end"]
    assert read_run(tmp_path / "run")["status"] == "done"


def test_only_leaves_unfinished_stages_as_they_are(tmp_path):
    go(tmp_path / "run")
    late = tmp_path / "run" / read_run(tmp_path / "run")["stages"][3]["dir"]
    (late / "DONE.json").unlink()
    (late / "metrics.jsonl").write_text(json.dumps({"step": 1}) + "\n")
    assert go(tmp_path / "run", only="right") == []
    assert (late / "metrics.jsonl").exists()


def test_only_wants_finished_inputs(tmp_path):
    go(tmp_path / "run", only="base")
    with pytest.raises(UserError, match="end reads from late, right, not finished yet") as caught:
        go(tmp_path / "run", only="end")
    assert "--only late" in caught.value.hint
    assert CALLS == []


def test_an_unknown_stage_names_the_nearest():
    with pytest.raises(UserError, match="there is no stage 'lft'") as caught:
        named_stage(diamond(), "lft")
    assert caught.value.hint == "did you mean left? stages: base, left, right, late, end"
