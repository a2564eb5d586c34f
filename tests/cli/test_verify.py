"""`aha verify`: one line a row, in order, nothing lost; and an old run graded again."""

import json

import pytest

from aha.cli.main import invoke
from aha.evals.regrade import is_sample_file, regrade, sample_files
from aha.pipeline.testing import stage_context
from aha.trainers.grpo import train
from tests.trainers.tiny import TASK_FILE, tiny_config, tiny_folder


@pytest.fixture
def cli(capsys):
    def cli(*arguments):
        status = invoke(["verify", *map(str, arguments)])
        captured = capsys.readouterr()
        return status, [json.loads(line) for line in captured.out.splitlines()], captured.err

    return cli


def write(path, rows):
    texts = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_bytes("\n".join(texts).encode("utf-8", "surrogateescape"))
    return path


def test_every_row_gets_its_line_in_order(cli, tmp_path):
    rows = [{"id": f"r{n}", "gold": str(n % 7), "prediction": f"It is {n % 5}."} for n in range(60)]
    status, out, err = cli(write(tmp_path / "rows.jsonl", rows), "--workers", 2)
    assert status == 0
    assert [row["id"] for row in out] == [f"r{n}" for n in range(60)]
    assert [row["verdict"] for row in out] == [
        "correct" if n % 7 == n % 5 else "wrong" for n in range(60)
    ]
    assert set(out[0]) == {"id", "verdict", "reason", "extracted"}
    assert out[1]["extracted"] == "1"
    right = sum(n % 7 == n % 5 for n in range(60))
    assert f"wrong {60 - right}, correct {right}" in err


def test_rows_that_are_no_rows_are_told_and_none_is_lost(cli, tmp_path):
    rows = [
        {"gold": "5", "prediction": "5"},
        "{oops",
        "",
        "[1, 2]",
        {"id": "no-gold", "prediction": "5"},
        '{"id": "half", "gold": "5", "prediction": "\\ud83d 5"}',
        "\udcff",
        '{"id": NaN, "gold": "5", "prediction": "5"}',
        {"id": None, "gold": "5", "prediction": "6"},
    ]
    status, out, err = cli(write(tmp_path / "bad.jsonl", rows))
    assert status == 2
    assert [row["verdict"] for row in out[:4]] == ["correct", "error", "error", "error"]
    assert [row["id"] for row in out[:5]] == [1, 2, 4, "no-gold", "half"]
    assert out[1]["reason"].startswith("line 2: ")
    assert out[2]["reason"] == "line 4: not an object"
    assert out[3]["reason"] == "line 5: no gold answer"
    assert [row["reason"][:8] for row in out[5:7]] == ["line 7: ", "line 8: "]
    assert len(out) == 8
    assert "5 rows are not to be graded" in err
    assert "line 2: " in err and "hint: every row is like" in err


def test_a_hostile_reply_is_bounded_and_the_next_row_is_right(cli, tmp_path):
    rows = [
        {"gold": "\\frac{1}{2}", "prediction": "\\boxed{" + "\\frac{1}{" * 3000 + "2" + "}" * 3001},
        {"gold": "5", "prediction": "9" * 10_000_000},
        {"gold": "x+1", "prediction": "99**98**97"},
        {"gold": "\\frac{1}{2}", "prediction": "$\\frac{2}{4}$"},
    ]
    status, out, _ = cli(write(tmp_path / "hostile.jsonl", rows))
    assert status == 0
    assert [row["verdict"] == "correct" for row in out] == [False, False, False, True]
    assert all(len(row["extracted"] or "") < 20_000 for row in out)


def test_formats_are_graded_without_a_gold_answer(cli, tmp_path):
    rows = [
        {"id": 1, "kind": "think_answer", "completion": "<think>a</think><answer>b</answer>"},
        {"id": 2, "kind": "think", "completion": "no thought"},
    ]
    _, out, _ = cli(write(tmp_path / "formats.jsonl", rows))
    assert [(row["verdict"], row["reason"]) for row in out] == [
        ("correct", "well formed"),
        ("wrong", "no think block"),
    ]


def test_programs_need_a_sandbox(cli, tmp_path, monkeypatch):
    monkeypatch.setattr("aha.rewards.sandbox.is_available", lambda: "no namespaces")
    monkeypatch.setattr("aha.rewards.sandbox.is_unsafe_allowed", lambda: False)
    rows = [{"response": "```python\nx = 1\n```", "tests": ["assert x == 1"]}]
    status, out, err = cli(write(tmp_path / "code.jsonl", rows))
    assert (status, out) == (2, [])
    assert "programs cannot be isolated here: no namespaces" in err
    assert "--unsafe-code" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.jsonl"], "no file or run 'nowhere.jsonl'"),
        ([], "Missing argument"),
        ([".", "--workers", "0"], "--workers"),
    ],
)
def test_user_errors(cli, in_tmp_path, arguments, message):
    status, out, err = cli(*arguments)
    assert (status, out) == (2, [])
    assert message in err


@pytest.fixture
def old_run(tmp_path):
    """A run whose task has changed its mind since."""
    path = tmp_path / "letters.py"
    path.write_text(TASK_FILE)
    config = tiny_config(path, num_steps=2, sample_every=1, eval_every=None)
    folder = tmp_path / "run" / "stages" / "01-zero-0"
    ctx = stage_context(folder, config, {"model": tiny_folder(tmp_path / "model")})
    train(ctx)
    (folder / "config.json").write_text(json.dumps(config.table()))
    path.write_text(
        TASK_FILE.replace('in "abcd"', 'in "ab"').replace("none of the first four", "x")
    )
    return tmp_path / "run"


def test_an_old_run_is_graded_again_and_what_changed_is_printed(cli, old_run):
    status, out, err = cli(old_run)
    files = sample_files(old_run)
    assert status == 0 and len(files) == 2
    samples = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    changed = [row for row in samples if row["text"].split()[:1] in (["c"], ["d"])]
    assert changed
    assert [(row["id"], row["step"], row["sample"]) for row in out] == [
        (row["problem_id"], row["step"], row["sample"]) for row in changed
    ]
    assert {(row["before"], row["verdict"]) for row in out} == {("correct", "wrong")}
    assert f"{len(changed)} of {len(samples)} verdicts changed" in err
    assert f"{len(changed):>6}  correct -> wrong" in err


def test_one_sample_file_and_a_task_that_is_as_it_was(cli, old_run, tmp_path):
    (tmp_path / "letters.py").write_text(TASK_FILE)
    file = sample_files(old_run)[0]
    assert is_sample_file(file)
    status, out, err = cli(file)
    assert (status, out) == (0, [])
    assert "no verdict has changed" in err


def test_a_problem_that_is_gone_is_judged_as_the_sample_remembers_it(old_run, tmp_path):
    (tmp_path / "letters.py").write_text(TASK_FILE.replace("letters/{i}", "other/{i}"))
    graded = list(regrade(sample_files(old_run)))
    assert len(graded) == 32
    assert not any(sample.has_changed for sample in graded)


def test_a_line_that_is_no_sample_is_named(cli, old_run):
    file = sample_files(old_run)[0]
    file.write_text(file.read_text() + '{"step": 1}\n')
    status, _, err = cli(file)
    assert status == 2
    assert "line 17: not a sample of a run" in err
