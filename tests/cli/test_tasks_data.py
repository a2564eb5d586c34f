"""`aha tasks clean` and `aha tasks measure`, as they are typed."""

import json

import pytest
import typer

from aha.cli.tasks_data import register
from aha.errors import UserError
from aha.tasks.registry import load_task
from tests.trainers.tiny import tiny_folder


@pytest.fixture
def run(in_tmp_path, capsys):
    """Run a command line of `aha tasks`: (stdout, stderr)."""
    app = typer.Typer()
    register(app)

    def run(*arguments):
        app(list(map(str, arguments)), standalone_mode=False)
        captured = capsys.readouterr()
        return captured.out, captured.err

    return run


@pytest.fixture
def sums(in_tmp_path):
    rows = [{"question": f"a {n} {n % 7}", "answer": "abcdefgh"[n % 8]} for n in range(60)]
    path = in_tmp_path / "sums.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_clean(run, sums, in_tmp_path):
    (in_tmp_path / "exam.jsonl").write_text('{"question": "A 3 3!"}\n{"question": "A 4 4!"}\n')
    out, _ = run("clean", sums, "--against", "exam.jsonl", "--out", "good.jsonl")
    assert out.split("\n")[:4] == [
        "        60  drawn",
        "        60  not exact duplicate",
        "        60  not near duplicate",
        "        58  not in a suite",
    ]
    text = (in_tmp_path / "good.dropped.jsonl").read_text(encoding="utf-8")
    dropped = [json.loads(line) for line in text.splitlines()]
    assert sorted(row["question"] for row in dropped) == ["a 3 3", "a 4 4"]
    before, after = load_task(str(sums)), load_task("good.jsonl")
    for split in ("train", "validation", "heldout"):
        assert {p.question for p in after.problems(split)} <= {
            p.question for p in before.problems(split)
        }


def test_measure_and_again(run, sums, in_tmp_path):
    tiny_folder(in_tmp_path / "model")
    arguments = ("measure", sums, "--out", "rates.jsonl", "--model", "model", "--template", "none")
    arguments += ("--samples", 4, "--max-new-tokens", 3, "--problems", 10)
    out, err = run(*arguments)
    assert out.startswith("10 problems: ") and out.endswith("rates.jsonl\n")
    assert "10/10 problems, 0s left" in err
    again, err = run(*arguments)
    assert again == out and "10 of 10 problems are measured already" in err
    with pytest.raises(UserError, match="holds another measurement"):
        run(*arguments, "--seed", 1)
    with pytest.raises(UserError, match="cannot write"):
        run("measure", sums, "--out", "rates.csv")
