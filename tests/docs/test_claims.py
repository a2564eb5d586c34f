"""What pages say in words about the code: layers, folders, limits, exit statuses, messages."""

import re

import pytest

from aha.errors import HealthError, UserError
from aha.model.hf_folder import load_model
from aha.pipeline.processes import exit_status
from aha.pipeline.sources import EDGE_BYTES, WHOLE_FILE_BYTES, embedded_model
from aha.recipes.presets import algorithms, load_config
from aha.recipes.recipe import RECIPES, load_recipe
from aha.rewards.user import BUILT_IN_NAMES
from aha.tasks.sources.fields import OWN_KEYS
from aha.tasks.sources.splits import KEPT_BACK
from aha.trainers.config import PretrainConfig
from tests.docs.markdown import ROOT, blocks
from tests.test_imports import LAYERS

PACKAGES = {file.parent.name for file in (ROOT / "aha").glob("*/__init__.py")}
MODULES = {"aha", "errors", "config"}


def page(name):
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_the_layers_are_those_of_the_test_of_imports():
    shown = next(b.text for b in blocks(ROOT / "docs" / "architecture.md") if "pipeline," in b.text)
    lines = [set(line.split(", ")) for line in shown.strip().split("\n")]
    assert lines == [layer & (PACKAGES | MODULES) for layer in LAYERS]


def test_every_folder_is_described():
    described = re.findall(r"^\| `aha/(\w+)` \|", page("architecture.md"), re.MULTILINE)
    assert sorted(described) == sorted(PACKAGES)


def test_numbers_in_words():
    assert (ROOT / "aha" / "engine" / "native.py").read_text().count("AHA_NATIVE") >= 1
    assert "AHA_NATIVE=0" in page("resume.md")
    assert (WHOLE_FILE_BYTES, EDGE_BYTES) == (64 * 2**20, 2**20)
    assert "above 64 MiB their first and last MiB" in page("architecture.md")
    assert KEPT_BACK == 20 and "one in twenty is held out" in page("own-task.md")


def test_the_embedded_model_is_the_one_described():
    if not (embedded_model() / "config.json").is_file():
        pytest.skip("this checkout has no embedded model")
    model = load_model(embedded_model()).model
    assert f"| parameters | {model.num_parameters:,} |" in page("embedded-world.md")
    assert PretrainConfig().seed == 0 and "default seed, 0" in page("embedded-world.md")


def test_keys_of_a_row():
    optional = re.findall(r"^\| `(\w+)` \|", page("own-task.md"), re.MULTILINE)
    assert {"question", "answer", *optional} == set(OWN_KEYS)
    assert all(f"`{name}`" in page("own-task.md") for name in BUILT_IN_NAMES)


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError(), 1), (UserError(""), 2), (HealthError(""), 3), (KeyboardInterrupt(), 130)],
)
def test_exit_statuses(error, status):
    assert exit_status(error) == status
    assert re.search(rf"^\| {status} \|", page("resume.md"), re.MULTILINE)


def test_the_error_shown_is_the_error_raised():
    with pytest.raises(UserError) as caught:
        load_config(load_recipe("zero"), model="m", overrides=["promts_per_step=3"])
    shown = f"    error: {caught.value.message}\n    hint: {caught.value.hint}\n"
    assert shown in page("configuration.md")


def test_every_algorithm_has_its_differences_and_every_recipe_its_section():
    for name in algorithms():
        assert f"- **`{name}`.**" in page("algorithms.md")
    for recipe in RECIPES:
        assert f"## `aha run {recipe}`" in page("configuration.md")


def test_keys_that_the_algorithms_page_names_exist():
    known = {key for values in algorithms().values() for key in values}
    for key in known:
        assert f"`{key}`" in page("algorithms.md"), key
