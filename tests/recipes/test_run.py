"""A real recipe from the command line: runs, is stopped by Ctrl-C, resumes to the same bytes."""

import json
import signal
import threading
import time

import pytest

from aha.cli.main import invoke
from aha.errors import UserError
from aha.pipeline.files import read_jsonl
from aha.recipes.run import run

SMALL = [
    "width=16", "layers=1", "heads=1", "mlp_width=16", "batch_rows=1", "row_tokens=32",
    "num_tokens=1000", "warmup_steps=2", "save_every=10", "eval_every=none", "ranks=1",
]  # fmt: skip
OPTIONS = [part for text in SMALL for part in ("--set", text)]


def metrics(path):
    (file,) = path.glob("stages/*/metrics.jsonl")
    return file.read_bytes()


def interrupt_at_step(path, step):
    """Press Ctrl-C in this process once `step` is logged."""

    def watch():
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            for file in path.glob("stages/*/metrics.jsonl"):
                if len(list(read_jsonl(file))) >= step:
                    signal.raise_signal(signal.SIGINT)
                    return
            time.sleep(0.002)

    threading.Thread(target=watch, daemon=True).start()


@pytest.fixture
def cli(capsys):
    def cli(*arguments):
        status = invoke(arguments)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return cli


def test_a_run_that_is_interrupted_and_resumed(in_tmp_path, cli):
    """Also: runs are numbered, a finished run is a no-op, and `show` reads what was written."""
    status, out, err = cli("run", "base", *OPTIONS)
    assert status == 0 and not out
    assert "1 rows x 32 tokens = 32 tokens an update on 1 rank; 31 updates" in err
    whole = in_tmp_path / "runs" / "base-001"
    assert cli("run", "base", *OPTIONS, "--out", "runs/base-001")[2].endswith(
        "aha show runs/base-001\n"
    )

    stopped = in_tmp_path / "runs" / "base-002"
    interrupt_at_step(stopped, 12)
    status, _, err = cli("run", "base", *OPTIONS)
    assert status == 130
    assert err.endswith("stopped; go on with: aha run base --out runs/base-002 --resume\n")
    assert json.loads((stopped / "run.json").read_text())["status"] == "stopped"
    assert cli("show", "base-002")[0] == 0

    status, _, err = cli("run", "base", "--out", "runs/base-002", "--resume")
    assert status == 0 and "resuming after step-000010" in err
    assert metrics(stopped) == metrics(whole)
    (mine,), (theirs,) = (p.glob("stages/*/model/model.safetensors") for p in (stopped, whole))
    assert mine.read_bytes() == theirs.read_bytes()

    shown = json.loads(cli("show", "--json", "base-002")[1])
    assert (shown["recipe"], shown["status"]) == ("base", "done")
    assert [stage["status"] for stage in shown["stages"]] == ["done"]


def test_resume_keeps_the_ranks_and_refuses_other_values(in_tmp_path, monkeypatch):
    derived = [text for text in SMALL if text != "ranks=1"]
    monkeypatch.setattr("aha.pipeline.machine.usable_cores", lambda: 1)
    path = run("base", overrides=derived)
    monkeypatch.setattr("aha.pipeline.machine.usable_cores", lambda: 2)
    assert run("base", overrides=derived, out=path, resume=True) == path
    with pytest.raises(UserError, match=r"base\.seed was 0, is 1"):
        run("base", overrides=[*derived, "seed=1"], out=path, resume=True)
    with pytest.raises(UserError, match="holds a run of the recipe base"):
        (in_tmp_path / "config.json").write_text("{}")
        run("zero", model=str(in_tmp_path), out=path, resume=True)


def test_out_is_taken_or_made(in_tmp_path):
    (in_tmp_path / "taken").mkdir()
    (in_tmp_path / "taken" / "thesis.txt").write_text("x")
    with pytest.raises(UserError, match="taken exists and is not a run"):
        run("base", overrides=SMALL, out="taken")
    with pytest.raises(UserError, match="too long"):
        run("base", overrides=SMALL, out="x" * 300)
    assert run("base", overrides=SMALL, out="a/b/c").is_dir()


def test_a_stage_alone_and_again_from_a_stage(in_tmp_path, cli):
    """The recipe base has one stage: --only runs it, --from forgets it, bytes stay the same."""
    status, _, err = cli("run", "base", *OPTIONS, "--only", "base", "--out", "run")
    assert status == 0 and "[1/1] base: done" in err
    before = metrics(in_tmp_path / "run")
    assert cli("run", "base", "--out", "run", "--only", "base")[0] == 0
    status, _, err = cli("run", "base", "--out", "run", "--from", "base")
    assert status == 0 and "forgotten: base" in err and "[1/1] base: done" in err
    assert metrics(in_tmp_path / "run") == before
    status, _, err = cli("run", "base", "--out", "run", "--only", "bass")
    assert status == 2 and "did you mean base?" in err
    status, _, err = cli("run", "base", "--from", "base")
    assert status == 2 and "name its directory with --out" in err
