"""Command lines in the README and the pages are command lines."""

import re

import pytest
from typer.main import get_command

from aha.cli.main import app, invoke
from aha.pipeline.sources import Source
from tests.docs.markdown import IDS, PAGES, ROOT, blocks, commands, prose

COMMANDS = [(IDS[i], line) for i, page in enumerate(PAGES) for line in commands(page)]
RUNS = [line for _, line in COMMANDS if line[0] == "run"]


def parsed_only():
    """The command line with nothing behind it: it takes or refuses arguments."""
    top = get_command(app)
    inner = [sub for c in top.commands.values() for sub in getattr(c, "commands", {}).values()]
    for command in (*top.commands.values(), *inner):
        command.callback = lambda **options: None
    return top


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A directory with the files that the pages speak of, and any model that they name."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    own_task = blocks(ROOT / "docs" / "own-task.md")
    (tmp_path / "my_task.py").write_text(next(b.text for b in own_task if b.kind == "python"))
    toml = blocks(ROOT / "docs" / "configuration.md")
    (tmp_path / "mine.toml").write_text(next(b.text for b in toml if b.kind == "toml"))
    (tmp_path / "model.txt").write_text("stands for any model")
    source = Source("model", tmp_path / "model.txt")
    monkeypatch.setattr("aha.recipes.zero.model_source", lambda name: source)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=lambda x: x if isinstance(x, str) else "")
def test_a_command_line_parses(page, line):
    parsed_only().main(line, prog_name="aha", standalone_mode=False)


@pytest.mark.parametrize("line", RUNS, ids=" ".join)
def test_a_run_resolves(line, desk, capsys):
    status = invoke([*line, "--dry-run"])
    assert status == 0, capsys.readouterr().err
    assert sorted(p.name for p in desk.iterdir()) == [
        "examples", "mine.toml", "model.txt", "my_task.py"
    ]  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_named_in_the_text_exist(page):
    top = get_command(app)
    for words in re.findall(r"`aha ([a-z -]+)", prose(page)):
        command, first, *rest = top, *words.split()
        command = command.commands[first] if not first.startswith("-") else command
        for word in rest:
            inner = getattr(command, "commands", None)
            command = inner[word] if inner and not word.startswith("-") else command


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_make_targets_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"`make ([a-z-]+)`", prose(page))
    named += [line[0] for line in commands(page, "make")]
    assert set(named) <= targets


def test_options_named_in_the_text_exist():
    top = get_command(app)
    inner = [sub for c in top.commands.values() for sub in getattr(c, "commands", {}).values()]
    known = {
        name
        for command in (top, *top.commands.values(), *inner)
        for param in command.params
        for name in (*param.opts, *param.secondary_opts)
    }
    for page in PAGES:
        for option in re.findall(r"`(--[a-z-]+)[ =`]", prose(page)):
            assert option in {*known, "--help"}, f"{page.name}: {option}"


def test_there_is_something_to_test():
    assert len(COMMANDS) > 20 and len(RUNS) > 10
