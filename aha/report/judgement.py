"""How honest looking back is: how many wrong values it catches, how many right ones it doubts."""

from collections import Counter
from dataclasses import asdict
from typing import Any

from aha.evals.corrections import CorrectionKind, CorrectionRates, merge_rates
from aha.report.corrections import recorded_rates
from aha.report.figures import Figure, Series
from aha.report.reader import RunData
from aha.report.survey import Survey

MIN_JUDGED = 5
"""A fraction is drawn for a step only if it rests on this many checked values."""
RATE_LINES: tuple[tuple[CorrectionKind, str, int], ...] = (
    ("fix", "repairs", 2),
    ("false_alarm", "false alarms", 1),
    ("missed", "missed errors", 4),
    ("rejected_guess", "rejected guesses", 0),
    ("misjudged_guess", "misjudged guesses", 3),
)


def judgement_figures(survey: Survey) -> list[dict[str, Any]]:
    """Two figures over steps; only the stage with the most sampled steps is drawn."""
    by_step = _main_stage(survey)
    checked = [rates for rates in by_step.values() if any(rates.counts.values())]
    if len(by_step) < 2 or not checked:
        return []
    lines = [
        Series(
            name=name,
            points=[[float(step), rates.per_response(kind)] for step, rates in by_step.items()],
            style="plain",
            color=color,
        )
        for kind, name, color in RATE_LINES
        if any(rates.counts[kind] for rates in by_step.values())
    ]
    rates_figure = Figure(
        id="corrections", title="Looking back, times a response", unit="words", series=lines
    )
    figures = [rates_figure, *_fractions(by_step)] if lines else _fractions(by_step)
    return [asdict(figure) for figure in figures]


def judgement_rows(run: RunData, survey: Survey) -> list[list[str]]:
    """A table (header first) of the first and the last third of the sampled steps.

    Then the held-out responses: all of them where the evaluation recorded it, else the saved ones.
    """
    by_step = _main_stage(survey)
    if not any(any(rates.counts.values()) for rates in by_step.values()):
        return []
    steps = list(by_step)
    third = max(1, len(steps) // 3)
    ends = [steps[:third], steps[-third:]] if len(steps) > 1 else [steps]
    merged = [merge_rates([by_step[step] for step in part]) for part in ends]
    header = ["", *(f"steps {part[0]} to {part[-1]}" for part in ends)]
    for when, rates in (recorded_rates(run) or _evaluated(survey)).items():
        header.append(f"held-out, {when}")
        merged.append(rates)
    return [
        header,
        ["wrong values that were checked and called wrong", *map(_caught, merged)],
        ["right values that were checked and called wrong", *map(_alarms, merged)],
        ["real errors fixed, a response", *(_rate(rates, "fix") for rates in merged)],
        ["false alarms, a response", *(_rate(rates, "false_alarm") for rates in merged)],
        ["responses", *(f"{rates.num_responses:,}" for rates in merged)],
    ]


def _main_stage(survey: Survey) -> dict[int, CorrectionRates]:
    """Step -> rates of the stage with the most sampled steps."""
    stages = Counter(stage for stage, _, when in survey.rates if not when)
    if not stages:
        return {}
    main = stages.most_common(1)[0][0]
    return {step: rates for (stage, step, _), rates in survey.rates.items() if stage == main}


def _evaluated(survey: Survey) -> dict[str, CorrectionRates]:
    """Rates of the last evaluation before and after training."""
    return {when: rates for (_, _, when), rates in survey.rates.items() if when}


def _fractions(by_step: dict[int, CorrectionRates]) -> list[Figure]:
    caught, alarms = [], []
    for step, rates in by_step.items():
        wrong, right = num_checked(rates)
        if wrong >= MIN_JUDGED and rates.caught_fraction is not None:
            caught.append([float(step), rates.caught_fraction])
        if right >= MIN_JUDGED and rates.false_alarm_fraction is not None:
            alarms.append([float(step), rates.false_alarm_fraction])
    lines = [
        Series(name=name, points=points, style="plain", color=color)
        for name, points, color in (
            ("wrong values called wrong", caught, 2),
            ("right values called wrong", alarms, 1),
        )
        if points
    ]
    if not lines:
        return []
    note = f"Of the values that were checked; steps with fewer than {MIN_JUDGED} are left out."
    return [Figure(id="judgement", title="Is the judgement right?", unit="fraction", note=note,
                   series=lines)]  # fmt: skip


def num_checked(rates: CorrectionRates) -> tuple[int, int]:
    """(wrong, right) values that were looked at again."""
    counts = rates.counts
    wrong = counts["fix"] + counts["unrepaired"] + counts["missed"]
    return wrong, counts["false_alarm"] + counts["confirmed"]


def _caught(rates: CorrectionRates) -> str:
    return _share(rates.caught_fraction, num_checked(rates)[0])


def _alarms(rates: CorrectionRates) -> str:
    return _share(rates.false_alarm_fraction, num_checked(rates)[1])


def _rate(rates: CorrectionRates, kind: CorrectionKind) -> str:
    return f"{rates.per_response(kind):.3f}"


def _share(fraction: float | None, total: int) -> str:
    return "none checked" if fraction is None else f"{100 * fraction:.0f}% of {total:,}"
