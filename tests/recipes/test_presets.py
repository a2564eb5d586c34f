"""Presets and algorithms: all load, layers override as documented, and values are the papers'."""

import json

import pytest

from aha.algorithms.presets import SETTINGS
from aha.config import build, load_toml, stage_configs
from aha.errors import UserError
from aha.recipes.presets import PRESETS, algorithms, as_toml, load_config, preset_names, read_preset
from aha.recipes.recipe import RECIPES, load_recipe
from aha.trainers.config import GrpoConfig

ZERO = load_recipe("zero")


def config(*overrides, preset=None, **options):
    return load_config(ZERO, preset=preset, model="m", overrides=overrides, **options)


@pytest.mark.parametrize(
    ("recipe", "preset"), [(recipe, p) for recipe in RECIPES for p in preset_names(recipe)]
)
def test_every_preset_loads_resolves_and_reads_back(tmp_path, recipe, preset):
    kind = load_recipe(recipe)
    model = "m" if "model" in kind.config.model_fields else None
    resolved = kind.resolve(load_config(kind, preset=preset, model=model))
    assert kind.sentence(resolved).endswith(".")
    assert resolved.ranks >= 1
    (tmp_path / "again.toml").write_text(as_toml(resolved), encoding="utf-8")
    assert load_config(kind, preset=str(tmp_path / "again.toml")) == resolved


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_every_key_is_documented_bounded_and_few(recipe):
    """A stage has fewer than 40 keys; every number is bounded on both sides."""
    for kind in [load_recipe(recipe).config, *stage_configs(load_recipe(recipe).config).values()]:
        assert len(kind.model_fields) < 40
        for name, schema in kind.model_json_schema()["properties"].items():
            assert kind.model_fields[name].description, name
            for variant in schema.get("anyOf", [schema]):
                if variant.get("type") in ("integer", "number"):
                    assert {"minimum", "exclusiveMinimum"} & variant.keys(), name
                    assert {"maximum", "exclusiveMaximum"} & variant.keys(), name


def test_no_shipped_preset_sets_an_unknown_algorithm_or_stage():
    for recipe in RECIPES:
        for name in preset_names(recipe):
            table = load_toml(PRESETS / recipe / f"{name}.toml")
            assert set(table) <= set(load_recipe(recipe).config.model_fields)


def test_algorithms_set_the_same_keys_and_only_keys_that_exist():
    keys = {tuple(values) for values in algorithms().values()}
    assert len(keys) == 1
    assert set(keys.pop()) <= set(GrpoConfig.model_fields)
    for name in algorithms():
        assert config(f"algorithm={name}").algorithm == name


@pytest.mark.parametrize("name", list(SETTINGS))
def test_algorithms_agree_with_the_equations_module(name):
    rl = config(f"algorithm={name}").zero
    setting = SETTINGS[name]
    loss = {k: getattr(rl, k) for k in setting["loss"] if k != "aggregation"}
    assert {**loss, "aggregation": rl.loss_aggregation} == setting["loss"]
    assert rl.advantage_scale == setting["scale"]
    assert rl.dynamic_sampling == setting["drop_equal_groups"]
    assert (rl.overlong == "soft") == setting["soft_overlong"]


def test_the_default_values_are_those_of_the_default_algorithm():
    rl = GrpoConfig()
    for key, value in algorithms()["modern"].items():
        assert getattr(rl, key) == build(GrpoConfig, {key: value}).table()[key], key


def test_the_paper_preset_is_the_papers():
    """arXiv 2501.12948v2 section 2.1: one rollout is 8,192 outputs of 512 questions, 16 updates."""
    rl = config(preset="paper").zero
    assert rl.responses_per_step == 8_192
    assert rl.responses_per_step / rl.minibatches == 32 * 16
    assert rl.num_steps * rl.minibatches == 10_400
    assert rl.reference_refresh_every * rl.minibatches == 400
    assert (rl.learning_rate, rl.kl_coef, rl.clip_high, rl.temperature) == (3e-6, 0.001, 10, 1)
    assert (rl.max_new_tokens, rl.kl_estimator) == (32_768, "k3")
    assert rl.accuracy_weight == rl.format_weight and rl.language_weight == 0


def write_preset(tmp_path, text):
    (tmp_path / "mine.toml").write_text(text)
    return str(tmp_path / "mine.toml")


def test_layers_override_in_order(tmp_path):
    preset = write_preset(tmp_path, 'algorithm = "r1"\n[zero]\nclip_low = 0.3\nnum_steps = 7')
    assert (config(preset=preset).zero.clip_low, config(preset=preset).zero.clip_high) == (0.3, 10)
    chosen = config("algorithm=gspo", preset=preset).zero
    assert (chosen.clip_low, chosen.clip_high, chosen.num_steps) == (3e-4, 4e-4, 7)
    both = config("algorithm=gspo", "clip_low=0.1", preset=preset).zero
    assert (both.clip_low, both.ratio_level) == (0.1, "sequence")


def test_options_are_layers_too():
    got = config("task=countdown", task=["logic", "arithmetic"])
    assert got.zero.task == ("countdown",)
    assert config(task=["logic", "arithmetic"]).zero.task == ("logic", "arithmetic")


def test_the_evaluation_inherits_what_it_does_not_set():
    resolved = ZERO.resolve(config("max_new_tokens=99", "evaluate.template=none", task=["logic"]))
    evaluation = resolved.evaluate
    assert (evaluation.task, evaluation.max_new_tokens) == (("logic",), 99)
    assert evaluation.template == "none"
    assert ZERO.resolve(resolved) == resolved


def test_ranks_are_derived_from_the_machine_and_never_exceed_the_prompts(monkeypatch):
    monkeypatch.setattr("aha.pipeline.machine.usable_cores", lambda: 8)
    assert ZERO.resolve(config()).ranks == 8
    assert ZERO.resolve(config("prompts_per_step=3")).ranks == 3
    assert ZERO.resolve(config("ranks=2")).ranks == 2
    monkeypatch.setattr("aha.pipeline.machine.usable_cores", lambda: 200)
    assert ZERO.resolve(config("prompts_per_step=99")).ranks == 16


def test_the_sentence_says_what_a_step_is():
    resolved = config("prompts_per_step=32", "max_new_tokens=100", "ranks=2", "minibatches=4")
    assert ZERO.sentence(resolved) == (
        "32 prompts x 16 samples = 512 responses a step on 2 ranks, about 256 responses each; "
        "up to 51,200 new tokens a step, 4 updates a step, 30 steps."
    ).replace("30 steps", f"{resolved.zero.num_steps} steps")


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"preset": "tinny"}, "has no preset 'tinny'", "did you mean tiny?"),
        ({"preset": "x"}, "has no preset 'x'", "presets: paper, small, smollm2, tiny"),
        ({"preset": "none.toml"}, "none.toml: No such file", "path of a TOML file"),
        ({"overrides": ["minibatches=999"]}, "minibatches = 999 is more than the 256", "lower"),
        ({"overrides": ["accuracy_weight=0", "format_weight=0"]}, "all reward weights", "accuracy"),
        (
            {"overrides": ["reference_refresh_every=5", "kl_coef=none"]},
            "there is no reference",
            "kl_coef=0.001",
        ),
        ({"overrides": ["evaluate.temperature=0"]}, "the same response every time", "samples=1"),
    ],
)
def test_mistakes(in_tmp_path, options, message, hint):
    with pytest.raises(UserError) as caught:
        load_config(ZERO, model="m", **options)
    assert message in caught.value.message and hint in caught.value.hint


def test_a_preset_without_a_model_asks_for_one():
    with pytest.raises(UserError, match="model is missing") as caught:
        load_config(ZERO, preset="small")
    assert "base model" in caught.value.hint


def test_the_recipe_without_a_model_refuses_the_option():
    with pytest.raises(UserError, match="has no --model"):
        load_config(load_recipe("base"), model="m")


def test_odd_characters_survive_toml(tmp_path):
    name = 'a"b\\c\u4f60\U0001f600\x7f\t'
    preset = write_preset(tmp_path, "")
    resolved = load_config(ZERO, preset=preset, model=name)
    preset = tmp_path / "again.toml"
    preset.write_text(as_toml(resolved), encoding="utf-8")
    assert load_config(ZERO, preset=str(preset)).model == name
    assert json.loads(json.dumps(read_preset(ZERO, str(preset))))["model"] == name
