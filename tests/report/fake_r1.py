"""Writes a believable run directory of the recipe r1 (or distill) without training anything."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.report.fake_run import (
    _write,
    _write_lines,
    habits_at,
    make_problem,
    sample_row,
    train_metrics,
)

Row = dict[str, Any]
BASE = "b" * 64
R1: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    ("zero", "rl", (("model", "base"),)),
    ("cold_start", "data", (("model", "zero"),)),
    ("dev1", "sft", (("model", "base"), ("data", "cold_start"))),
    ("dev2", "rl", (("model", "dev1"),)),
    ("rejection", "data", (("model", "dev2"),)),
    ("general", "general", ()),
    ("mix", "mix", (("reasoning", "rejection"), ("general", "general"))),
    ("dev3", "sft", (("model", "base"), ("data", "mix"))),
    ("preferences", "preferences", (("model", "dev3"),)),
    ("helpful", "reward", (("model", "dev3"), ("data", "preferences"))),
    ("harmless", "reward", (("model", "dev3"), ("data", "preferences"))),
    ("r1", "rl", (("model", "dev3"), ("helpful", "helpful"), ("harmless", "harmless"))),
    ("evaluate", "evaluation",
     tuple((n, n) for n in ("base", "zero", "dev1", "dev2", "dev3", "r1"))),
)  # fmt: skip
DISTILL: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    ("train_teacher", "rl", (("model", "base"),)),
    ("student", "pretraining", ()),
    ("samples", "data", (("model", "train_teacher"),)),
    ("distilled", "sft", (("model", "student"), ("data", "samples"))),
    ("rl_student", "rl", (("model", "student"),)),
    ("evaluate", "evaluation", (("teacher", "train_teacher"), ("student", "student"),
                                ("distilled", "distilled"), ("rl_student", "rl_student"))),
)  # fmt: skip
CONFIGS: dict[str, Row] = {
    "rl": {"task": ["arithmetic"], "samples_per_prompt": 4, "num_steps": 4},
    "sft": {"batch_samples": 8, "epochs": 1},
    "reward": {"kind": "pairwise", "held_back_fraction": 0.1},
    "data": {"per_problem": 1, "problems": 8},
    "general": {"rows": 20},
    "mix": {"general_fraction": 0.25},
    "preferences": {"min_margin": 1.0},
    "pretraining": {"num_tokens": 1000},
    "evaluation": {"cons_samples": 16},
}
FUNNEL = {
    "steps": [{"name": "drawn", "count": 400}, {"name": "not wrong", "count": 300},
              {"name": "not mixed language", "count": 300},
              {"name": "not repetition", "count": 90}],
    "dropped": {"wrong": 100, "mixed language": 0, "repetition": 210},
}  # fmt: skip
MIX = {
    "steps": [{"name": "reasoning", "count": 60}, {"name": "general", "count": 20}],
    "dropped": {"reasoning left out": 30, "general left out": 0},
}
MASK = (
    "The loss is on the tokens in [[ ]]; the end, <|endoftext|>, is trained on too.\n"
    "--- arithmetic/train/000000/1: 3 of 9 tokens\nUser: 1 + 1? Assistant:[[<think> 2</think> 2]]\n"
)
OUTPUTS = {"rl": "model", "sft": "model", "reward": "model", "pretraining": "model",
           "preferences": "preferences", "evaluation": "result.json"}  # fmt: skip


def stage_table(models: Sequence[str]) -> dict[str, Row]:
    """Figures that rise from model to model, but that the last but one is best in accuracy."""
    rng = random.Random(5)
    table: dict[str, Row] = {}
    for index, model in enumerate(models):
        share = index / max(1, len(models) - 1)
        accuracy = 0.05 + 0.9 * share if index < len(models) - 1 else 0.75
        values = {
            "accuracy": accuracy, "format": 0.2 + 0.7 * share, "language_consistency": 0.9,
            "mixed_responses": 0.5 - 0.48 * share, "length_tokens": 30 + 40 * share,
            "reflection": 1 + 3 * share, "readability": 0.2 + 0.7 * share,
            "cons@16": min(1.0, accuracy + 0.1), "chat_win_rate": 0.4 * share,
            "instruction_following": 0.5 * share, "refusal_harmful": share,
            "refusal_harmless": 0.1 * share, "safe_harmful": 1.0,
            "thinks_on_smalltalk": 0.5 - 0.4 * share,
        }  # fmt: skip
        table[model] = {
            name: {"value": value, "stderr": 0.01 + 0.01 * rng.random(), "n": 200}
            for name, value in values.items()
        }
    return table


@dataclass(kw_only=True)
class FakePipeline:
    """Options of the fake; `write` makes the directory."""

    recipe: str = "r1"
    status: str = "done"
    num_begun: int | None = None
    """Stages that have begun; the last of them is not finished. None: all are."""
    num_steps: int = 4

    def write(self, folder: Path) -> Path:
        stages = R1 if self.recipe == "r1" else DISTILL
        ids = {name: f"{number:02x}" * 32 for number, (name, _, _) in enumerate(stages, 1)}
        rows = []
        for number, (name, kind, inputs) in enumerate(stages, 1):
            directory = f"stages/{number:02d}-{name}-{ids[name][:8]}"
            rows.append({"name": name, "id": ids[name][:8], "dir": directory})
            if self.num_begun is None or number <= self.num_begun:
                given = {key: _given(value, ids) for key, value in inputs}
                is_finished = self.num_begun is None or number < self.num_begun
                self._stage(folder / directory, name, kind, given, is_finished)
        folder.mkdir(parents=True, exist_ok=True)
        info: Row = {
            "format_version": 1, "recipe": self.recipe, "name": "pipeline", "seconds": 99.0,
            "status": self.status, "stages": rows, "versions": {}, "environment": {},
            "config": {"model": "embedded", **{n: CONFIGS[k] for n, k, _ in stages}},
        }  # fmt: skip
        _write(folder / "run.json", info)
        return folder

    def _stage(self, path: Path, name: str, kind: str, given: Row, is_finished: bool) -> None:
        (path / "samples").mkdir(parents=True)
        _write(path / "config.json", CONFIGS[kind])
        _write(path / "inputs.json", given)
        rng = random.Random(name)
        metrics, summary = self._metrics(name, kind, rng)
        if metrics:
            _write_lines(path / "metrics.jsonl", metrics)
        if kind == "rl":
            _write_lines(path / "samples" / "step-000001.jsonl", _samples(4, "", rng))
        if kind in ("data", "preferences", "mix"):
            _write(path / "funnel.json", MIX if kind == "mix" else FUNNEL)
        if kind == "sft":
            (path / "mask.txt").write_text(MASK, encoding="utf-8")
        if not is_finished:
            return
        if kind == "evaluation":
            summary = {"stage_table": stage_table(list(given))}
            rows = [row for model in given for row in _samples(3, model, random.Random(model))]
            _write_lines(path / "samples" / "step-000000.jsonl", rows)
        output = OUTPUTS.get(kind, "data.jsonl")
        (path / output).write_text("{}")
        _write(path / "DONE.json", {"output": output, "seconds": 7.5, "summary": summary})

    def _metrics(self, name: str, kind: str, rng: random.Random) -> tuple[list[Row], Row]:
        """Rows of metrics.jsonl, and the summary of DONE.json."""
        steps = range(1, self.num_steps + 1)
        if kind == "rl":
            rows = [{"step": s, **_rl_step(name, s, self.num_steps, rng)} for s in steps]
            rows[-1] |= _evaluation(0.9)
            return [{"step": 0, **_evaluation(0.1)}, *rows], {"steps": self.num_steps}
        if kind == "sft":
            rows = [{"step": s, "loss/sft": 1 / s, "grad_norm": 1.0} for s in steps]
            return [{"step": 0, "eval/loss": 2.0}, *rows], {"loss": 0.25}
        if kind == "reward":
            held = {"eval/accuracy": 0.875, "eval/accuracy_stderr": 0.02, "eval/accuracy_n": 160}
            rows = [
                {"step": s, "loss/preference": 0.7 / s, "accuracy": 0.5 + s / 10} for s in steps
            ]
            rows[-1] |= held
            return rows, {"rows": 100, **held}
        if kind == "pretraining":
            return [{"step": s, "loss/next_token": 3 / s} for s in steps], {}
        if kind == "preferences":
            return [{"step": 1, "drawn": 400, "kept": 90}], {
                "rows": 390,
                "pairs": 90,
                "labels": 300,
            }
        if kind == "data":
            return [{"step": 1, "drawn": 400, "kept": 90}], {"rows": 90}
        return [], {"rows": 80 if kind == "mix" else 20}


def _given(name: str, ids: dict[str, str]) -> Row:
    if name == "base":
        return {"kind": "source", "value": "embedded", "identity": BASE}
    return {"kind": "stage", "value": name, "identity": ids[name]}


def _rl_step(name: str, step: int, num_steps: int, rng: random.Random) -> Row:
    row = train_metrics(_samples(4, "", rng), step / num_steps, rng)
    if name == "r1":
        late = step > num_steps // 2
        row |= {"reward/helpful": 0.5 + 0.1 * step if late else 0.0, "grader/quality": 0.25 * step}
    return row


def _evaluation(accuracy: float) -> Row:
    key = "eval/arithmetic"
    return {f"{key}/pass@1": accuracy, f"{key}/pass@1_stderr": 0.02, f"{key}/pass@1_n": 128,
            f"{key}/length_tokens": 50.0, f"{key}/language_consistency": 0.8}  # fmt: skip


def _samples(num_problems: int, model: str, rng: random.Random) -> list[Row]:
    progress = {"base": 0.0, "student": 0.0}.get(model, 1.0)
    mark = {"model": model} if model else {}
    return [
        {
            **mark,
            **sample_row(make_problem(n, "arithmetic", seed=1), 0, s, habits_at(progress), rng),
        }
        for n in range(num_problems)
        for s in range(2)
    ]
