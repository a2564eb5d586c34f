"""How a task is named: an embedded name, a file, `hub:...` or `gym:...`, each with `?options`."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from aha.errors import UserError, nearest
from aha.pipeline.sources import is_file

HUB, GYM = "hub:", "gym:"
FIELD_OPTIONS = ("question", "answer", "options", "tests", "id", "language", "split")
"""Which column holds what, where its name does not say so. A dot goes into an object."""
ROW_OPTIONS = (*FIELD_OPTIONS, "verifier")
MEASURED_OPTIONS = ("pass_rates", "min_pass_rate", "max_pass_rate", "curriculum")
COMMON_OPTIONS = ("name", *MEASURED_OPTIONS)
OPTIONS_HINT = "options follow a question mark: rows.jsonl?question=FIELD&answer=FIELD"


@dataclass(frozen=True, slots=True)
class Reference:
    """A task as the user wrote it, taken apart."""

    text: str
    target: str
    """What is left without the options: a name, a path, `hub:...` or `gym:...`."""
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return Path(self.target)

    @property
    def is_remote(self) -> bool:
        return self.target.startswith((HUB, GYM))

    def subset(self, names: Iterable[str]) -> dict[str, str]:
        return {name: self.options[name] for name in names if name in self.options}

    def check_options(self, known: Iterable[str]) -> None:
        """Raises UserError for an option that is not one of `known`."""
        names = list(known)
        for option in self.options:
            if option not in names:
                near = nearest(option, names)
                hint = f"did you mean {near!r}?" if near else f"known: {', '.join(names)}"
                raise UserError(f"task {self.text!r}: unknown option {option!r}", hint=hint)

    def fraction(self, option: str, default: float) -> float:
        """An option between 0 and 1."""
        text = self.options.get(option)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0.0 <= value <= 1.0:
            raise UserError(
                f"task {self.text!r}: {option} = {text!r}", hint="a number from 0 to 1, as 0.2"
            )
        return value

    def count(self, option: str, *, most: int) -> int:
        """A whole option from 1 to `most`, or 0 where it is not given."""
        text = self.options.get(option, "0")
        if not (text.isascii() and text.isdecimal()) or int(text) > most:
            raise UserError(
                f"task {self.text!r}: {option} = {text!r}", hint=f"a whole number up to {most}"
            )
        return int(text)


def parse_reference(text: str) -> Reference:
    """Take `TARGET?option=value&option=value` apart. Raises UserError."""
    if is_file(text):  # a question mark may be part of a file's name
        return _opened(Reference(text, text))
    target, mark, query = text.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise UserError(f"task {text!r}: {error}", hint=OPTIONS_HINT) from error
    options = dict(pairs)
    if len(options) < len(pairs) or (mark and not pairs):
        fault = "an option is given twice" if pairs else "no option after the question mark"
        raise UserError(f"task {text!r}: {fault}", hint=OPTIONS_HINT)
    return _opened(Reference(text, target, options))


def task_files(text: str) -> list[Path]:
    """The files on this machine whose content decides what the task is."""
    reference = parse_reference(text)
    named = [Path(text), reference.path, Path(reference.options.get("pass_rates", ""))]
    if not is_file(text):
        named.append(Path(text.partition("?")[0]))
    return [path for path in dict.fromkeys(named) if is_file(path)]


def _opened(reference: Reference) -> Reference:
    """A .toml file stands for the source that it names, with its options."""
    if reference.is_remote or reference.path.suffix != ".toml" or not is_file(reference.path):
        return reference
    table = _read_toml(reference.path)
    source = str(table.pop("source"))
    inner = parse_reference(_beside(reference.path, source))
    own = {key: _as_text(value) for key, value in table.items()}
    if "pass_rates" in own:
        own["pass_rates"] = _beside(reference.path, own["pass_rates"])
    name = {"name": reference.path.stem}
    return Reference(
        reference.text, inner.target, {**name, **inner.options, **own, **reference.options}
    )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}", hint="TOML is UTF-8 text") from error
    if not isinstance(table.get("source"), str) or table["source"].endswith(".toml"):
        hint = 'source = "rows.jsonl", then one line an option: question = "FIELD"'
        raise UserError(f"{path} names no source of problems", hint=hint)
    return table


def _beside(toml: Path, source: str) -> str:
    """A path in a TOML file is relative to that file."""
    relative = not source.startswith((HUB, GYM)) and "." in source
    return str(toml.parent / source) if relative else source


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
