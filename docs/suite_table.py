"""The table of docs/suites.md, from the list of suites."""

from aha.evals.suites.entry import Entry
from aha.evals.suites.registry import SUITES
from docs.measured import table

HEADER = ("suite", "problems", "source on the hub", "licence of data", "k", "figure", "graded by")


def suites() -> str:
    """A row a suite."""
    return table(HEADER, [_row(entry) for entry in SUITES.values() if entry.hub])


def _row(entry: Entry) -> list[str]:
    config = ", a config each" if entry.configs else ""
    k = f"**{entry.protocol.samples}**" if entry.paper_samples else str(entry.protocol.samples)
    return [
        f"`{entry.name}`",
        entry.description,
        f"`{entry.hub}`{config}",
        entry.licence,
        k,
        f"`{entry.metric}`",
        _grader(entry),
    ]


def _grader(entry: Entry) -> str:
    if entry.grade is None:
        return "a judge"
    return "rules, or a judge" if entry.judged else "rules"
