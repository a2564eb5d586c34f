"""The examples are good tasks, and the commands of their README are commands."""

import json
import re
import shlex
from pathlib import Path

import pytest

from aha.cli.main import main
from aha.tasks.registry import gold_response, load_task, validate_task
from aha.tasks.task import SPLITS
from tests.trainers.tiny import tiny_folder

EXAMPLES = Path(__file__).parents[2] / "examples"
COMMANDS = re.findall(r"^    (aha .*)$", (EXAMPLES / "README.md").read_text(), re.MULTILINE)


def problems_of(task):
    return [p for split in SPLITS for p in task.problems(split)]


@pytest.mark.parametrize("name", ["emoji.py", "units.jsonl"])
def test_an_example_proves_itself(name):
    task = load_task(str(EXAMPLES / name))
    assert validate_task(task) == []
    assert len(problems_of(task)) >= 60


def test_sums_of_the_emoji_example_are_right():
    for problem in problems_of(load_task(str(EXAMPLES / "emoji.py"))):
        a, b, c = map(
            int, re.fullmatch(r"What is (\d+) - (\d+) \+ (\d+)\?", problem.question).groups()
        )
        assert int(problem.gold) == a - b + c
        assert 0 <= a - b <= 99 and 0 <= a - b + c <= 99  # within the embedded world


def response(problem, thinking):
    return f"<think>{thinking}</think><answer> {problem.gold}</answer>"


@pytest.mark.parametrize(
    ("thinking", "share"),
    [
        (" \U0001f600 57 - 28 = 29. \u2795 29 + 13 = 42.", 1.0),
        (" \U0001f600 57 - 28 = 29. 29 + 13 = 42.", 0.5),
        ("57 - 28 = 29\n\U0001f469\u200d\U0001f52c 29 + 13 = 42\n\n\U0001f1fa\U0001f1f3", 2 / 3),
        ("首先 57 - 28 = 29。然后 \u2728 29 + 13 = 42。", 0.5),
        (" 57 - 28 = 29. 29 + 13 = 42. # * 1", 0.0),
        ("", 0.0),
    ],
)
def test_the_emoji_reward_is_the_share_of_steps_with_one(thinking, share):
    task = load_task(str(EXAMPLES / "emoji.py"))
    (reward,) = task.rewards
    problem = task.problems("train")[0]
    assert reward(problem, response(problem, thinking)) == pytest.approx(share)
    assert reward.weight == 0.5


def test_painting_does_not_pay():
    task = load_task(str(EXAMPLES / "emoji.py"))
    problem = task.problems("train")[0]
    wrong = f"<think> \U0001f600 </think><answer> {int(problem.gold) + 1}</answer>"
    for text in (wrong, "\U0001f600" * 50, gold_response(problem)):
        assert task.rewards[0](problem, text) == 0.0


def test_rows_of_the_jsonl_example_are_what_the_readme_shows():
    rows = [json.loads(line) for line in (EXAMPLES / "units.jsonl").read_text().splitlines()]
    shown = re.search(r'^    (\{"question".*\})$', (EXAMPLES / "README.md").read_text(), re.M)[1]
    assert json.loads(shown) in rows
    task = load_task(str(EXAMPLES / "units.jsonl"))
    problem = next(p for p in problems_of(task) if p.gold == "3500")
    for answer, right in (("3,500", True), ("3500.0", True), ("3500 m", False), ("35000", False)):
        text = f"<think></think><answer>{answer}</answer>"
        assert task.score(problem, text).is_correct == right


@pytest.mark.parametrize("command", [c for c in COMMANDS if "smollm2" not in c])
def test_a_command_of_the_readme_runs(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(EXAMPLES.parent)
    arguments = shlex.split(command)[1:]
    if arguments[0] == "run":
        model = tiny_folder(tmp_path / "model")
        arguments += ["--dry-run", "--model", str(model), "--out", str(tmp_path / "run")]
    monkeypatch.setattr("sys.argv", ["aha", *arguments])
    try:
        status = main()
    except SystemExit as leaving:
        status = leaving.code
    assert not status, capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_readme_shows_both_examples():
    for name in ("emoji.py", "units.jsonl"):
        assert f"aha run zero --task examples/{name}" in COMMANDS
        assert f"aha tasks validate examples/{name}" in COMMANDS
