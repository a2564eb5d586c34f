"""What each stage of a run is and what came of it, in a few words."""

from pathlib import Path
from typing import Literal

from aha.report.formats import PLUS_MINUS, format_number
from aha.report.reader import Row, RunData, StageData, as_number

Kind = Literal["rl", "sft", "reward", "data", "evaluation", "pretraining", "other"]
KIND_NAMES: dict[Kind, str] = {
    "rl": "reinforcement learning",
    "sft": "fine-tuning",
    "reward": "reward model",
    "data": "data",
    "evaluation": "evaluation",
    "pretraining": "pre-training",
    "other": "other",
}
_KEYS: tuple[tuple[str, Kind], ...] = (
    ("samples_per_prompt", "rl"),
    ("batch_samples", "sft"),
    ("held_back_fraction", "reward"),
    ("cons_samples", "evaluation"),
    ("num_tokens", "pretraining"),
    ("per_problem", "data"),
    ("general_fraction", "data"),
    ("min_margin", "data"),
    ("rows", "data"),
)
"""A key that only the config of one kind of stage has."""


def kind_of(run: RunData, stage: StageData) -> Kind:
    """The kind of a stage, told by its config (run.json's, where it has not begun)."""
    config = stage.config or _of_run(run, stage.name)
    return next((kind for key, kind in _KEYS if key in config), "other")


def result_of(run: RunData, stage: StageData) -> str:
    """One line: "48 steps, pass@1 95.3% ±1.9"; empty where nothing is known yet."""
    kind = kind_of(run, stage)
    if kind == "rl":
        return _rl(stage)
    if kind in ("sft", "pretraining"):
        return _loss(stage)
    if kind == "reward":
        return _reward_model(stage)
    return _rows(stage) if kind == "data" else ""


def output_name(stage: StageData) -> str:
    """Name of the finished output, without the folder."""
    return Path(stage.output).name if stage.output else ""


def _of_run(run: RunData, name: str) -> Row:
    config = run.config.get(name)
    return config if isinstance(config, dict) else {}


def _rl(stage: StageData) -> str:
    parts = [f"{stage.last_step:,} steps"] if stage.last_step else []
    if stage.summary.get("converged"):
        parts = [f"{part} (converged)" for part in parts]
    for row in reversed(stage.metrics):
        key = next((k for k in row if k.startswith("eval/") and k.endswith("/pass@1")), None)
        if key is not None:
            parts.append(f"pass@1 {_percent(row[key], row.get(f'{key}_stderr'))}")
            break
    return ", ".join(parts)


def _loss(stage: StageData) -> str:
    parts = [f"{stage.last_step:,} updates"] if stage.last_step else []
    losses = stage.series("eval/loss")
    if losses:
        parts.append(f"validation loss {format_number(losses[-1][1])}")
    return ", ".join(parts)


def _reward_model(stage: StageData) -> str:
    row = stage.summary or (stage.metrics[-1] if stage.metrics else {})
    accuracy, count = as_number(row.get("eval/accuracy")), as_number(row.get("eval/accuracy_n"))
    if accuracy is None:
        return f"{stage.last_step:,} updates" if stage.last_step else ""
    error = as_number(row.get("eval/accuracy_stderr"))
    text = f"right on {_percent(accuracy, error)}"
    return text + (f" of {count:,.0f} held back" if count else "")


def _rows(stage: StageData) -> str:
    pairs, labels = (as_number(stage.summary.get(name)) for name in ("pairs", "labels"))
    if pairs is not None and labels is not None:
        return f"{pairs:,.0f} pairs, {labels:,.0f} labels"
    kept = as_number(stage.summary.get("rows"))
    drawn = funnel_start(stage)
    if kept is None:
        done = sum(row.get("kept", 0) for row in stage.metrics)
        return f"{done:,.0f} rows so far" if done else ""
    return f"{kept:,.0f} rows" + (f" of {drawn:,} drawn" if drawn and drawn != kept else "")


def funnel_start(stage: StageData) -> int | None:
    """How many rows a funnel began with; None for a stage that draws none (a mixture)."""
    steps = stage.funnel.get("steps")
    first = steps[0] if isinstance(steps, list) and steps and isinstance(steps[0], dict) else {}
    count = as_number(first.get("count"))
    return int(count) if first.get("name") == "drawn" and count is not None else None


def _percent(value: float, error: float | None) -> str:
    text = f"{100 * value:.1f}%"
    return text if error is None else f"{text} {PLUS_MINUS}{100 * error:.1f}"
