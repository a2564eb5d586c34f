"""The figures of the DeepSeek-R1 paper as data, for reading a run or a result beside them.

They are of other and larger models on other problems: something to recognise a course by, nothing
to be ranked against.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

LABEL = "the paper's figures, of other models"
NEAREST_FIRST = (
    *("distilled", "stages", "others", "zero", "distillation-or-rl"),
    *("small-zero", "test-time", "zero-v1"),
)
"""Tables that have figures of suites, in the order in which they are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperRow:
    """One benchmark with the value of each model."""

    benchmark: str
    suite: str | None
    """Our suite of it, where there may be one."""
    metric: str
    unit: str
    """percent, rating, tokens, count, ..."""
    values: tuple[float | None, ...]

    @property
    def label(self) -> str:
        return f"{self.benchmark}, {self.metric}"

    def shown(self, index: int) -> str:
        """The value of a model as the paper writes it."""
        value = self.values[index]
        if value is None:
            return ""
        return f"{value:.1f}" if self.unit == "percent" else f"{value:,g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTable:
    """A table of the paper: models as columns, benchmarks as rows."""

    name: str
    title: str
    arxiv: str
    version: int
    where: str
    models: tuple[str, ...]
    rows: tuple[PaperRow, ...]
    protocol: str = ""
    note: str = ""

    @property
    def citation(self) -> str:
        return f"arXiv {self.arxiv}v{self.version}, {self.where}"

    @property
    def short_citation(self) -> str:
        return f"v{self.version} {self.where}"

    def row(self, suite: str, metric: str = "pass@1") -> PaperRow | None:
        return next((r for r in self.rows if (r.suite, r.metric) == (suite, metric)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperFigure:
    """What one model has in one row."""

    model: str
    metric: str
    text: str
    source: str
    """Version and table of arXiv 2501.12948."""


@cache
def paper_tables() -> tuple[PaperTable, ...]:
    """All tables, in the order of the file."""
    text = files("aha").joinpath("assets", "paper.json").read_text(encoding="utf-8")
    return tuple(_table(table) for table in json.loads(text)["tables"])


def paper_table(name: str) -> PaperTable:
    """A table by its name. Raises KeyError."""
    return {table.name: table for table in paper_tables()}[name]


def figures_of_suite(suite: str) -> list[PaperFigure]:
    """What the paper says of a suite: each model's figure once, small models first."""
    seen: dict[tuple[str, str], PaperFigure] = {}
    for name in NEAREST_FIRST:
        for figure in _figures(paper_table(name), suite):
            seen.setdefault((figure.model, figure.metric), figure)
    return list(seen.values())


def _figures(table: PaperTable, suite: str) -> Iterator[PaperFigure]:
    for row in table.rows:
        if row.suite != suite or "," in row.benchmark:
            continue
        for index, model in enumerate(table.models):
            if text := row.shown(index):
                source = table.short_citation
                yield PaperFigure(model=model, metric=row.metric, text=text, source=source)


def _table(table: dict[str, Any]) -> PaperTable:
    source = table["source"]
    rows = tuple(PaperRow(**{**row, "values": tuple(row["values"])}) for row in table["rows"])
    return PaperTable(
        name=table["name"],
        title=table["title"],
        arxiv=source["arxiv"],
        version=source["version"],
        where=source["where"],
        models=tuple(table["models"]),
        rows=rows,
        protocol=table.get("protocol", ""),
        note=table.get("note", ""),
    )
