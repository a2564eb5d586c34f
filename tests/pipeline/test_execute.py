"""Runs that end, stop, fail and go on: a resumed run writes the bytes of an undisturbed one."""

import json
import shutil

import pytest

from aha.errors import HealthError, UserError
from aha.pipeline.files import read_json, read_jsonl
from aha.pipeline.run_dir import read_run, run_status
from tests.pipeline import toy

QUIET = ("run.json", "DONE.json")  # they hold times


def contents(run):
    files = [p for p in run.rglob("*") if p.is_file() and p.name not in (*QUIET, ".lock")]
    return {str(p.relative_to(run)): p.read_bytes() for p in files}


def ids_of(config):
    return [stage.id for stage in toy.stages(config)]


@pytest.fixture
def undisturbed(tmp_path):
    """A finished run of six steps."""
    toy.run(tmp_path / "undisturbed")
    return tmp_path / "undisturbed"


def stop_at(path, step, how="interrupt", **values):
    """A run that ends at `step`, then loses its failing config key, as if killed from outside."""
    with pytest.raises(BaseException):  # noqa: B017
        toy.run(path, fail=how, fail_step=step, **values)
    clean = toy.ToyRecipeConfig(count=toy.ToyConfig(**values))
    record = read_run(path)
    for row, new_id in zip(record["stages"], ids_of(clean), strict=True):
        old_dir = path / row["dir"]
        row.update(id=new_id, dir=row["dir"][: -len(new_id)] + new_id)
        if old_dir.exists():
            old_dir.rename(path / row["dir"])
    record["config"] = clean.table()
    (path / "run.json").write_text(json.dumps(record))


def test_a_finished_run_holds_what_the_contract_names(undisturbed):
    record = read_run(undisturbed)
    assert record["status"] == "done" and record["headline"] == {"doubled": 42.0}
    assert [row["name"] for row in record["stages"]] == ["count", "double"]
    first, second = (undisturbed / row["dir"] for row in record["stages"])
    assert read_json(first / "DONE.json")["summary"] == {"total": 21.0}
    assert read_json(first / "config.json")["num_steps"] == 6
    given = read_json(second / "inputs.json")["model"]
    assert (given["kind"], given["value"]) == ("stage", "count")
    assert given["identity"].startswith(record["stages"][0]["id"])
    assert [row["step"] for row in read_jsonl(first / "metrics.jsonl")] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("step", [1, 2, 3, 4, 6])
def test_a_stopped_run_resumes_to_the_same_bytes(tmp_path, undisturbed, step):
    path = tmp_path / "stopped"
    stop_at(path, step)
    assert read_run(path)["status"] == "stopped"
    toy.run(path, resume=True)
    assert contents(path) == contents(undisturbed)
    assert read_run(path)["status"] == "done"


def test_what_a_killed_process_left_half_written_is_cleared(tmp_path, undisturbed):
    path = tmp_path / "killed"
    stop_at(path, 6)
    folder = path / read_run(path)["stages"][0]["dir"]
    with open(folder / "metrics.jsonl", "a") as file:
        file.write('{"step": 6, "to')
    (folder / "checkpoints" / "step-000006.partial").mkdir()
    (folder / "model.partial").mkdir()
    toy.run(path, resume=True)
    mine = {name: data for name, data in contents(path).items() if ".partial" not in name}
    assert mine == contents(undisturbed)


def test_anything_may_be_deleted_and_is_built_again(tmp_path, undisturbed):
    whole = contents(undisturbed)
    first, second = (undisturbed / row["dir"] for row in read_run(undisturbed)["stages"])
    shutil.rmtree(second)
    with pytest.raises(UserError, match="unfinished"):
        toy.run(undisturbed)
    toy.run(undisturbed, resume=True)
    assert contents(undisturbed) == whole
    shutil.rmtree(first / "model")
    toy.run(undisturbed, resume=True)
    assert contents(undisturbed) == whole


def test_a_finished_run_is_not_run_again(undisturbed):
    before = {p: p.stat().st_mtime_ns for p in undisturbed.rglob("*")}
    assert toy.run(undisturbed).is_done
    assert {p: p.stat().st_mtime_ns for p in undisturbed.rglob("*")} == before


def test_an_unfinished_run_wants_resume(tmp_path):
    stop_at(tmp_path / "run", 3)
    with pytest.raises(UserError, match="unfinished run") as caught:
        toy.run(tmp_path / "run")
    assert "--resume" in caught.value.hint and str(tmp_path / "run") in caught.value.hint


@pytest.mark.parametrize("resume", [True, False])
def test_another_config_is_refused_and_named(undisturbed, resume):
    with pytest.raises(UserError, match=r"count\.num_steps \(count\.num_steps was 6, is 7\)"):
        toy.run(undisturbed, num_steps=7, resume=resume)
    with pytest.raises(UserError, match=r"count\.num_steps, count\.save_every "):
        toy.run(undisturbed, num_steps=7, save_every=3, resume=resume)


def test_another_format_version_is_refused(undisturbed):
    record = read_run(undisturbed)
    record["format_version"] = 99
    (undisturbed / "run.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="run format 99; this is format 1"):
        toy.run(undisturbed, resume=True)


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"', "{}"])
def test_a_broken_run_json_is_a_user_error(undisturbed, text):
    (undisturbed / "run.json").write_text(text)
    with pytest.raises(UserError):
        toy.run(undisturbed, resume=True)


def test_a_folder_that_is_not_a_run_is_not_written_into(tmp_path):
    (tmp_path / "photo.jpg").write_text("precious")
    with pytest.raises(UserError, match="is not a run"):
        toy.run(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["photo.jpg"]


def test_out_can_not_be_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError):
        toy.run(tmp_path / "file")
    with pytest.raises(UserError):
        toy.run(tmp_path / "file" / "below")


@pytest.mark.parametrize(
    ("how", "error"),
    [("user", UserError), ("health", HealthError), ("bug", ZeroDivisionError), ("disk", OSError)],
)
def test_a_failed_run_says_why_and_can_go_on(tmp_path, undisturbed, how, error):
    path = tmp_path / "failed"
    with pytest.raises(error):
        toy.run(path, fail=how, fail_step=5)
    record = read_run(path)
    assert record["status"] == "failed" and record["error"].startswith(error.__name__)
    assert "headline" not in record


def test_two_processes_do_not_write_the_same_run(tmp_path):
    stop_at(tmp_path / "run", 3)
    config = toy.ToyRecipeConfig()
    kwargs = {"recipe": "toy", "config": config.table(), "stages": toy.stages(config)}
    held = toy.open_run(tmp_path / "run", resume=True, **kwargs)
    held.update(status="running")
    assert run_status(held.path, held.record) == "running"
    with pytest.raises(UserError, match="written by another process"):
        toy.run(tmp_path / "run", resume=True)
    held.close()
    assert run_status(held.path, held.record) == "interrupted"
    assert toy.run(tmp_path / "run", resume=True).is_done


def test_seconds_add_up_over_sessions(tmp_path):
    stop_at(tmp_path / "run", 5, seconds_per_step=0.05)
    before = read_run(tmp_path / "run")
    assert before["seconds"] > 0.2
    after = toy.run(tmp_path / "run", resume=True, seconds_per_step=0.05).record
    assert after["seconds"] > before["seconds"] + 0.05
    assert before["stages"][0]["seconds"] + 0.1 < after["stages"][0]["seconds"] < after["seconds"]
