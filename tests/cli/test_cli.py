"""The command line: exit statuses, hints, and that it answers at once."""

import json
import os
import subprocess
import sys
import time

import pytest

from aha.cli.main import invoke
from aha.errors import HealthError, UserError
from aha.pipeline.launch import RankError


@pytest.fixture
def run(capsys):
    """Run a command line in this process: (status, stdout, stderr)."""

    def run(*arguments):
        status = invoke(arguments)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def model(in_tmp_path):
    """The name of a folder that passes for a model."""
    (in_tmp_path / "model").mkdir()
    (in_tmp_path / "model" / "config.json").write_text("{}")
    return "model"


def test_help_answers_in_half_a_second():
    """The contract is 0.5 s for the installed script, best of five; 0.2 s was measured."""
    best = 9.0
    for _ in range(5):
        start = time.perf_counter()
        command = [sys.executable, "-m", "aha.cli.main", "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        best = min(best, time.perf_counter() - start)
    assert "run " in done.stdout and "doctor" in done.stdout
    assert best < 0.5


@pytest.mark.parametrize("command", ["run", "show", "tasks", "verify", "chat", "doctor"])
def test_every_command_has_a_help_text(run, command):
    status, out, _ = run(command, "--help")
    assert status == 0 and f"aha {command}" in out


def test_no_arguments_is_help(run):
    status, out, err = run()
    assert status == 0 and "Commands:" in out and not err


def test_version(run):
    status, out, _ = run("--version")
    assert status == 0 and out.startswith("aha ")


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["rnu"], "No such command 'rnu'", "did you mean run? see aha --help"),
        (["xyz"], "No such command 'xyz'", "see aha --help"),
        (["--verbos"], "No such option: --verbos", "see aha --help"),
        (["run"], "Missing argument", "see aha run --help"),
        (["run", "zero", "--modle", "x"], "--modle", "did you mean --model?"),
        (["run", "zero", "--preset"], "--preset", "see aha --help"),
        (["run", "zero", "twice"], "twice", "see aha run --help"),
        (["run", "zro"], "unknown recipe 'zro'", "did you mean zero?"),
        (
            ["run", "r2d2"],
            "unknown recipe 'r2d2'",
            "recipes: zero, r1, distill, ablation, sft, reward, base",
        ),
        (["run", "zero", "--preset", "tinny"], "no preset 'tinny'", "did you mean tiny?"),
        (["run", "zero", "--set", "promts_per_step=3"], "promts", "prompts_per_step?"),
        (["run", "zero", "--model", "nowhere"], "no model folder 'nowhere'", "config.json"),
        (["show", "nowhere"], "nowhere is not a run directory", "aha run zero"),
        (["show"], "there are no runs", "aha run zero"),
        (["tasks", "lst"], "No such command 'lst'", "did you mean list?"),
        (["tasks", "show", "arithmetc"], "arithmetc", "arithmetic"),
        (["tasks", "show", "arithmetic", "--count", "0"], "--count", "see aha tasks show"),
    ],
)
def test_user_errors_are_two_lines_and_status_2(run, in_tmp_path, arguments, message, hint):
    status, out, err = run(*arguments)
    lines = err.strip().splitlines()
    assert status == 2 and not out
    assert len(lines) == 2 and lines[0].startswith("error: ") and lines[1].startswith("hint: ")
    assert message in lines[0] and hint in lines[1]


@pytest.mark.parametrize(
    ("error", "status", "shown"),
    [
        (UserError("a", hint="b"), 2, "error: a\nhint: b\n"),
        (UserError("a"), 2, "error: a\n"),
        (HealthError("ill", hint="rest"), 3, "error: ill\nhint: rest\n"),
        (RankError("rank 1 failed: X\ntrace"), 1, "error: rank 1 failed: X\ntrace\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_statuses(run, monkeypatch, error, status, shown):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr("aha.recipes.run.run", fail)
    assert run("run", "zero") == (status, "", shown)


def test_our_own_bugs_keep_their_traceback(run, monkeypatch):
    monkeypatch.setattr("aha.recipes.run.run", lambda *a, **k: 1 / 0)
    status, _, err = run("run", "zero")
    assert status == 1 and "Traceback" in err and "ZeroDivisionError" in err


def test_a_dry_run_prints_a_preset_and_writes_nothing(run, model, in_tmp_path):
    before = sorted(in_tmp_path.rglob("*"))
    status, out, _ = run("run", "zero", "--model", model, "--set", "num_steps=7", "--dry-run")
    assert status == 0 and "num_steps = 7 " in out
    assert out.splitlines()[-1].endswith("7 steps.")
    assert sorted(in_tmp_path.rglob("*")) == before
    (in_tmp_path / "mine.toml").write_text(out)
    again = run("run", "zero", "--preset", "mine.toml", "--dry-run")
    assert again == (0, out, "")


def test_doctor(run):
    status, out, _ = run("doctor", "--json")
    facts = json.loads(out)
    assert status == 0 and facts["usable_cores"] >= 1 and facts["torch"].startswith("2.")
    assert run("doctor")[0] == 0


def test_tasks(run):
    status, out, _ = run("tasks", "list")
    assert status == 0 and "arithmetic" in out
    status, out, _ = run("tasks", "show", "arithmetic", "--count", "2")
    assert status == 0 and out.count("  Q: ") == out.count("  A: ") == 2


def test_a_faulty_task_is_reported(run, in_tmp_path):
    (in_tmp_path / "always.py").write_text(
        "problems = [{'question': f'{n} + 1 = ?', 'answer': str(n + 1)} for n in range(40)]\n"
        "def score(problem, response):\n"
        "    return True\n"
    )
    status, out, err = run("tasks", "validate", "always.py")
    assert status == 2 and "an empty response scores 1" in out and "faults" in err


def test_without_colour_and_terminal():
    """Piped, the help has no escape codes."""
    command = [sys.executable, "-m", "aha.cli.main", "run", "--help"]
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "\x1b" not in done.stdout and "--resume" in done.stdout
