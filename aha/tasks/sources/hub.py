"""Data sets of the Hugging Face hub: `hub:owner/name[:config][@split]`, and folders of that form.

The only source that uses the network, and only when it is named. It needs the extra `hub`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aha.errors import UserError
from aha.tasks.sources.readers import SourceRow
from aha.tasks.sources.reference import HUB
from aha.tasks.sources.splits import SPLIT_NAMES

_FORM = re.compile(r"(?P<path>[^:@]+)(?::(?P<config>[^:@]+))?(?:@(?P<split>[^:@]+))?")


@dataclass(frozen=True, slots=True)
class HubName:
    """`hub:PATH[:CONFIG][@SPLIT]`, taken apart."""

    path: str
    config: str | None
    split: str | None

    @property
    def task_name(self) -> str:
        """The data set's own name, with the config when that was chosen."""
        name = self.path.rstrip("/").rpartition("/")[2]
        return f"{name}-{self.config}" if self.config else name


def parse_hub(target: str) -> HubName:
    """Raises UserError for what is not of that form."""
    match = _FORM.fullmatch(target.removeprefix(HUB))
    if match is None:
        raise UserError(
            f"{target!r} does not name a data set",
            hint="hub:owner/name:config@split, as on the hub",
        )
    return HubName(match["path"], match["config"], match["split"])


def read_hub(name: HubName) -> Iterator[SourceRow]:
    """All rows, with their splits unless one was asked for or there is only one."""
    loaded = _load(name)
    if not isinstance(loaded, Mapping):
        yield from _rows(name, name.split, loaded, given=None)
        return
    for split, rows in loaded.items():
        yield from _rows(name, split, rows, given=split if len(loaded) > 1 else None)


def _rows(name: HubName, split: str | None, rows: Any, *, given: str | None) -> Iterator[SourceRow]:
    if given is not None and given.lower() not in SPLIT_NAMES:
        raise UserError(
            f"{HUB}{name.path} has a split {given!r}, which is none of aha's",
            hint=f"choose one: {HUB}{name.path}@{given}",
        )
    for number, values in enumerate(rows, start=1):
        where = f"{HUB}{name.path}, {split + ' ' if split else ''}row {number}"
        if given and values.get("id") is not None:  # numbered anew in every split
            values = {**values, "id": f"{given}/{values['id']}"}
        yield SourceRow(where, values, given)


def _load(name: HubName) -> Any:
    try:
        import datasets
    except ImportError:
        raise UserError(
            f"{HUB}{name.path} needs the library datasets, which is not installed",
            hint='pip install "aha-rl[hub]"',
        ) from None
    try:
        return datasets.load_dataset(name.path, name=name.config, split=name.split)
    except Exception as error:  # whatever the library and the network raise
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise UserError(
            f"{HUB}{name.path} cannot be loaded: {reason}",
            hint="is the name right (owner/name:config@split), and is there a network?",
        ) from error
