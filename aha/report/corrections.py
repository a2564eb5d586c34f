"""What looking back is worth, as the evaluation recorded it: in words, and as rates."""

from collections.abc import Iterator, Mapping
from typing import Any

from aha.evals.corrections import CorrectionKind, CorrectionRates, merge_rates
from aha.report.formats import format_measured
from aha.report.outcomes import by_task, headline_of, measured_in
from aha.report.reader import RunData, as_number

PHRASES: tuple[tuple[CorrectionKind, str], ...] = (
    ("fix", "fixes a real error"),
    ("false_alarm", "false alarm"),
    ("missed", "missed"),
)


def correction_lines(run: RunData) -> list[str]:
    """One or two lines for each task; tasks without anything to check have none."""
    headline = headline_of(run)
    tasks = by_task(headline)
    if len(tasks) < 2:
        return list(_lines(headline))
    return [f"{task}: {line}" for task, figures in tasks.items() for line in _lines(figures)]


def recorded_rates(run: RunData) -> dict[str, CorrectionRates]:
    """`before` and `after` -> rates over all held-out responses of all tasks; else empty."""
    headline = headline_of(run)
    tasks = list(by_task(headline).values()) or [headline]
    merged = {}
    for when in ("before", "after"):
        found = [rates for row in tasks if (rates := _rates(row, when)) is not None]
        if found:
            merged[when] = merge_rates(found)
    return merged


def _lines(figures: Mapping[str, Any]) -> Iterator[str]:
    rates = _rates(figures, "after")
    if rates is not None and any(rates.counts.values()):
        said = ", ".join(f"{name} {rates.per_response(kind):.2f}" for kind, name in PHRASES)
        yield f"self-corrections a response: {said}"
    free = measured_in(figures, "pass@1_after")
    forbidden = measured_in(figures, "pass@1_without_reflection")
    if free is not None and forbidden is not None:
        shown = (format_measured(measured, "fraction") for measured in (free, forbidden))
        yield f"reflection words forbidden: pass@1 {' -> '.join(shown)}"


def _rates(figures: Mapping[str, Any], when: str) -> CorrectionRates | None:
    recorded = figures.get(f"corrections_{when}")
    if not isinstance(recorded, Mapping):
        return None
    try:
        return CorrectionRates.of_summary({key: as_number(recorded[key]) for key in recorded})
    except KeyError:
        return None
