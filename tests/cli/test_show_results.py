"""`aha show` of evaluations: files in, tables, JSON and pages out; mistakes are two lines."""

import json

import pytest

from aha.cli.main import invoke
from aha.evals.result import save_result
from tests.evals.fake_results import result


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_result(tmp_path / "a.json", result(["1111", "1100", "0000"], name="small-a"))
    save_result(tmp_path / "b.json", result(["1000", "1100", "0000"], name="small-b"))
    hot = result(["1000", "1100", "0000"], name="hot", settings={"temperature": 1.0})
    save_result(tmp_path / "hot.json", hot)
    return tmp_path


def shown(capsys, *arguments):
    assert invoke(["show", *arguments]) == 0
    return capsys.readouterr().out


def refused(capsys, *arguments):
    assert invoke(["show", *arguments]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: ") and "hint: " in said.err and "Traceback" not in said.err
    return said.err


def test_one_evaluation(folder, capsys):
    assert "50.0%" in shown(capsys, "a.json")
    assert json.loads(shown(capsys, "a.json", "--json"))["metrics"]["pass@1"]["value"] == 0.5


def test_the_seconds_beside_a_result_are_passed_over(folder, capsys):
    for name in ("a", "b"):
        (folder / f"{name}.timing.json").write_text('{"seconds": 1.0}')
    assert "+25.0" in shown(capsys, "a.json", "a.timing.json", "b.json", "b.timing.json")
    assert "2 results" not in shown(capsys, "--leaderboard", "a.json", "a.timing.json")
    refused(capsys, "a.timing.json")


def test_two_are_compared(folder, capsys):
    assert "+25.0" in shown(capsys, "a.json", "b.json")
    found = json.loads(shown(capsys, "a.json", "b.json", "--json"))
    assert (found["wins"], found["ties"]) == (1, 2)
    assert found["figures"]["pass@1"]["difference"] == pytest.approx(0.25)


def test_unlike_ones_are_refused_and_can_be_forced(folder, capsys):
    assert "temperature (0.6 against 1.0)" in refused(capsys, "a.json", "hot.json")
    assert "WARNING" in shown(capsys, "a.json", "hot.json", "--force")


def test_pages_are_written_where_they_are_named(folder, capsys):
    shown(capsys, "a.json", "--html")
    shown(capsys, "a.json", "b.json", "--html", "both.html")
    assert "small-a on gsm8k" in (folder / "a.html").read_text()
    assert "small-a against small-b" in (folder / "both.html").read_text()


def test_a_leaderboard_of_a_folder_goes_into_a_file(folder, capsys):
    said = shown(capsys, "--leaderboard", ".", "--out", "board/all.json", "--html", "board.html")
    assert "small-b" in said and "hot on gsm8k differs in temperature" in said
    written = json.loads((folder / "board" / "all.json").read_text())
    assert [row["rank"] for row in written["suites"]["gsm8k"]] == [1, 1, None]
    assert "Leaderboard" in (folder / "board.html").read_text()
    assert "small-a" in shown(capsys, "board/all.json")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.json"], "cannot be read"),
        (["a.json", "none.json"], "cannot be read"),
        (["a.json", "b.json", "hot.json"], "two evaluations"),
        (["--leaderboard"], "a leaderboard of what"),
        (["--leaderboard", "empty"], "no results"),
        (["a.json", "--out", "x.json"], "--out is where a leaderboard goes"),
        (["run-a", "run-b"], "takes one run"),
        (["a.json", "--html", "x.html", "y.html"], "one page"),
        (["other.json"], "no result of an evaluation"),
    ],
)
def test_mistakes(folder, capsys, arguments, said):
    (folder / "empty").mkdir()
    (folder / "other.json").write_text('{"kind": "else"}')
    assert said in refused(capsys, *arguments)
