"""`aha scale` at the command line."""

import json

import pytest

from aha.cli.main import invoke


def test_strategies_are_listed(capsys):
    assert invoke(["scale", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("budget ") and any("MCTS by consensus" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scale", "nowhere"], "nowhere"),
        (["scale", "embedded", "--strategy", "majorty=3"], "did you mean 'majority'?"),
        (["scale", "embedded", "--strategy", "best:reward=3"], "--reward-model"),
        (["scale", "embedded", "--suite", "arithmetik"], "arithmetic"),
        (["scale", "nowhere.json"], "cannot be read"),
        (["scale", "embedded", "--temperature", "0"], "temperature"),
        (["scale", "--resume"], "no model"),
    ],
)
def test_mistakes_are_one_line_and_a_hint(capsys, in_tmp_path, arguments, message):
    assert invoke(arguments) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error


def test_a_measurement_is_drawn_and_drawn_again(capsys, in_tmp_path):
    arguments = ["scale", "embedded", "--problems", "3", "--samples", "1", "--ranks", "1"]
    arguments += ["--strategy", "majority=1,2", "--max-new-tokens", "16", "--out", "out.json"]
    assert invoke(arguments) == 0
    table = capsys.readouterr().out
    assert len(table.splitlines()) == 3 and "majority" in table
    found = json.loads((in_tmp_path / "out.json").read_text())
    assert [point["size"] for point in found["points"]] == [1, 2]
    svg = (in_tmp_path / "out.svg").read_text()
    (in_tmp_path / "out.svg").unlink()
    assert invoke(["scale", "out.json"]) == 0
    assert capsys.readouterr().out == table
    assert (in_tmp_path / "out.svg").read_text() == svg
