"""Run directories in every state are read, and the numbers come back as they were written."""

import json
import shutil

import pytest

from aha.errors import UserError
from aha.report.reader import read_run
from tests.report.fake_run import FakeRun


@pytest.fixture
def run_dir(tmp_path):
    return FakeRun().write(tmp_path / "demo")


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_numbers_come_back_as_written(run_dir):
    zero, evaluate = read_run(run_dir).stages
    assert zero.metrics == lines(zero.path / "metrics.jsonl")
    assert zero.timing == lines(zero.path / "timing.jsonl")
    assert list(zero.samples(7)) == lines(zero.path / "samples" / "step-000007.jsonl")
    assert (zero.name, zero.id, zero.status) == ("zero", "1a2b3c4d", "done")
    assert evaluate.summary["cons@16_after"] == 0.995
    assert list(zero.sample_files) == list(range(1, 13))


def test_series_leaves_out_steps_without_the_metric(run_dir):
    steps = [step for step, _ in read_run(run_dir).stages[0].series("eval/arithmetic/pass@1")]
    assert steps == [0, 4, 8, 12]


def test_output_is_a_path_only_while_it_exists(run_dir):
    zero = read_run(run_dir).stages[0]
    assert zero.output == str(zero.path / "model")
    shutil.rmtree(zero.path / "model")
    assert read_run(run_dir).stages[0].output is None


def test_half_a_line_at_the_end_is_skipped(run_dir):
    file = next(run_dir.glob("stages/01-*/metrics.jsonl"))
    text = file.read_text()
    file.write_text(text[: len(text) - 40])
    assert [row["step"] for row in read_run(run_dir).stages[0].metrics] == list(range(12))


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[1, 2]",
        '{"step": "three"}',
        '{"loss": 1}',
        '{"step": null}',
        "\x00\x00",
        "[" * 9999,
    ],
)
def test_foreign_lines_are_skipped(run_dir, line):
    file = next(run_dir.glob("stages/01-*/metrics.jsonl"))
    before = read_run(run_dir).stages[0].metrics
    file.write_text(line + "\n" + file.read_text())
    assert read_run(run_dir).stages[0].metrics == before


def test_values_that_are_no_finite_numbers_are_left_out(run_dir):
    file = next(run_dir.glob("stages/01-*/metrics.jsonl"))
    file.write_text(
        '{"step": 1, "a": NaN, "b": Infinity, "c": "x", "d": true, "e": 2, "f": null}\n'
    )
    assert read_run(run_dir).stages[0].metrics == [{"step": 1, "e": 2.0}]


def test_of_a_step_logged_twice_the_later_row_counts(run_dir):
    file = next(run_dir.glob("stages/01-*/metrics.jsonl"))
    with file.open("a") as log:
        log.write('{"step": 5, "reward/mean": -7}\n')
    rows = read_run(run_dir).stages[0].metrics
    assert rows[5] == {"step": 5, "reward/mean": -7.0}
    assert len(rows) == 13


def test_a_run_whose_writer_is_gone_is_interrupted(tmp_path):
    run = read_run(FakeRun(status="running").write(tmp_path / "run"))
    assert run.status == "interrupted"
    assert [(stage.name, stage.status) for stage in run.stages] == [("zero", "interrupted")]


def test_a_running_run_counts_the_seconds_of_its_steps(tmp_path):
    folder = FakeRun(status="running", extra={"seconds": 0.5}).write(tmp_path / "run")
    spent = sum(row["time/step_seconds"] for row in read_run(folder).stages[0].timing)
    assert read_run(folder).seconds == pytest.approx(spent)
    assert spent > 1


def test_a_stage_that_has_not_begun_waits(tmp_path):
    later = {"name": "evaluate", "id": "77", "dir": "stages/02-evaluate-77"}
    first = {"name": "zero", "id": "1a2b3c4d", "dir": "stages/01-zero-1a2b3c4d"}
    extra = {"stages": [first, later]}
    run = read_run(FakeRun(status="failed", extra=extra).write(tmp_path / "run"))
    assert [stage.status for stage in run.stages] == ["failed", "waiting"]


def test_stages_that_run_json_does_not_name_are_found(tmp_path):
    run = read_run(FakeRun(extra={"stages": []}).write(tmp_path / "run"))
    assert [(stage.name, stage.id) for stage in run.stages] == [
        ("zero", "1a2b3c4d"),
        ("evaluate", "5e6f7a8b"),
    ]


def test_run_json_cannot_point_out_of_the_run(tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "metrics.jsonl").write_text('{"step": 1, "x": 1}\n')
    stages = [{"name": "a", "dir": "../secret"}, {"name": "b", "dir": ".."}, {"name": "c"}, "d"]
    run = read_run(FakeRun(extra={"stages": stages}).write(tmp_path / "run"))
    assert not any("x" in row for stage in run.stages for row in stage.metrics)


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "\x00"])
def test_a_broken_run_json_is_a_user_error(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(UserError, match=r"run\.json"):
        read_run(tmp_path)


def test_a_folder_that_is_no_run_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="no such run") as missing:
        read_run(tmp_path / "nowhere")
    assert "aha run" in missing.value.hint
    with pytest.raises(UserError, match=r"no run\.json"):
        read_run(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        read_run(tmp_path / "file")


def test_the_path_of_a_stage_points_to_its_run(run_dir):
    with pytest.raises(UserError) as wrong:
        read_run(next(run_dir.glob("stages/01-*")))
    assert str(run_dir) in wrong.value.hint


def test_a_run_without_any_stage_directory_is_read(tmp_path):
    folder = FakeRun().write(tmp_path / "run")
    shutil.rmtree(folder / "stages")
    run = read_run(folder)
    assert [stage.status for stage in run.stages] == ["waiting", "waiting"]
    assert run.with_metrics() == []
