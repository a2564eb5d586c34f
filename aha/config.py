"""Configuration: frozen, strict, typed; a mistake is one line with the nearest name or the range.

A config is built from layers of plain tables (a preset's TOML, then `--set key=value`), merged by
`merge` and checked by `build`. `None` means "derive" or "off"; in TOML and on the command line it
is written as the string "none", except for fields of free text, which are left out instead.
"""

import functools
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from aha.errors import UserError, nearest

Table = Mapping[str, Any]
ConfigT = TypeVar("ConfigT", bound="Config")


class Config(BaseModel):
    """Base of all configuration: unknown keys, wrong types, NaN and mutation are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=()
    )

    def table(self) -> dict[str, Any]:
        """The JSON form, `None` kept: what run.json and config.json hold and identities hash."""
        return self.model_dump(mode="json")

    def replace(self: ConfigT, **values: Any) -> ConfigT:
        """A checked copy with other values."""
        return build(type(self), {**self.table(), **values})


def build(kind: type[ConfigT], table: Table, *, where: str = "") -> ConfigT:
    """Check `table` against a config class. UserError names the key and what is allowed."""
    try:
        return kind.model_validate(_prepared(kind, table))
    except ValidationError as invalid:
        raise _user_error(kind, invalid, where) from None


def merge(*layers: Table) -> dict[str, Any]:
    """Later layers win; tables inside are merged, everything else is replaced."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = merged.get(key)
            if isinstance(value, Mapping) and isinstance(old, Mapping):
                merged[key] = merge(old, value)
            else:
                merged[key] = value
    return merged


def load_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file. UserError when it is missing, not text or not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as missing:
        reason = missing.strerror or "cannot be read"
        raise UserError(f"{path}: {reason}", hint="give the path of a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as broken:
        reason = str(broken) or "nested too deeply"
        raise UserError(f"{path} is not TOML: {reason}", hint="see https://toml.io") from None


def parse_overrides(
    kind: type[Config], overrides: Sequence[str], *, default_stage: str
) -> dict[str, Any]:
    """Turn `key=value` and `stage.key=value` texts into a table for `merge`.

    A bare key is a key of `kind` itself, else of the stage `default_stage`, as is a dotted one
    whose first part is a table of that stage (`preference.last_steps=20`).
    """
    table: dict[str, Any] = {}
    for text in overrides:
        name, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--set {text!r} has no value", hint="write --set key=value")
        places, field_kind, key = _locate(kind, name.strip(), default_stage)
        target = table
        for place in places:
            target = target.setdefault(place, {})
        target[key] = parse_value(value.strip(), is_text=_accepts_text(field_kind, key))
    return table


def parse_value(text: str, *, is_text: bool = False) -> Any:
    """A TOML literal, else the text itself; `is_text` keeps unquoted text as it was typed."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        return text
    value = parsed.get("value")
    if len(parsed) != 1 or (is_text and not isinstance(value, str | list)):
        return text
    return value


def stage_configs(kind: type[Config]) -> dict[str, type[Config]]:
    """The stages of a recipe, or the tables of a stage: field name to config class, in order."""
    fields = {name: field.annotation for name, field in kind.model_fields.items()}
    return {
        name: annotation
        for name, annotation in fields.items()
        if isinstance(annotation, type) and issubclass(annotation, Config)
    }


def allowed(kind: type[Config], key: str) -> str:
    """What a field accepts, in words: "an integer >= 1 and <= 64", "one of clip, cispo"."""
    is_text = _accepts_text(kind, key)
    variants = [v for v in _variants(kind, key) if not (is_text and v.get("type") == "null")]
    return ", or ".join(filter(None, map(_variant_words, variants)))


def _locate(
    kind: type[Config], name: str, default_stage: str
) -> tuple[list[str], type[Config], str]:
    """Where a dotted or bare key lives: (stage and tables, its config class, key)."""
    *path, key = name.split(".")
    stages = stage_configs(kind)
    if not path and key in kind.model_fields and key not in stages:
        return [], kind, key
    if path and path[0] in stages:
        places = path
    elif not path or path[0] in stage_configs(stages[default_stage]):
        places = [default_stage, *path]
    else:
        hint = _did_you_mean(path[0], stages, label="stages")
        raise UserError(f"unknown stage {path[0]!r} in {name!r}", hint=hint)
    if name in stages:
        raise UserError(f"{name} is a stage, not a key", hint=f"write {name}.KEY=VALUE")
    holder = _holder(kind, places, name)
    if key in stage_configs(holder):
        raise UserError(f"{name} is a table, not a key", hint=f"write {name}.KEY=VALUE")
    if key in holder.model_fields:
        return places, holder, key
    own = [] if path else [field for field in kind.model_fields if field not in stages]
    elsewhere = [f"{other}.{key}" for other, sub in stages.items() if key in sub.model_fields]
    known = [*own, *holder.model_fields]
    hint = f"did you mean {elsewhere[0]}?" if elsewhere else _did_you_mean(key, known)
    raise UserError(f"unknown key {name!r}", hint=hint)


def _holder(kind: type[Config], places: Sequence[str], name: str) -> type[Config]:
    """The config class at the end of a path of stages and tables."""
    for place in places:
        inner = stage_configs(kind)
        if place not in inner:
            hint = _did_you_mean(place, inner or kind.model_fields)
            raise UserError(f"unknown table {place!r} in {name!r}", hint=hint)
        kind = inner[place]
    return kind


def _accepts_text(kind: type[Config], key: str) -> bool:
    return any(
        variant.get("type") in ("string", "array") and "enum" not in variant
        for variant in _variants(kind, key)
    )


def _prepared(kind: type[Config], table: Table) -> dict[str, Any]:
    """Read "none" as None where a field may be None, in stages too."""
    stages = stage_configs(kind)
    prepared: dict[str, Any] = {}
    for key, value in table.items():
        if key in stages and isinstance(value, Mapping):
            prepared[key] = _prepared(stages[key], value)
        else:
            prepared[key] = None if value == "none" and can_say_none(kind, key) else value
    return prepared


def can_say_none(kind: type[Config], key: str) -> bool:
    """Whether the word "none" stands for None in a field."""
    types = [variant.get("type") for variant in _variants(kind, key)]
    return "null" in types and not _accepts_text(kind, key)


def _variants(kind: type[Config], key: str) -> list[dict[str, Any]]:
    """JSON schemas of what a field accepts; none for an unknown key."""
    schema = _properties(kind).get(key)
    return [] if schema is None else schema.get("anyOf", [schema])


@functools.cache
def _properties(kind: type[Config]) -> dict[str, Any]:
    properties: dict[str, Any] = kind.model_json_schema()["properties"]
    return properties


def _user_error(kind: type[Config], invalid: ValidationError, where: str) -> UserError:
    fault = invalid.errors(include_url=False)[0]
    *path, key = [str(part) for part in fault["loc"]] or ["config"]
    for index, part in enumerate(path):
        stages = stage_configs(kind)
        if part not in stages:  # inside a list: report the field that holds it
            path, key = path[:index], part
            break
        kind = stages[part]
    name = ".".join(filter(None, [where, *path, key]))
    if fault["type"] == "extra_forbidden":
        return UserError(f"unknown key {name!r}", hint=_did_you_mean(key, kind.model_fields))
    if key not in kind.model_fields:
        return UserError(f"{name}: {fault['msg']}", hint="see the key's description in --dry-run")
    field = kind.model_fields[key]
    about = (field.description or "").split("\n")[0]
    if fault["type"] == "missing":
        return UserError(f"{name} is missing", hint=f"give {allowed(kind, key)}: {about}")
    message = f"{name} = {_shown(fault['input'])} is not {allowed(kind, key)}"
    choices = re.findall(r"'([^']*)'", str(fault.get("ctx", {}).get("expected", "")))
    near = nearest(fault["input"], choices) if isinstance(fault["input"], str) else None
    return UserError(message, hint=f"did you mean {near}?" if near else f"{key}: {about}")


def _did_you_mean(word: str, known: Any, *, label: str = "keys") -> str:
    names = list(known)
    near = nearest(word, names)
    return f"did you mean {near}?" if near else f"{label}: {', '.join(names)}"


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


_TYPE_WORDS = {
    "integer": "an integer",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a name or a list of names",
    "object": "a table",
    "null": "none",
}


def _variant_words(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(str(value) for value in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if "$ref" in schema:
        return "a table"
    bounds = [
        f"{sign} {_number(schema[name])}" for name, sign in _BOUND_SIGNS.items() if name in schema
    ]
    return " ".join(
        filter(None, [_TYPE_WORDS.get(schema.get("type", ""), ""), " and ".join(bounds)])
    )


def _number(value: float) -> str:
    return f"{value:,}".replace(",", "_") if isinstance(value, int) else f"{value:g}"


_BOUND_SIGNS = {
    "exclusiveMinimum": ">",
    "minimum": ">=",
    "exclusiveMaximum": "<",
    "maximum": "<=",
    "minLength": "of length >=",
    "maxLength": "of length <=",
}
