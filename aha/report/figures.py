"""Which metrics are drawn in which figure, as plain data that the page's script draws.

The first figures are those of DeepSeek-R1: accuracy and length over steps (arXiv 2501.12948,
Fig. 1), reflection words (v2, C.2) and language consistency (v2, Fig. 7).
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from aha.report.outcomes import Measured, Outcome, tasks_of
from aha.report.reader import Row, StageData

Unit = Literal["fraction", "tokens", "words", "number", "seconds"]
MAX_POINTS = 400
"""A longer curve is drawn as the means of this many stretches."""
MAX_LINES = 8
MUTED = 5
"""Colour of the training samples where the other colours stand for tasks."""
MAX_GENERIC_FIGURES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a figure."""

    name: str
    points: list[list[float]]
    """[step, value] or [step, value, standard error]."""
    style: Literal["measured", "training", "plain"]
    """Held-out measurements have dots and a band; training batches are a thin line."""
    color: int
    quiet: bool = False
    """Drawn, but not listed in the legend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A stretch of the step axis that belongs to one stage: its step 0 is at `start`."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A dashed horizontal line."""

    name: str
    value: float
    stderr: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One plot."""

    id: str
    title: str
    unit: Unit
    note: str = ""
    series: list[Series] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)
    from_zero: bool = True
    bands: list[Band] = field(default_factory=list)
    """Stages one after the other; empty where the figure is of one stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureGroup:
    """Figures under one heading."""

    title: str
    figures: list[Figure]
    collapsed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureSpec:
    """What a figure draws: a measure of the evaluations, metrics of the batches, or both."""

    id: str
    title: str
    unit: Unit
    note: str = ""
    measure: str = ""
    keys: tuple[str, ...] = ()
    """Metric names or `PREFIX/*`: the first of them that was logged is drawn."""
    together: bool = False
    """Draw all of `keys`, not only the first that was logged."""
    hide_zero: bool = False
    """Leave the figure out if everything in it is 0: it was not measured."""
    from_zero: bool = True


PAPER = (
    FigureSpec(id="accuracy", title="Accuracy", unit="fraction",
               measure="pass@1", keys=("rollout/accuracy", "reward/accuracy"),
               note="pass@1 on problems never trained on; the band is \u00b11 standard error."),
    FigureSpec(id="length", title="Response length", unit="tokens", measure="length_tokens",
               keys=("rollout/length_tokens",), note="Mean tokens a response."),
    FigureSpec(id="reflection", title="Reflection words a response", unit="words",
               measure="reflection", keys=("rollout/reflection",),
               note="wait, mistake, however, but, retry, error, verify, wrong, evaluate, check, "
                    "and their Chinese counterparts."),
    FigureSpec(id="language", title="Language consistency", unit="fraction",
               measure="language_consistency", keys=("rollout/language_consistency",),
               note="Share of the words of a thought that are in the question's language.",
               from_zero=False),
    FigureSpec(id="format", title="Well-formed responses", unit="fraction", measure="format",
               keys=("rollout/format", "reward/format"),
               note="One think block, then one answer block, nothing around them."),
    FigureSpec(id="entropy", title="Entropy", unit="number", keys=("rollout/entropy",),
               note="Nats a token, at the sampling temperature."),
    FigureSpec(id="kl", title="KL divergence", unit="number", keys=("kl", "loss/kl"),
               hide_zero=True, note="Nats a token, from the reference model."),
)  # fmt: skip
HEALTH = (
    FigureSpec(id="reward", title="Reward and its parts", unit="number", keys=("reward/*",)),
    FigureSpec(id="equal", title="Groups without a signal", unit="fraction",
               keys=("rollout/equal_reward_groups",),
               note="All samples earned the same reward, so the advantage is 0."),
    FigureSpec(id="truncated", title="Truncated responses", unit="fraction",
               measure="truncated", keys=("rollout/truncated",), note="Cut at the token limit."),
    FigureSpec(id="clip", title="Clip fraction", unit="fraction", keys=("clip_fraction",),
               note="Tokens whose importance ratio was clipped."),
    FigureSpec(id="grad", title="Gradient norm", unit="number", keys=("grad_norm",),
               note="Before clipping."),
    FigureSpec(id="lr", title="Learning rate", unit="number", keys=("optim/lr",)),
)  # fmt: skip
LOSS = (
    FigureSpec(
        id="loss",
        title="Loss",
        unit="number",
        keys=("loss/*", "eval/loss"),
        together=True,
        from_zero=False,
    ),
)
TIME = (
    FigureSpec(id="time", title="Time a step", unit="seconds", keys=("time/*",)),
    FigureSpec(id="speed", title="Speed", unit="number", keys=("tokens_per_second",),
               note="Sampled tokens a second."),
)  # fmt: skip


def figure_groups(stage: StageData, *, majority: Outcome | None = None) -> list[FigureGroup]:
    """All figures of a stage: those of the paper, health, then whatever else was logged."""
    used: set[str] = {"step"}
    paper = _draw_all(PAPER, stage, used)
    if majority is not None and majority.after is not None:
        paper = [_with_level(figure, majority.spec.label, majority.after) for figure in paper]
    trained_by_reward = bool(paper)
    loss = _draw_all(LOSS, stage, used)
    health = _draw_all(HEALTH, stage, used) + _draw_all(TIME, stage, used, rows=stage.timing)
    others = _generic(stage, used)
    first = paper if trained_by_reward else loss
    second = [*health[:1], *loss, *health[1:]] if trained_by_reward else health
    groups = (
        FigureGroup(title="", figures=first),
        FigureGroup(title="Health", figures=second, collapsed=bool(first)),
        FigureGroup(title="Other metrics", figures=others, collapsed=bool(first)),
    )
    return [group for group in groups if group.figures]


def as_json(groups: Iterable[FigureGroup]) -> list[dict[str, Any]]:
    return [asdict(group) for group in groups]


def _draw_all(
    specs: Sequence[FigureSpec], stage: StageData, used: set[str], rows: list[Row] | None = None
) -> list[Figure]:
    figures = (_draw(spec, stage, used, stage.metrics if rows is None else rows) for spec in specs)
    return [figure for figure in figures if figure is not None]


def _draw(spec: FigureSpec, stage: StageData, used: set[str], rows: list[Row]) -> Figure | None:
    series = _measured(spec, stage, used)
    num_tasks = len(series)
    keys = _matching(spec, rows, used)
    for index, key in enumerate(keys):
        used.add(key)
        name = "training samples" if num_tasks else key
        alone = len(keys) == 1
        color = (0 if num_tasks < 2 else MUTED) if num_tasks or alone else index
        style: Literal["training", "plain"] = "training" if num_tasks else "plain"
        series.append(Series(name=name, points=points_of(rows, key), style=style, color=color))
    if not series or (spec.hide_zero and not any(p[1] for line in series for p in line.points)):
        return None
    return Figure(
        id=spec.id,
        title=spec.title,
        unit=spec.unit,
        note=spec.note,
        series=series,
        from_zero=spec.from_zero,
    )


def _measured(spec: FigureSpec, stage: StageData, used: set[str]) -> list[Series]:
    """One line for each task that was evaluated."""
    if not spec.measure:
        return []
    tasks = tasks_of(stage)
    series = []
    for index, task in enumerate(tasks):
        key = f"eval/{task}/{spec.measure}"
        points = points_of(stage.metrics, key, thin=True)
        if points:
            used |= {key, f"{key}_stderr", f"{key}_n"}
            name = task if len(tasks) > 1 else "unseen problems"
            series.append(Series(name=name, points=points, style="measured", color=index))
    return series


def _matching(spec: FigureSpec, rows: list[Row], used: set[str]) -> list[str]:
    logged = [key for key in dict.fromkeys(key for row in rows for key in row) if key not in used]
    matches = [[name for name in logged if _matches(name, key)] for key in spec.keys]
    found = [names for names in matches if names]
    drawn = found if spec.together else found[:1]
    return [name for names in drawn for name in names][:MAX_LINES]


def _matches(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("/*") else name == pattern


def points_of(rows: list[Row], key: str, *, thin: bool = False) -> list[list[float]]:
    """[step, value(, standard error)] of a metric, at most MAX_POINTS of them.

    Long curves are averaged over equal stretches; measurements (`thin`) are picked instead, because
    a mean of measurements would need another standard error.
    """
    error = f"{key}_stderr"
    columns = (key, error)
    points = [
        [float(row["step"]), *(row[column] for column in columns if column in row)]
        for row in rows
        if key in row
    ]
    if len(points) <= MAX_POINTS:
        return points
    edges = [round(index * len(points) / MAX_POINTS) for index in range(MAX_POINTS + 1)]
    if thin:
        return [points[end - 1] for end in edges[1:]]
    stretches = (points[start:end] for start, end in itertools.pairwise(edges))
    return [[stretch[-1][0], sum(p[1] for p in stretch) / len(stretch)] for stretch in stretches]


def _with_level(figure: Figure, label: str, measured: Measured) -> Figure:
    """The accuracy figure with a dashed line for the majority vote, as in the paper's figure 1."""
    if figure.id != "accuracy":
        return figure
    level = Level(name=f"{label} after training", value=measured.value, stderr=measured.stderr)
    note = f"{figure.note} Dashed: the majority vote, after training."
    return replace(figure, note=note, levels=[level])


def _generic(stage: StageData, used: set[str]) -> list[Figure]:
    """A figure for every metric that nothing above has drawn."""
    logged = dict.fromkeys(key for row in stage.metrics for key in row)
    errors = {f"{key}{suffix}" for key in logged for suffix in ("_stderr", "_n")}
    left = [key for key in logged if key not in used and key not in errors]
    return [
        Figure(
            id=f"metric-{index}",
            title=key,
            unit="number",
            series=[Series(name=key, points=points_of(stage.metrics, key), style="plain", color=0)],
            from_zero=False,
        )
        for index, key in enumerate(left[:MAX_GENERIC_FIGURES])
    ]
