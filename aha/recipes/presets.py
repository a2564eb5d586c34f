"""From a preset, an algorithm and what the user set to one checked config.

Layers, later ones win: the preset, then --model, --task and --set. An `algorithm` is expanded in
the layer that names it, so a key set beside it or in a later layer wins over it, and a preset's
own value yields to an algorithm that the user chose.
"""

import functools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from aha.config import (
    Config,
    Table,
    build,
    can_say_none,
    load_toml,
    merge,
    parse_overrides,
    stage_configs,
)
from aha.errors import UserError, nearest
from aha.pipeline.sources import is_file
from aha.recipes.recipe import Recipe, RecipeConfig
from aha.trainers.config import GrpoConfig

ConfigT = TypeVar("ConfigT", bound=RecipeConfig)
PRESETS = Path(__file__).parent / "presets"


def load_config(
    recipe: Recipe[ConfigT],
    *,
    preset: str | None = None,
    model: str | None = None,
    task: Sequence[str] = (),
    overrides: Sequence[str] = (),
    base: Table | None = None,
) -> ConfigT:
    """The config of a run, checked but with its derived values still `None`.

    `base` stands in for the preset (the saved config of a run that is resumed).
    """
    kind, main = recipe.config, recipe.main_stage
    start = base if base is not None else read_preset(recipe, preset or recipe.default_preset)
    given: dict[str, Any] = {}
    if model is not None:
        given["model"] = _known(kind, "model", "--model", model)
    if task:
        given[main] = {"task": _known(stage_configs(kind)[main], "task", "--task", list(task))}
    override = parse_overrides(kind, overrides, default_stage=main)
    user = with_algorithm(kind, merge(given, override))
    return build(kind, merge(start, user))


def read_preset(recipe: Recipe[Any], name: str) -> dict[str, Any]:
    """The table of a preset that ships with the package, or of a TOML file, algorithms expanded."""
    if name.endswith(".toml"):
        path = Path(name)
    else:
        path = PRESETS / recipe.name / f"{name}.toml"
        if name not in preset_names(recipe.name):
            near = nearest(name, preset_names(recipe.name))
            known = f"presets: {', '.join(preset_names(recipe.name))}, or a TOML file"
            hint = f"did you mean {near}? {known}" if near else known
            raise UserError(f"the recipe {recipe.name} has no preset {name!r}", hint=hint)
    table = with_templates_beside(path.parent, load_toml(path))
    return with_algorithm(recipe.config, table)


def with_templates_beside(folder: Path, table: Table) -> dict[str, Any]:
    """`table` with the full path of every `template` that is a file beside the preset."""
    out = dict(table)
    for stage, values in table.items():
        name = values.get("template") if isinstance(values, dict) else None
        if isinstance(name, str) and is_file(folder / name):
            out[stage] = {**values, "template": os.path.normpath(folder / name)}
    return out


def preset_names(recipe: str) -> list[str]:
    """Presets that ship with the package, by name."""
    return sorted(path.stem for path in (PRESETS / recipe).glob("*.toml"))


@functools.cache
def algorithms() -> dict[str, dict[str, Any]]:
    """The values of every named algorithm."""
    return load_toml(PRESETS / "algorithms.toml")


def with_algorithm(kind: type[Config], table: Table) -> dict[str, Any]:
    """`table` with the values of its algorithm beneath what the RL stages set themselves."""
    name = table.get("algorithm")
    values = algorithms().get(name) if isinstance(name, str) else None
    if values is None:
        return dict(table)
    is_rl = {stage: issubclass(config, GrpoConfig) for stage, config in stage_configs(kind).items()}
    return merge({stage: values for stage in is_rl if is_rl[stage]}, table)


def _known(kind: type[Config], key: str, option: str, value: Any) -> Any:
    if key not in kind.model_fields:
        raise UserError(f"this recipe has no {option}", hint="leave it out")
    return value


def as_toml(config: Config) -> str:
    """A config as TOML that `read_preset` takes back, every key with its description."""
    return "\n".join(_toml_blocks(config, "")).strip()


def _toml_blocks(config: Config, name: str) -> list[str]:
    """The keys of a table, then the tables inside it under dotted names."""
    kind, inner = type(config), stage_configs(type(config))
    own = {key: value for key, value in config.table().items() if key not in inner}
    blocks = [f"\n[{name}]"] if name else []
    blocks += [lines] if (lines := _toml_lines(kind, own)) else []
    for key in inner:
        dotted = f"{name}.{key}" if name else key
        blocks += _toml_blocks(getattr(config, key), dotted)
    return blocks


def _toml_lines(kind: type[Config], table: Table) -> str:
    assigned = {
        key: f"{key} = {_toml_value(value)}"
        for key, value in table.items()
        if value is not None or can_say_none(kind, key)
    }
    width = max((len(line) for line in assigned.values()), default=0)
    fields = kind.model_fields
    return "\n".join(f"{a:<{width}}  # {fields[key].description}" for key, a in assigned.items())


def _toml_value(value: Any) -> str:
    """JSON writes texts, lists, numbers and booleans as TOML does; only `None` needs a word."""
    text = json.dumps("none" if value is None else value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")
