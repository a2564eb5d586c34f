"""What the list of suites says about each: source, columns, protocol, grader."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aha.evals.suites.suite import Figures, Protocol
from aha.rewards.verdict import Verdict
from aha.tasks.task import Problem

if TYPE_CHECKING:
    from aha.data.judge import Judge
    from aha.evals.figures import WholeFigure

Row = Mapping[str, Any]
Adapt = Callable[[Row], Row | None]
"""From a published row to the columns that `aha.tasks.sources.fields` knows; None: left out."""
Grade = Callable[[Problem, str], Verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One suite before its data are read."""

    name: str
    description: str
    hub: str
    """`owner/name:config@split` on the hub; with several `configs`, `owner/name@split`; or ""."""
    configs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """Names that its file may have in a folder of data, without .jsonl, beside its own."""
    licence: str
    """Of the data, as far as it is known."""
    adapt: Adapt = dict
    grade: Grade | None = None
    """By rules; None: a judge is needed."""
    judged: "Callable[[Judge], Grade] | None" = None
    """By a model, where one is given."""
    needs_gold: bool = True
    """Rows without an answer are left out."""
    needs: tuple[str, ...] = ()
    """What the grader wants to find in `Problem.meta`; a row without it is no row of the suite."""
    without_gold: "Entry | None" = None
    """What to do instead where no row has an answer to compare with."""
    protocol: Protocol
    paper_samples: bool = False
    """The paper names this k (arXiv 2501.12948v2, D.1)."""
    metric: str = "pass@1"
    figures: Figures | None = None
    whole: "Mapping[str, WholeFigure]" = field(default_factory=dict)
    """See `Suite.whole`."""
    same_answer: Callable[[str, str], bool] = str.__eq__
    has_turns: bool = False
    """See `Suite.has_turns`."""
    most_rows: int | None = None
    """Of a source that is larger than one needs, the first so many."""

    @property
    def source(self) -> str:
        """Where its rows come from, in words."""
        return f"hub:{self.hub}" if self.hub else "--data FILE.jsonl"

    @property
    def hub_names(self) -> tuple[str, ...]:
        """The references to load from the hub, one a config."""
        if not self.configs:
            return (f"hub:{self.hub}",)
        path, at, split = self.hub.partition("@")
        return tuple(f"hub:{path}:{config}{at}{split}" for config in self.configs)

    @property
    def file_names(self) -> tuple[str, ...]:
        """What its file may be called, the likeliest first."""
        stems = (self.name, self.name.replace("-", "_"), *self.files)
        return tuple(dict.fromkeys(f"{s}{tail}.jsonl" for s in stems for tail in ("", "_test")))


def renamed(**columns: str) -> Adapt:
    """Other names for columns: `renamed(answer="golden")` where `golden` is there."""

    def adapt(row: Row) -> Row:
        found = {name: row[source] for name, source in columns.items() if source in row}
        rest = {key: value for key, value in row.items() if key not in columns.values()}
        return {**rest, **found}

    return adapt


def without_gold(**columns: str) -> Adapt:
    """`renamed`, for rows that have no right answer."""
    rename = renamed(**columns)
    return lambda row: {**(rename(row) or {}), "answer": None}
