"""The arms of an ablation side by side: what they can do, and what their training took.

An arm is an input that was trained here: beside its model folder lie the metrics and timing of its
steps, and what its stage wrote into DONE.json. Other inputs (the model that all arms start from)
are evaluated only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import Field

from aha.evals.config import StageTableConfig
from aha.pipeline.files import read_json, read_jsonl, write_json, write_text
from aha.pipeline.stage import StageContext, StageResult
from aha.trainers.rollout_config import Fraction

LAST_STEPS = 5
"""Steps at the end of the training whose mean is its result."""
MEGABYTE = 1e6
MEASURED = ("_bytes", "processor_seconds")
"""Ends of the names of what a stage measures of itself."""
PERCENTAGES = ("accuracy", "format", "language_consistency", "mixed_responses", "readability")
CHAT = ("chat_win_rate", "instruction_following", "refusal_harmful", "refusal_harmless")
Table = Mapping[str, Mapping[str, Mapping[str, float]]]


class ArmsConfig(StageTableConfig):
    """The comparison at the end of an ablation."""

    target_accuracy: Fraction = Field(
        0.6, description="of training rollouts: steps and seconds until an arm has it are compared"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What the training of an arm took."""

    steps: int
    seconds: float | None
    """Rollouts and updates of all steps, evaluations left out; None: not recorded."""
    steps_to_target: int | None
    """The first step whose rollouts have the accuracy; None: none has."""
    seconds_to_target: float | None
    """Until the end of that step."""
    last_accuracy: float | None
    """Of the rollouts of the last steps; None: there were no rollouts."""
    last_explained_variance: float | None
    """Of a critic, in the last steps."""
    measured: Mapping[str, Any]
    """What `aha.trainers.memory` counted and measured."""

    def summary(self) -> dict[str, Any]:
        return {
            "steps": self.steps,
            "seconds": self.seconds,
            "steps_to_target": self.steps_to_target,
            "seconds_to_target": self.seconds_to_target,
            "last_accuracy": self.last_accuracy,
            "last_explained_variance": self.last_explained_variance,
            **self.measured,
        }


def compare(ctx: StageContext[ArmsConfig]) -> StageResult:
    """Sample every input model and read the arms' records; prints a table and writes it."""
    from aha.evals.stage_table import evaluate  # loads torch, and planning a run must not

    table: Table = evaluate(cast("StageContext[StageTableConfig]", ctx)).summary["stage_table"]
    found = {name: read_training(ctx.inputs[name].parent, ctx.config) for name in table}
    trainings = {name: training for name, training in found.items() if training is not None}
    text = "\n".join(comparison(table, trainings, ctx.config))
    ctx.log.note(text)
    summary = {
        "stage_table": table,
        "training": {name: training.summary() for name, training in trainings.items()},
        "target_accuracy": ctx.config.target_accuracy,
    }
    if ctx.ranks.is_main:
        write_json(ctx.directory / "result.json", summary)
        write_text(ctx.directory / "comparison.txt", text + "\n")
    return StageResult(output="result.json", summary=summary)


def read_training(stage: Path, config: ArmsConfig) -> Training | None:
    """The record of an arm from its stage directory; None where there is none."""
    metrics = [row for row in read_jsonl(stage / "metrics.jsonl") if row["step"]]
    if not metrics:
        return None
    rollouts = [row for row in metrics if "rollout/accuracy" in row]
    enough = (r["step"] for r in rollouts if r["rollout/accuracy"] >= config.target_accuracy)
    seconds, target, last = seconds_of(stage), next(enough, None), rollouts[-LAST_STEPS:]
    to_target = [time for step, time in seconds.items() if target and step <= target]
    done = read_json(stage / "DONE.json")["summary"] if (stage / "DONE.json").is_file() else {}
    return Training(
        steps=metrics[-1]["step"],
        seconds=round(sum(seconds.values()), 1) if seconds else None,
        steps_to_target=target,
        seconds_to_target=round(sum(to_target), 1) if to_target else None,
        last_accuracy=mean(last, "rollout/accuracy"),
        last_explained_variance=mean(last, "value/explained_variance"),
        measured={key: value for key, value in done.items() if key.endswith(MEASURED)},
    )


def seconds_of(stage: Path) -> dict[int, float]:
    """Of every step, without its evaluation."""
    phases = ("time/rollout_seconds", "time/train_seconds")
    rows = read_jsonl(stage / "timing.jsonl")
    return {row["step"]: sum(row.get(phase, 0.0) for phase in phases) for row in rows}


def mean(rows: Sequence[Mapping[str, float]], name: str) -> float | None:
    """None where it was not measured."""
    values = [row[name] for row in rows if name in row]
    return sum(values) / len(values) if values else None


def comparison(table: Table, trainings: Mapping[str, Training], config: ArmsConfig) -> list[str]:
    """Lines of a table for people: a column a model, a row a figure."""
    names, majority = list(table), f"cons@{config.cons_samples}"
    chats = any(row[name]["value"] for row in table.values() for name in CHAT if name in row)
    measured = [PERCENTAGES[0], majority, *PERCENTAGES[1:], *(CHAT if chats else ())]
    rows = {
        name.replace("_", " "): [percent(table[model][name]) for model in names]
        for name in measured
        if all(name in table[model] for model in names)
    }
    rows["length, tokens"] = [f"{table[m]['length_tokens']['value']:.0f}" for m in names]
    for label, cell in training_cells(config).items():
        cells = [cell(trainings[name]) if name in trainings else "" for name in names]
        if any(cells):
            rows[label] = cells
    width = max(map(len, rows))
    columns = [max(len(c) for c in column) for column in zip(names, *rows.values(), strict=True)]
    return [
        "  ".join([label.ljust(width), *(c.rjust(w) for c, w in zip(cells, columns, strict=True))])
        for label, cells in {"": names, **rows}.items()
    ]


def training_cells(config: ArmsConfig) -> dict[str, Any]:
    """Row label to a function of an arm's training; an empty cell for what was not measured."""
    goal = f"{config.target_accuracy:.0%}"

    def most(key: str, unit: float = 1.0) -> Any:
        """The largest of all ranks."""

        def cell(arm: Training) -> str:
            value = arm.measured.get(key)
            if value is None:
                return ""
            return f"{(max(value) if isinstance(value, list) else value) / unit:.1f}"

        return cell

    def megabytes(key: str) -> Any:
        return most(key, MEGABYTE)

    return {
        f"training accuracy, last {LAST_STEPS} steps": lambda arm: shown(arm.last_accuracy, ".1%"),
        f"steps to {goal}": lambda arm: reached(arm, arm.steps_to_target),
        f"seconds to {goal}": lambda arm: reached(arm, arm.seconds_to_target),
        "steps of training": lambda arm: shown(arm.steps),
        "seconds of training": lambda arm: shown(arm.seconds),
        "processor seconds of a rank": most("processor_seconds"),
        "explained variance of values": lambda arm: shown(arm.last_explained_variance, ".2f"),
        "weights, MB": megabytes("weight_bytes"),
        "gradients, MB": megabytes("gradient_bytes"),
        "optimizer, MB": megabytes("optimizer_bytes"),
        "tensors in all, MB": megabytes("tensor_bytes"),
        "memory of a rank at its start, MB": megabytes("start_memory_bytes"),
        "peak memory of a rank, MB": megabytes("peak_memory_bytes"),
    }


def percent(row: Mapping[str, float]) -> str:
    return f"{row['value']:.1%} +- {row['stderr']:.1%}"


def shown(value: float | None, form: str = "g") -> str:
    return "" if value is None else format(value, form)


def reached(arm: Training, value: float | None) -> str:
    """Only rollouts could have shown the accuracy."""
    return "not reached" if value is None and arm.last_accuracy is not None else shown(value)
