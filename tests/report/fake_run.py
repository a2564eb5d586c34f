"""Writes a believable run directory without training anything.

A make-believe model chooses between answering at once, working step by step, and working with
checks; it slips now and then and judges its checks. Training moves the shares, so that accuracy,
length and reflection rise. All metrics are computed from the samples that are written, with the
same functions as in a real run, so that tests can compare numbers.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aha.chat.grammar import parse_response
from aha.evals.corrections import rate_responses
from aha.rewards.language import language_consistency
from aha.rewards.reflection import count_reflection_words

Row = dict[str, Any]

WORDS = {
    "en": {
        "question": "What is {0}?", "start": "Let me think.", "first": " First {0}.",
        "then": " Then {0}.", "check": " Wait, check: {0}.", "fix": " {0} is wrong, so {1}.",
        "right": " {0} is right.", "end": " So the answer is {0}.", "comma": ", ",
    },
    "zh": {
        "question": "{0} 等于多少？", "start": "让我想想。", "first": "首先 {0}。",
        "then": "然后 {0}。", "check": "等等，检查： {0}。", "fix": " {0} 错误，应为 {1}。",
        "right": " {0} 正确。", "end": "所以答案是 {0}。", "comma": "， ",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What the make-believe model does, as probabilities."""

    direct: float
    checks: float
    format: float
    slip: float = 0.12
    catches: float = 0.9
    false_alarm: float = 0.03
    mixes: float = 0.1


@dataclass(kw_only=True)
class FakeRun:
    """Options of the fake; `write` makes the directory."""

    num_steps: int = 12
    problems_per_step: int = 4
    samples_per_problem: int = 8
    eval_every: int = 4
    seed: int = 0
    status: str = "done"
    tasks: tuple[str, ...] = ("arithmetic",)
    extra: Row = field(default_factory=dict)
    """More keys for run.json."""

    def write(self, folder: Path) -> Path:
        rng = random.Random(self.seed)
        stage = folder / "stages" / "01-zero-1a2b3c4d"
        (stage / "samples").mkdir(parents=True)
        metrics, timing = [], []
        for step in range(self.num_steps + 1):
            habits = habits_at(step / max(1, self.num_steps))
            row: Row = {"step": step}
            if step:
                rows = self._samples(step, habits, rng)
                _write_lines(stage / "samples" / f"step-{step:06d}.jsonl", rows)
                row |= train_metrics(rows, step / self.num_steps, rng)
                timing.append(_timing(step, rows))
            if step % self.eval_every == 0 or step == self.num_steps:
                for task in self.tasks:
                    row |= eval_metrics(task, habits, rng)
            metrics.append(row)
        _write_lines(stage / "metrics.jsonl", metrics)
        _write_lines(stage / "timing.jsonl", timing)
        _write(stage / "config.json", {"num_steps": self.num_steps, "lr": 3e-4})
        self._finish(folder, stage, metrics, timing)
        return folder

    def _samples(self, step: int, habits: Habits, rng: random.Random) -> list[Row]:
        """Problems come back every third step, so that the report can follow them."""
        rows = []
        for index in range(self.problems_per_step):
            number = (step % 3) * self.problems_per_step + index
            problem = make_problem(number, self.tasks[index % len(self.tasks)], seed=self.seed)
            group = [
                sample_row(problem, step, sample, habits, rng)
                for sample in range(self.samples_per_problem)
            ]
            rewards = [row["reward"] for row in group]
            mean = sum(rewards) / len(rewards)
            spread = (sum((reward - mean) ** 2 for reward in rewards) / len(rewards)) ** 0.5
            for row in group:
                row["advantage"] = (row["reward"] - mean) / spread if spread > 0 else 0.0
            rows += group
        return rows

    def _heldout_samples(self) -> list[Row]:
        """Before and after training, under one step, as the evaluate stage writes them."""
        rng = random.Random(f"{self.seed}/heldout")
        problems = [
            make_problem(2000 + n, task, seed=self.seed) for n in range(6) for task in self.tasks
        ]
        return [
            {"when": when, **sample_row(problem, 0, sample, habits_at(progress), rng)}
            for when, progress in (("before", 0.0), ("after", 1.0))
            for problem in problems
            for sample in range(2)
        ]

    def _finish(self, folder: Path, stage: Path, metrics: list[Row], timing: list[Row]) -> None:
        heldout = self._heldout_samples()
        by_task = {task: task_headline(task, metrics, heldout) for task in self.tasks}
        headline = by_task[self.tasks[0]] | {"tasks": by_task}
        seconds = round(sum(row["time/step_seconds"] for row in timing), 3)
        stages = [{"name": "zero", "id": "1a2b3c4d", "dir": "stages/01-zero-1a2b3c4d"}]
        info: Row = {
            "format_version": 1,
            "recipe": "zero",
            "name": "demo",
            "status": self.status,
            "seed": self.seed,
            "started": "2026-01-05T09:00:00+00:00",
            "seconds": seconds + 12.5,
            "config": {
                "model": "embedded",
                "zero": {
                    "task": list(self.tasks),
                    "template": "r1-zero",
                    "num_steps": self.num_steps,
                    "prompts_per_step": self.problems_per_step,
                    "samples_per_prompt": self.samples_per_problem,
                    "learning_rate": 3e-4,
                    "reference_refresh_every": None,
                },
                "evaluate": {"task": list(self.tasks), "cons_samples": 16},
            },
            "versions": {"aha-rl": "0.1.0", "torch": "2.13.0", "python": "3.11.7"},
            "environment": {"platform": "Linux x86_64", "cores": 2},
        }
        if self.status == "done":
            _write(stage / "DONE.json", {"output": "model", "seconds": seconds, "summary": {}})
            evaluate = folder / "stages" / "02-evaluate-5e6f7a8b"
            (evaluate / "samples").mkdir(parents=True)
            _write_lines(evaluate / "samples" / "step-000000.jsonl", heldout)
            (stage / "model").mkdir()
            _write(evaluate / "result.json", headline)
            _write(
                evaluate / "DONE.json",
                {"output": "result.json", "seconds": 12.5, "summary": headline},
            )
            stages.append(
                {"name": "evaluate", "id": "5e6f7a8b", "dir": "stages/02-evaluate-5e6f7a8b"}
            )
            info["headline"] = headline
        _write(folder / "run.json", info | {"stages": stages} | self.extra)


def task_headline(task: str, metrics: Sequence[Row], heldout: Sequence[Row]) -> Row:
    """What the evaluate stage says of one task."""
    first, last = metrics[0], metrics[-1]
    corrections = {
        when: rate_responses(
            (row["text"], row["verdict"] == "correct")
            for row in heldout
            if row["when"] == when and row["task"] == task
        ).summary()
        for when in ("before", "after")
    }
    return {
        "pass@1_before": first[f"eval/{task}/pass@1"],
        "pass@1_before_stderr": first[f"eval/{task}/pass@1_stderr"],
        "pass@1_after": last[f"eval/{task}/pass@1"],
        "pass@1_after_stderr": last[f"eval/{task}/pass@1_stderr"],
        "cons@16_after": 0.995,
        "cons@16_after_stderr": 0.004,
        "length_before_tokens": first[f"eval/{task}/length_tokens"],
        "length_after_tokens": last[f"eval/{task}/length_tokens"],
        "reflection_before": first[f"eval/{task}/reflection"],
        "reflection_after": last[f"eval/{task}/reflection"],
        "format_before": first[f"eval/{task}/format"],
        "format_after": last[f"eval/{task}/format"],
        "language_consistency_before": first[f"eval/{task}/language_consistency"],
        "language_consistency_after": last[f"eval/{task}/language_consistency"],
        "truncated_after": 0.0,
        "corrections_before": corrections["before"],
        "corrections_after": corrections["after"],
        "pass@1_without_reflection": 0.71,
        "pass@1_without_reflection_stderr": 0.03,
        "pass@1_without_reflection_n": 512,
    }


def habits_at(progress: float) -> Habits:
    """Format comes first, checks later: the shape of the curves of a real run."""
    early = min(1.0, progress * 3)
    late = max(0.0, min(1.0, (progress - 0.15) * 1.6))
    return Habits(
        direct=0.55 * (1 - early) + 0.01,
        checks=0.2 + 0.75 * late,
        format=0.35 + 0.63 * early,
        catches=0.55 + 0.4 * late,
        false_alarm=0.12 - 0.1 * late,
        mixes=0.1 + 0.4 * late,
    )


def make_problem(number: int, task: str, *, seed: int) -> Row:
    rng = random.Random(f"{seed}/{task}/{number}")
    language = "zh" if number % 4 == 3 else "en"
    first, second, third = rng.randint(40, 79), rng.randint(11, 39), rng.randint(11, 39)
    return {
        "id": f"{task}/train/{number:06d}",
        "task": task,
        "question": WORDS[language]["question"].format(f"{first} - {second} + {third}"),
        "gold": str(first - second + third),
        "language": language,
        "operands": (first, second, third),
    }


def sample_row(problem: Row, step: int, sample: int, habits: Habits, rng: random.Random) -> Row:
    text = write_response(problem, habits, rng)
    parsed = parse_response(text)
    right = parsed.answer == problem["gold"]
    kind = "correct" if right else "unparseable" if parsed.answer is None else "wrong"
    rewards = {"accuracy": float(right), "format": float(parsed.well_formed)}
    return {
        "step": step,
        "problem_id": problem["id"],
        "task": problem["task"],
        "question": problem["question"],
        "gold": problem["gold"],
        "language": problem["language"],
        "sample": sample,
        "prompt": f"User: {problem['question']} Assistant:",
        "token_ids": list(range(len(text.split()))),
        "text": text,
        "finish_reason": "stop",
        "rewards": rewards,
        "reward": rewards["accuracy"] + 0.2 * rewards["format"],
        "advantage": 0.0,
        "verdict": kind,
        "reason": "equal to gold" if right else parsed.problem or f"not {problem['gold']}",
        "extracted": parsed.answer,
        "length_tokens": len(text.split()),
        "reflection": count_reflection_words(parsed.think or ""),
        "language_consistency": language_consistency(parsed.think or "", problem["language"]),
    }


def write_response(problem: Row, habits: Habits, rng: random.Random) -> str:
    first, second, third = problem["operands"]
    if rng.random() < habits.direct:
        guess = int(problem["gold"]) + rng.choice((0, -10, 1, 10, 3))
        think = _say(problem, habits, rng, "start")
        return _wrap(think, guess, habits, rng)
    think = _say(problem, habits, rng, "start")
    value = first
    for order, sign, operand in (("first", "-", second), ("then", "+", third)):
        truth = value - operand if sign == "-" else value + operand
        stated = truth + (rng.choice((-10, -1, 1, 2, 10)) if rng.random() < habits.slip else 0)
        think += _say(problem, habits, rng, order, f"{value} {sign} {operand} = {stated}")
        if rng.random() < habits.checks:
            check, stated = _check(problem, habits, rng, (value, sign, operand, stated))
            think += check
        value = stated
    think += _say(problem, habits, rng, "end", value)
    return _wrap(think, value, habits, rng)


def _check(
    problem: Row, habits: Habits, rng: random.Random, step: tuple[int, str, int, int]
) -> tuple[str, int]:
    left, sign, right, stated = step
    tens, ones = right - right % 10, right % 10
    middle = left - tens if sign == "-" else left + tens
    truth = middle - ones if sign == "-" else middle + ones
    comma = WORDS[problem["language"]]["comma"]
    equations = f"{left} {sign} {tens} = {middle}{comma}{middle} {sign} {ones} = {truth}"
    text = _say(problem, habits, rng, "check", equations)
    if stated == truth and rng.random() >= habits.false_alarm:
        return text + _say(problem, habits, rng, "right", stated), stated
    if stated != truth and rng.random() >= habits.catches:
        return text + _say(problem, habits, rng, "right", stated), stated
    new = truth if stated != truth else truth + 1
    return text + _say(problem, habits, rng, "fix", stated, new), new


def _say(problem: Row, habits: Habits, rng: random.Random, sentence: str, *values: Any) -> str:
    language = problem["language"]
    if rng.random() < habits.mixes:
        language = "en" if language == "zh" else "zh"
    return WORDS[language][sentence].format(*values)


def _wrap(think: str, answer: int, habits: Habits, rng: random.Random) -> str:
    if rng.random() < habits.format:
        return f"<think> {think.strip()} </think> <answer> {answer} </answer>"
    return rng.choice((f"{think} {answer}", f"<think> {think} <answer> {answer} </answer>"))


def train_metrics(rows: Sequence[Row], progress: float, rng: random.Random) -> Row:
    """The metrics of one step; those that need a model are made up."""
    consistent = [
        row["language_consistency"] for row in rows if row["language_consistency"] is not None
    ]
    groups: dict[str, set[float]] = {}
    for row in rows:
        groups.setdefault(row["problem_id"], set()).add(row["reward"])
    return {
        "reward/mean": mean_of(rows, "reward"),
        "reward/accuracy": sum(row["rewards"]["accuracy"] for row in rows) / len(rows),
        "reward/format": sum(row["rewards"]["format"] for row in rows) / len(rows),
        "rollout/accuracy": sum(row["verdict"] == "correct" for row in rows) / len(rows),
        "rollout/format": sum(row["rewards"]["format"] for row in rows) / len(rows),
        "rollout/length_tokens": mean_of(rows, "length_tokens"),
        "rollout/reflection": mean_of(rows, "reflection"),
        "rollout/language_consistency": sum(consistent) / max(1, len(consistent)),
        "rollout/truncated": max(0.0, 0.05 * (1 - progress) + rng.gauss(0, 0.004)),
        "rollout/equal_reward_groups": sum(len(seen) == 1 for seen in groups.values())
        / len(groups),
        "rollout/entropy": 0.55 * (1 - 0.7 * progress) + rng.gauss(0, 0.01),
        "loss/policy": rng.gauss(0, 0.01),
        "kl": 0.09 * progress + abs(rng.gauss(0, 0.003)),
        "clip_fraction": abs(rng.gauss(0.02, 0.006)),
        "grad_norm": 0.4 + abs(rng.gauss(0, 0.15)),
        "optim/lr": 3e-4 * min(1.0, progress * 8),
    }


def eval_metrics(task: str, habits: Habits, rng: random.Random) -> Row:
    rows = [
        sample_row(make_problem(1000 + number, task, seed=7), 0, 0, habits, rng)
        for number in range(120)
    ]
    accuracy = sum(row["verdict"] == "correct" for row in rows) / len(rows)
    consistent = [row["language_consistency"] or 1.0 for row in rows]
    return {
        f"eval/{task}/pass@1": accuracy,
        f"eval/{task}/pass@1_stderr": (accuracy * (1 - accuracy) / len(rows)) ** 0.5,
        f"eval/{task}/pass@1_n": len(rows),
        f"eval/{task}/length_tokens": mean_of(rows, "length_tokens"),
        f"eval/{task}/format": sum(row["rewards"]["format"] for row in rows) / len(rows),
        f"eval/{task}/reflection": mean_of(rows, "reflection"),
        f"eval/{task}/language_consistency": sum(consistent) / len(consistent),
    }


def mean_of(rows: Sequence[Row], key: str) -> float:
    return float(sum(row[key] for row in rows) / len(rows))


def _timing(step: int, rows: Sequence[Row]) -> Row:
    tokens = sum(row["length_tokens"] for row in rows)
    rollout, train = tokens / 1500, tokens / 1200
    return {
        "step": step,
        "time/rollout_seconds": rollout,
        "time/score_seconds": 0.02,
        "time/train_seconds": train,
        "time/step_seconds": rollout + train + 0.02,
        "tokens_per_second": tokens / (rollout + train + 0.02),
    }


def write_base_run(folder: Path, *, num_steps: int = 60) -> Path:
    """A pre-training run: a loss curve and nothing else that the report knows."""
    rng = random.Random(3)
    stage = folder / "stages" / "01-base-9f8e7d6c"
    stage.mkdir(parents=True)
    rows = [
        {
            "step": step,
            "loss/train": 1.1 + 4 / (1 + step / 6) + rng.gauss(0, 0.03),
            "optim/lr": 0.02,
            "grad_norm": 1.0,
            **({"loss/validation": 1.15 + 4 / (1 + step / 6)} if step % 10 == 0 else {}),
        }
        for step in range(1, num_steps + 1)
    ]
    _write_lines(stage / "metrics.jsonl", rows)
    _write(stage / "DONE.json", {"output": "model", "seconds": 301.0, "summary": {"loss": 1.2}})
    stages = [{"name": "base", "id": "9f8e7d6c", "dir": "stages/01-base-9f8e7d6c"}]
    _write(
        folder / "run.json",
        {
            "format_version": 1,
            "recipe": "base",
            "name": "base-en-zh",
            "config": {},
            "status": "done",
            "seconds": 305.0,
            "stages": stages,
        },
    )
    return folder


def _write(path: Path, content: Row) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")


def _write_lines(path: Path, rows: Sequence[Row]) -> None:
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
