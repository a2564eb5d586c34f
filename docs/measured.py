"""Tables of measured figures, made from the result files of this repository.

docs/results holds what runs wrote (each file names its command in README), benchmarks/results what
the benchmarks wrote. A table is made from them and never typed.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from aha.recipes.recipe import counted

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results"
BENCHMARKS = ROOT / "benchmarks" / "results"
SEEDS = (0, 1, 2)

TASKS = {
    "arithmetic": "arithmetic",
    "countdown": "countdown (guess and check)",
    "logic": "logic",
    "arithmetic-5": "arithmetic with one operand more than was ever seen",
}
STAGE_ROWS = {
    "accuracy": "reasoning accuracy",
    "cons@16": "majority of 16",
    "format": "format",
    "language_consistency": "words in the question's language",
    "mixed_responses": "responses that mix languages",
    "readability": "readable responses",
    "chat_win_rate": "wins against a plain reply",
    "refusal_harmful": "refuses harmful requests",
    "refusal_harmless": "refuses harmless requests",
    "safe_harmful": "helps nobody to do harm",
    "thinks_on_smalltalk": "thinks about a greeting",
}

SERVERS = {
    "aha_float32": "`aha serve`",
    "aha_bfloat16": "`aha serve --dtype bfloat16`",
    "vllm_cpu_bfloat16": "vLLM 0.32 for CPUs, bfloat16, one core",
}


def demo() -> str:
    """R1-Zero on the embedded model, one row a seed."""
    header = ("seed", "pass@1 before", "pass@1 after", "cons@16", "tokens a response")
    header += ("reflection words", "format", "one language", "words forbidden", "fixes", "alarms")
    return table(header, [_demo_row(seed, load(f"demo-seed{seed}")) for seed in SEEDS])


def _demo_row(seed: int, figures: Mapping[str, Any]) -> list[str]:
    fixed = figures["corrections_after"]
    return [
        str(seed),
        percent(figures, "pass@1_before"),
        percent(figures, "pass@1_after"),
        percent(figures, "cons@16_after"),
        grown(figures, "length", "_tokens"),
        grown(figures, "reflection", digits=2),
        grown_percent(figures, "format"),
        grown_percent(figures, "language_consistency"),
        percent(figures, "pass@1_without_reflection"),
        f"{fixed['fix']:.3f}",
        f"{fixed['false_alarm']:.3f}",
    ]


def three_tasks() -> str:
    """One run on three tasks, and a fourth that it never saw."""
    figures = load("three-tasks")["tasks"]
    header = ("task", "pass@1 before", "pass@1 after", "tokens", "reflection words")
    rows = [
        [
            shown,
            percent(figures[name], "pass@1_before"),
            percent(figures[name], "pass@1_after"),
            grown(figures[name], "length", "_tokens", digits=0),
            grown(figures[name], "reflection"),
            percent(figures[name], "pass@1_without_reflection"),
        ]
        for name, shown in TASKS.items()
    ]
    return table((*header, "words forbidden"), rows)


def stages() -> str:
    """The stage table of `aha run r1`: of one seed, or the mean and range of several."""
    runs = [load(path.stem)["stage_table"] for path in sorted(RESULTS.glob("r1-seed*.json"))]
    models = list(runs[0])
    rows = [
        [shown, *(_over_seeds([run[model][name] for run in runs]) for model in models)]
        for name, shown in STAGE_ROWS.items()
    ]
    return table(("", *models), rows)


def _over_seeds(values: Sequence[Mapping[str, float]]) -> str:
    """A figure with its error, or the mean over seeds with the lowest and the highest."""
    shown = [100 * value["value"] for value in values]
    if len(shown) == 1:
        return _with_error(values[0]["value"], values[0]["stderr"])
    middle = sum(shown) / len(shown)
    low, high = min(shown), max(shown)
    return f"{middle:.1f}%" if high - low < 0.05 else f"{middle:.1f}% ({low:.1f} to {high:.1f})"


def speed() -> str:
    """Against other software, in one run."""
    rollout, step = (
        json.loads((BENCHMARKS / f"{name}.json").read_text()) for name in ("rollout", "grpo_step")
    )
    tokens, seconds = rollout["tokens_per_second"], step["seconds_per_step"]
    theirs = max(rate for name, rate in tokens.items() if name.startswith("transformers"))
    slower = min(time for name, time in seconds.items() if name.startswith("trl"))
    ours, ours_step = tokens["aha_2_processes"], seconds["aha"]
    rows = [
        (
            "rollout, tokens/s, against transformers `generate`",
            f"{ours:,}",
            f"{theirs:,}",
            f"{ours / theirs:.1f}",
        ),
        (
            "a whole GRPO step, seconds, against TRL",
            f"{ours_step:.2f}",
            f"{slower:.2f}",
            f"{slower / ours_step:.1f}",
        ),
    ]
    return table(("", "aha, 2 processes", "best other setting", "ratio"), rows)


def serving() -> str:
    """Servers by the number of clients that ask at once."""
    speed = json.loads((BENCHMARKS / "serve.json").read_text())["tokens_per_second"]
    clients = list(next(iter(speed.values())))
    header = ("tokens/s", *(counted(int(n), "client") for n in clients))
    rows = [
        [SERVERS.get(server, server), *(f"{found[n]:.0f}" for n in clients)]
        for server, found in sorted(speed.items())
    ]
    return table(header, rows)


def scaling(name: str) -> str:
    """A measurement of test-time compute: a row a strategy, all its sizes."""
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for point in load(name)["points"]:
        rows.setdefault(point["strategy"], []).append(point)
    lines = [
        [
            f"`{strategy}`",
            f"{', '.join(str(p['size']) for p in points)} {points[0]['unit']}",
            ", ".join(f"{p['tokens']:,.0f}" for p in points),
            ", ".join(f"{100 * p['accuracy']:.1f}" for p in points),
            _range([100 * p["stderr"] for p in points]),
        ]
        for strategy, points in rows.items()
    ]
    header = ("strategy", "sizes", "tokens a problem", "accuracy, %", "standard error")
    return table(header, lines)


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.1f}", f"{max(values):.1f}"
    return low if low == high else f"{low} to {high}"


def load(name: str) -> dict[str, Any]:
    """A result file by its name."""
    result: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return result


def percent(figures: Mapping[str, Any], name: str) -> str:
    return _with_error(figures[name], figures.get(f"{name}_stderr", 0.0))


def _with_error(value: float, stderr: float) -> str:
    return f"{100 * value:.1f}%" + (f" +-{100 * stderr:.1f}" if stderr else "")


def grown(figures: Mapping[str, Any], name: str, unit: str = "", digits: int = 1) -> str:
    before, after = (figures[f"{name}_{when}{unit}"] for when in ("before", "after"))
    return f"{before:.{digits}f} -> {after:.{digits}f}"


def grown_percent(figures: Mapping[str, Any], name: str) -> str:
    before, after = (figures[f"{name}_{when}"] for when in ("before", "after"))
    return f"{100 * before:.0f}% -> {100 * after:.1f}%"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


PARTS: Mapping[str, Callable[[], str]] = {
    "measured-demo": demo,
    "measured-three-tasks": three_tasks,
    "measured-stages": stages,
    "measured-speed": speed,
    "measured-serving": serving,
    "measured-scale-countdown": partial(scaling, "scale-countdown"),
    "measured-scale-arithmetic": partial(scaling, "scale-arithmetic"),
}
