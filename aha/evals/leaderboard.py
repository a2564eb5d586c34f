"""A leaderboard: many results merged into one file, models by suites.

Only results that were taken in the same way are ranked against each other, and a rank says no more
than the samples do: 1 + the number of models that are better beyond chance.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aha.errors import UserError
from aha.evals.compare import conditions, problem_values, unlike_facts
from aha.evals.metrics import Estimate, paired_difference
from aha.evals.result import KIND as RESULT
from aha.evals.result import Result, load_result
from aha.pipeline.files import write_json

FORMAT_VERSION = 1
KIND = "leaderboard"
CHANCE = 0.05
"""A model counts as better where the p-value of the paired difference is below this."""
MAX_FILES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One result without its samples."""

    model: str
    reference: str
    sha256: str | None
    suite: str
    metric: str
    value: float
    stderr: float
    n: int
    conditions: Mapping[str, Any]
    """What has to be equal for a comparison."""
    seed: Any
    engine: Mapping[str, Any]
    values: Mapping[str, float] = field(repr=False)
    """The main figure on each problem, for paired comparisons."""

    @property
    def identity(self) -> str:
        """The weights, where they are known."""
        return self.sha256 or self.reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an entry stands in its suite."""

    entry: Entry
    rank: int | None
    """None where it may not be compared with the others."""
    differs: tuple[str, ...]
    """What keeps it from being compared with the first group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """Entries of any suites and models."""

    entries: tuple[Entry, ...]

    @property
    def suites(self) -> list[str]:
        return list(dict.fromkeys(entry.suite for entry in self.entries))

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(self.label(entry) for entry in self.entries))

    def label(self, entry: Entry) -> str:
        """The model's name, with where it is from when others have the same name."""
        alike = {one.identity for one in self.entries if one.model == entry.model}
        return entry.model if len(alike) == 1 else f"{entry.model} ({entry.reference})"

    def places(self, suite: str) -> list[Place]:
        """All entries of a suite: the ranked ones first, from the best on, then the others."""
        entries = [entry for entry in self.entries if entry.suite == suite]
        standard = _standard(entries)
        places = [_place(entry, standard) for entry in entries]
        return sorted(places, key=lambda p: (p.rank is None, p.rank, -p.entry.value))

    def table(self) -> dict[str, Any]:
        """As it is written: the entries, and for readers the ranks of every suite."""
        return {
            "format_version": FORMAT_VERSION,
            "kind": KIND,
            "entries": [asdict(entry) for entry in self.entries],
            "suites": {suite: [_row(p) for p in self.places(suite)] for suite in self.suites},
        }


def merge(paths: Sequence[Path]) -> Leaderboard:
    """The entries of result files, leaderboard files and folders of them. Raises UserError.

    The same result twice counts once.
    """
    entries: list[Entry] = []
    for path in paths:
        for entry in _read(path):
            if entry not in entries:
                entries.append(entry)
    if not entries:
        named = ", ".join(map(str, paths))
        raise UserError(f"there are no results in {named}", hint="make some with: aha eval")
    return Leaderboard(entries=tuple(entries))


def save_leaderboard(path: Path, board: Leaderboard) -> None:
    """Write a leaderboard in one step; `merge` reads it again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, board.table())


def entry_of(result: Result) -> Entry:
    """What a leaderboard keeps of a result."""
    main = result.main
    return Entry(
        model=str(result.model.get("name", "")),
        reference=str(result.model.get("reference", "")),
        sha256=result.model.get("sha256"),
        suite=result.suite,
        metric=result.metric,
        value=main.value,
        stderr=main.stderr,
        n=main.n,
        conditions=conditions(result),
        seed=result.settings.get("seed"),
        engine=dict(result.engine),
        values=problem_values(result, result.metric),
    )


def kind_of(path: Path) -> str:
    """The `kind` that a JSON file names itself; empty for anything else."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ""
    kind = table.get("kind") if isinstance(table, dict) else None
    return kind if isinstance(kind, str) else ""


def _read(path: Path) -> Iterable[Entry]:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*.json") if file.is_file())[:MAX_FILES]
        known = [file for file in files if kind_of(file) in (KIND, RESULT)]
        return [entry for file in known for entry in _read(file)]
    if kind_of(path) == KIND:
        return _entries(path)
    return [entry_of(load_result(path))]


def _entries(path: Path) -> list[Entry]:
    table = json.loads(path.read_text(encoding="utf-8"))
    if table.get("format_version") != FORMAT_VERSION:
        message = f"{path} is a leaderboard of another version: {table.get('format_version')}"
        raise UserError(message, hint="merge the results again")
    try:
        return [Entry(**row) for row in table["entries"]]
    except (KeyError, TypeError) as broken:
        message = f"{path} is damaged: {type(broken).__name__}: {broken}"
        raise UserError(message, hint="merge the results again") from None


def _standard(entries: Sequence[Entry]) -> list[Entry]:
    """The largest group of entries that may be compared with each other; the first of equals."""
    groups = [[e for e in entries if not unlike_facts(e.conditions, one.conditions)]
              for one in entries]  # fmt: skip
    return max(groups, key=len, default=[])


def _place(entry: Entry, standard: Sequence[Entry]) -> Place:
    if entry not in standard:
        unlike = unlike_facts(entry.conditions, standard[0].conditions)
        return Place(entry=entry, rank=None, differs=tuple(one.name for one in unlike))
    if len(standard) == 1:
        return Place(entry=entry, rank=None, differs=())
    better = sum(_is_better(other, entry) for other in standard if other is not entry)
    return Place(entry=entry, rank=1 + better, differs=())


def _is_better(one: Entry, other: Entry) -> bool:
    shared = [key for key in one.values if key in other.values]
    if not shared:
        return False
    found = paired_difference([one.values[k] for k in shared], [other.values[k] for k in shared])
    return found.value > 0 and found.p_value < CHANCE


def _row(place: Place) -> dict[str, Any]:
    entry = place.entry
    estimate = Estimate(entry.value, entry.stderr, entry.n)
    return {
        "rank": place.rank,
        "model": entry.model,
        "metric": entry.metric,
        **asdict(estimate),
        "differs": list(place.differs),
    }
