"""Random command lines and config files: always status 0, or 2 with a hint; never a traceback."""

import json
import random

import pytest

from aha.cli.main import invoke
from aha.config import stage_configs
from aha.recipes.presets import algorithms, preset_names
from aha.recipes.recipe import RECIPES, load_recipe

VALUES = [
    "0", "1", "-1", "2", "3.5", "1e9", "1e-9", "1e400", "nan", "-inf", "true", "false", "none",
    "None", "", " ", '"', '"x"', "'", "[]", "[1]", '["arithmetic"]', "[[]]", "{}", "{a=1}", "\n",
    "a=b", "=", "#", "\x00", "\u4f60\u597d", "\U0001f600", "\udcff", "9" * 400, "[" * 2000, "/",
    "arithmetic", "r1-zero", "chat", "token", "clip", "linear", "float32", "embedded", "model", ".",
    "../..", "x" * 5000, "1979-05-27", "0x10", "1_000", "+1", "\\", "%s", "{0}", "$(x)", "\x1b[31m",
]  # fmt: skip
OPTIONS = [
    "--preset",
    "--model",
    "--task",
    "--set",
    "--resume",
    "--dry-run",
    "--out",
    "--help",
    "-x",
]


def random_key(rng, recipe):
    kind = load_recipe(recipe).config
    stages = stage_configs(kind)
    stage = rng.choice(list(stages))
    key = rng.choice([*kind.model_fields, *stages[stage].model_fields])
    if rng.random() < 0.2:
        key = f"{rng.choice([stage, 'evaluate', '', 'x'])}.{key}"
    if rng.random() < 0.1:
        position = rng.randrange(len(key) + 1)
        key = (
            key[:position]
            + rng.choice(["", "x", ".", "=", " ", "\n", "\u00e9"])
            + key[position + 1 :]
        )
    return key


def random_value(rng):
    return rng.choice([*VALUES, *algorithms(), *preset_names("zero")])


def random_setting(rng, recipe):
    """KEY=VALUE; every other time the value is the key's default, and so a good one."""
    key = random_key(rng, recipe)
    configs = stage_configs(load_recipe(recipe).config).values()
    defaults = {name: value for kind in configs for name, value in kind().table().items()}
    if rng.random() < 0.5 and key in defaults:
        return key, json.dumps("none" if defaults[key] is None else defaults[key])
    return key, random_value(rng)


def random_toml(rng, recipe):
    lines = []
    for _ in range(rng.randrange(6)):
        if rng.random() < 0.3:
            lines.append(f"[{rng.choice([recipe, recipe, 'evaluate', 'x', '', 'zero.zero'])}]")
        else:
            lines.append(" = ".join(random_setting(rng, recipe)))
    return "\n".join(lines)


def random_arguments(rng, folder):
    """Mostly sensible command lines with a few things wrong."""
    recipe = rng.choice(list(RECIPES))
    arguments = ["run", recipe, "--dry-run"]
    if recipe == "zero" or rng.random() < 0.1:
        arguments += ["--model", "model"]
    if recipe in ("sft", "reward"):
        arguments += ["--set", "data=model"]
    for _ in range(rng.randrange(4)):
        arguments += ["--set", "=".join(random_setting(rng, recipe))]
    if rng.random() < 0.3:
        name = folder / "fuzz.toml"
        name.write_text(random_toml(rng, recipe), encoding="utf-8", errors="surrogateescape")
        arguments += ["--preset", str(name)]
    if rng.random() < 0.2:
        arguments += [rng.choice(OPTIONS), random_value(rng)]
    if rng.random() < 0.1:
        arguments[rng.randrange(len(arguments))] = random_value(rng)
    return arguments


def check(seed, folder, capsys):
    rng = random.Random(seed)
    arguments = random_arguments(rng, folder)
    if "--dry-run" not in arguments:
        return None
    status = invoke(arguments)
    captured = capsys.readouterr()
    told = f"seed {seed}: {arguments!r}\n{captured.err}"
    assert status in (0, 2), told
    assert "Traceback" not in captured.err, told
    if status == 2:
        lines = captured.err.rstrip("\n").split("\n")
        assert lines[0].startswith("error: ") and lines[-1].startswith("hint: "), told
        assert len(lines) == 2 and len(captured.err) < 4_000, told
    return status


@pytest.fixture
def folder(in_tmp_path):
    """A working directory with a folder that passes for a model."""
    (in_tmp_path / "model").mkdir()
    (in_tmp_path / "model" / "config.json").write_text("{}")
    return in_tmp_path


def fuzz(seeds, folder, capsys):
    statuses = [check(seed, folder, capsys) for seed in seeds]
    assert statuses.count(0) > len(statuses) / 8, "hardly any command line was good"
    assert statuses.count(2) > len(statuses) / 4, "hardly any command line was bad"


def test_150_random_command_lines(folder, capsys):
    fuzz(range(150), folder, capsys)


@pytest.mark.slow
def test_1000_random_command_lines(folder, capsys):
    fuzz(range(1000, 2000), folder, capsys)
