"""Curves of a run of many stages: stages of a kind one after the other on one axis."""

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from aha.report.figures import Band, Figure, FigureGroup, Series, Unit, points_of
from aha.report.models import MULTI_STAGE
from aha.report.outcomes import tasks_of
from aha.report.reader import Row, RunData, StageData
from aha.report.stages import Kind, kind_of

STAGE_COLORS = (0, 2, 1, 3, 4, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcrossSpec:
    """One figure: what is measured on problems never trained on, and what training logged."""

    id: str
    title: str
    unit: Unit
    measure: str = ""
    """Last part of `eval/TASK/MEASURE` of the stage's first task, or a whole metric name."""
    training: str = ""
    note: str = ""
    from_zero: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsSpec:
    """One figure with a line for each of several metrics, in the stages that log them."""

    id: str
    title: str
    parts: Mapping[str, str]
    """Metric, or a pattern with `*`, -> name of the line."""
    note: str = ""


RL = (
    AcrossSpec(id="accuracy", title="Accuracy", unit="fraction", measure="pass@1",
               training="rollout/accuracy",
               note="Dots: pass@1 on problems never trained on, \u00b11 standard error. "
                    "Thin: the training samples."),
    AcrossSpec(id="length", title="Response length", unit="tokens", measure="length_tokens",
               training="rollout/length_tokens", note="Mean tokens a response."),
    AcrossSpec(id="language", title="Language consistency", unit="fraction",
               measure="language_consistency", training="rollout/language_consistency",
               note="Share of the words of a thought that are in the question's language.",
               from_zero=False),
    AcrossSpec(id="reflection", title="Reflection words a response", unit="words",
               measure="reflection", training="rollout/reflection"),
    AcrossSpec(id="format", title="Well-formed responses", unit="fraction", measure="format",
               training="rollout/format"),
    AcrossSpec(id="entropy", title="Entropy", unit="number", training="rollout/entropy",
               note="Nats a token, at the sampling temperature."),
    AcrossSpec(id="kl", title="KL divergence", unit="number", training="kl",
               note="Nats a token, from the model that the stage started from."),
    PartsSpec(id="preference", title="Preference rewards and the held-out grader",
              parts={"reward/helpful": "helpful", "reward/harmless": "harmless",
                     "grader/*": "held-out", "heldout/*": "held-out",
                     "eval/*/quality": "held-out"},
              note="Mean over the samples that a reward model judged. A grader that the policy is "
                   "not trained on shows reward hacking: it falls while the reward rises."),
)  # fmt: skip
SFT = (
    AcrossSpec(id="sft-loss", title="Fine-tuning loss", unit="number", measure="eval/loss",
               training="loss/sft", note="Nats a trained token. Dots: conversations held back."),
)  # fmt: skip
PRETRAINING = (
    AcrossSpec(id="pretraining-loss", title="Pre-training loss", unit="number",
               measure="eval/loss", training="loss/next_token", note="Nats a token."),
)  # fmt: skip
REWARD = (
    AcrossSpec(id="reward-loss", title="Reward models, loss", unit="number",
               training="loss/preference"),
    AcrossSpec(id="reward-accuracy", title="Reward models, accuracy", unit="fraction",
               measure="eval/accuracy", training="accuracy", from_zero=False,
               note="Dots: rows held back, \u00b11 standard error. Pairs ranked right (helpful), "
                    "labels right (harmless)."),
)  # fmt: skip
SECTIONS: tuple[tuple[str, tuple[tuple[Kind, Sequence[AcrossSpec | PartsSpec]], ...]], ...] = (
    ("Reinforcement learning, stage after stage", (("rl", RL),)),
    ("Fine-tuning and reward models",
     (("sft", SFT), ("pretraining", PRETRAINING), ("reward", REWARD))),
)  # fmt: skip


def across_groups(run: RunData) -> list[FigureGroup]:
    """Figures over all stages of a kind; empty for recipes of one training stage."""
    if run.recipe not in MULTI_STAGE:
        return []
    groups = []
    for title, parts in SECTIONS:
        figures = []
        for kind, specs in parts:
            stages = [stage for stage in run.with_metrics() if kind_of(run, stage) == kind]
            figures += [f for spec in specs if (f := _draw(spec, stages)) is not None]
        if figures:
            groups.append(FigureGroup(title=title, figures=figures))
    return groups


def _draw(spec: AcrossSpec | PartsSpec, stages: Sequence[StageData]) -> Figure | None:
    if isinstance(spec, PartsSpec):
        return _draw_parts(spec, stages)
    drawn = [stage for stage in stages if _lines(spec, stage)]
    if not drawn:
        return None
    bands = bands_of(drawn)
    series = []
    for index, (stage, band) in enumerate(zip(drawn, bands, strict=True)):
        lines = _lines(spec, stage)
        for place, (style, points) in enumerate(lines):
            series.append(
                Series(
                    name=stage.name,
                    points=shifted(points, band.start),
                    style=style if len(lines) > 1 or style == "measured" else "plain",
                    color=STAGE_COLORS[index % len(STAGE_COLORS)],
                    quiet=place > 0,
                )
            )
    return Figure(id=f"across-{spec.id}", title=spec.title, unit=spec.unit, note=spec.note,
                  series=series, from_zero=spec.from_zero, bands=bands)  # fmt: skip


def bands_of(stages: Sequence[StageData]) -> list[Band]:
    """Stages laid end to end; one step lies between the end of one and the start of the next."""
    bands: list[Band] = []
    for stage in stages:
        start = bands[-1].end + 1 if bands else 0
        bands.append(Band(name=stage.name, start=start, end=start + (stage.last_step or 0)))
    return bands


def shifted(points: list[list[float]], start: int) -> list[list[float]]:
    """The points of a stage where its band lies."""
    return [[point[0] + start, *point[1:]] for point in points]


def _lines(
    spec: AcrossSpec, stage: StageData
) -> list[tuple[Literal["measured", "training"], list[list[float]]]]:
    """The lines of a stage: what was measured first, then what training logged."""
    training = points_of(stage.metrics, spec.training)
    key = spec.measure
    if key and "/" not in key:
        task = next((t for t in tasks_of(stage) if _has(stage.metrics, f"eval/{t}/{key}")), "")
        key = f"eval/{task}/{key}"
    measured = points_of(stage.metrics, key, thin=True) if key else []
    lines: list[tuple[Literal["measured", "training"], list[list[float]]]] = []
    if measured:
        lines.append(("measured", measured))
    if training:
        lines.append(("training", training))
    return lines


def _has(rows: Sequence[Row], key: str) -> bool:
    return any(key in row for row in rows)


def _draw_parts(spec: PartsSpec, stages: Sequence[StageData]) -> Figure | None:
    found = [(stage, _parts(spec, stage)) for stage in stages]
    drawn = [(stage, parts) for stage, parts in found if parts]
    bands = bands_of([stage for stage, _ in drawn])
    several = len(drawn) > 1
    names = list(dict.fromkeys(name for _, parts in drawn for name in parts.values()))
    series = [
        Series(
            name=f"{stage.name}, {name}" if several else name,
            points=shifted(since_nonzero(points_of(stage.metrics, key)), band.start),
            style="plain",
            color=names.index(name),
        )
        for (stage, parts), band in zip(drawn, bands, strict=True)
        for key, name in parts.items()
    ]
    if not series:
        return None
    return Figure(id=f"across-{spec.id}", title=spec.title, unit="number", note=spec.note,
                  series=series, bands=bands)  # fmt: skip


def since_nonzero(points: list[list[float]]) -> list[list[float]]:
    """Without the zeros at the beginning: before there were general prompts, nothing was judged."""
    first = next((index for index, point in enumerate(points) if point[1]), len(points))
    return points[first:] or points


def _parts(spec: PartsSpec, stage: StageData) -> dict[str, str]:
    """Logged metric -> name of its line."""
    found = {}
    for key in dict.fromkeys(key for row in stage.metrics for key in row):
        if key.endswith(("_stderr", "_n")):
            continue
        pattern = next((p for p in spec.parts if fnmatch.fnmatchcase(key, p)), None)
        if pattern is not None:
            last = key.rsplit("/", 1)[-1]
            found[key] = f"{spec.parts[pattern]} {last}" if "*" in pattern else spec.parts[pattern]
    return found


def pipeline_stages(run: RunData) -> list[StageData]:
    """Stages whose own figures are worth drawing: data stages log counts, which funnels show."""
    stages = run.with_metrics()
    if run.recipe not in MULTI_STAGE:
        return stages
    return [stage for stage in stages if kind_of(run, stage) != "data"]
