"""What a run will do, stage by stage, before it starts: the graph, sizes and rough times.

Sizes are upper bounds: how many samples a filter accepts is known afterwards. Times are estimates
from two models that were measured on two x86 cores of a server (benchmarks/results/rollout.json,
grpo_step.json, README "Speed"): the embedded one with 1 million parameters samples 12,500 tokens a
second and rank (half the benchmark's, whose rows all run to the limit) and trains on 9,000,
SmolLM2-135M 325 and 200. A token costs a constant and a part in proportion to the parameters;
attention over long contexts, loading and accelerators are not in it.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aha.config import Config, load_toml
from aha.data.config import (
    ColdStartConfig,
    GeneralConfig,
    MixConfig,
    PreferenceConfig,
    RejectionConfig,
    SamplingConfig,
)
from aha.data.mixing import sizes
from aha.evals.config import EvaluateConfig, StageTableConfig
from aha.pipeline.progress import format_seconds
from aha.pipeline.sources import Source
from aha.pipeline.stage import Stage
from aha.recipes.presets import PRESETS
from aha.recipes.recipe import counted
from aha.trainers.config import PretrainConfig, RewardModelConfig, SftConfig
from aha.trainers.ppo_config import PpoConfig
from aha.trainers.rollout_config import RolloutConfig

SAMPLE_SECONDS, SAMPLE_SECONDS_PER_PARAMETER = 5.8e-5, 2.24e-11
"""Of one rank for a sampled token: 12,500 tokens/s at 1 million parameters, 325 at 135 million."""
TRAIN_SECONDS, TRAIN_SECONDS_PER_PARAMETER = 7.4e-5, 3.65e-11
"""Of one rank for a trained token: 9,000 tokens/s at 1 million parameters, 200 at 135 million."""
FILLED = 0.4
"""Mean length of a response as a share of max_new_tokens: 0.35 to 0.4 with the tiny preset."""
PROMPT_TOKENS = 32
QUOTED_PRESETS = ("paper",)
"""Presets whose comments are the sources of their values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a stage does; zeros where it does none of it."""

    words: tuple[str, ...] = ()
    """For people: "12,288 responses", "at most 1,536 rows"."""
    sampled_tokens: float = 0
    trained_tokens: float = 0
    rows: int = 0
    """Of the output, at most."""
    row_tokens: float = 0
    """Mean tokens of such a row."""
    pairs: int = 0
    """Of a stage of preferences, whose rows are the labels."""
    is_known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStage:
    """One line of the graph."""

    name: str
    id: str
    inputs: Mapping[str, str]
    """Name of an input -> what it is."""
    size: Size
    seconds: float | None
    """An estimate; None where the model's size is not known."""


@dataclass(slots=True)
class _Known:
    """Of the stages so far, by name."""

    sizes: dict[str, Size] = field(default_factory=dict)
    parameters: dict[str, int | None] = field(default_factory=dict)


def planned(stages: Sequence[Stage[Any]], ranks: int) -> list[PlannedStage]:
    """The graph with sizes and times."""
    known, lines = _Known(), []
    for stage in stages:
        size = size_of(stage, known.sizes)
        parameters = _parameters_of(stage, known.parameters)
        known.sizes[stage.name], known.parameters[stage.name] = size, parameters
        lines.append(
            PlannedStage(
                name=stage.name,
                id=stage.id,
                inputs={name: _called(given) for name, given in stage.inputs.items()},
                size=size,
                seconds=seconds_of(size, parameters, ranks),
            )
        )
    return lines


def graph_lines(stages: Sequence[Stage[Any]], ranks: int) -> list[str]:
    """The graph for people: what each stage reads, does and takes."""
    lines = planned(stages, ranks)
    width = max(len(line.name) for line in lines)
    note = "(sizes at most; times are rough estimates for CPU cores)"
    shown = [f"stages on {counted(ranks, 'rank')} {note}:"]
    for line in lines:
        time = (
            f"about {format_seconds(line.seconds)}" if line.seconds is not None else "time unknown"
        )
        inputs = ", ".join(_input_words(*given) for given in line.inputs.items())
        parts = [f"from {inputs}" if inputs else "from nothing", *line.size.words, time]
        shown.append(f"  {line.name:<{width}} ({line.id}): {'; '.join(parts)}")
    times = [line.seconds for line in lines]
    if len(lines) > 1 and all(time is not None for time in times):
        total = sum(time for time in times if time is not None)
        shown.append(f"  together about {format_seconds(total)}")
    return shown


def seconds_of(size: Size, parameters: int | None, ranks: int) -> float | None:
    """An estimate of the time of a stage."""
    if not size.is_known:
        return None
    if not size.sampled_tokens and not size.trained_tokens:
        return 1.0
    if parameters is None:
        return None
    sampling = SAMPLE_SECONDS + SAMPLE_SECONDS_PER_PARAMETER * parameters
    training = TRAIN_SECONDS + TRAIN_SECONDS_PER_PARAMETER * parameters
    return (size.sampled_tokens * sampling + size.trained_tokens * training) / ranks


def size_of(stage: Stage[Any], before: Mapping[str, Size]) -> Size:
    """What a stage will do, from its config and the sizes of the stages that it reads."""
    config = stage.config
    given = {
        name: before[value.name]
        for name, value in stage.inputs.items()
        if isinstance(value, Stage) and value.name in before
    }
    if isinstance(config, RolloutConfig):
        return _rl(config, with_critic=isinstance(config, PpoConfig))
    if isinstance(config, ColdStartConfig | RejectionConfig):
        return _sampling(config)
    if isinstance(config, PreferenceConfig):
        return _preferences(config)
    if isinstance(config, GeneralConfig):
        return Size(words=(f"{config.rows:,} rows",), rows=config.rows, row_tokens=PROMPT_TOKENS)
    if isinstance(config, MixConfig):
        return _mix(config, given)
    if isinstance(config, SftConfig):
        return _sft(config, given.get("data", Size()))
    if isinstance(config, RewardModelConfig):
        return _reward_model(config, given.get("data", Size()))
    if isinstance(config, PretrainConfig):
        words = (f"{config.num_steps:,} updates", f"{config.num_tokens:,} tokens")
        return Size(words=words, trained_tokens=config.num_tokens)
    if isinstance(config, StageTableConfig):
        return _table(config, len([g for n, g in stage.inputs.items() if " " not in n]))
    return _evaluation(config) if isinstance(config, EvaluateConfig) else Size(is_known=False)


def _rl(config: RolloutConfig, *, with_critic: bool) -> Size:
    """A critic is trained on the same tokens as the policy."""
    responses = config.num_steps * config.responses_per_step
    times = config.num_steps // config.eval_every + 1 if config.eval_every else 0
    evaluated = times * config.eval_problems * len(config.task)
    mean = FILLED * config.max_new_tokens
    return Size(
        words=(
            f"{config.num_steps:,} steps, {config.num_steps * config.minibatches:,} updates",
            f"{responses:,} responses",
            f"{responses * config.max_new_tokens:,} new tokens",
        ),
        sampled_tokens=(responses + evaluated) * mean,
        trained_tokens=responses * (mean + PROMPT_TOKENS) * (2 if with_critic else 1),
    )


def _sampling(config: ColdStartConfig | RejectionConfig) -> Size:
    asked = config.problems * len(config.task)
    if isinstance(config, ColdStartConfig) and config.file != "none":
        return Size(words=("the rows of a file",), rows=asked, row_tokens=_row_tokens(config))
    responses = asked * config.samples
    rows = asked * min(config.per_problem, config.samples)
    words = (f"{asked:,} problems", f"{responses:,} responses", f"{rows:,} rows")
    sampled = responses * FILLED * config.max_new_tokens
    return Size(words=words, sampled_tokens=sampled, rows=rows, row_tokens=_row_tokens(config))


def _row_tokens(config: SamplingConfig) -> float:
    return PROMPT_TOKENS + FILLED * config.max_new_tokens


def _preferences(config: PreferenceConfig) -> Size:
    asked = config.problems * len(config.task)
    responses, pairs = asked * config.samples, asked * math.comb(config.samples, 2)
    return Size(
        words=(f"{responses:,} responses", f"{pairs:,} pairs, {responses:,} labels"),
        sampled_tokens=responses * FILLED * config.max_new_tokens,
        rows=responses,
        pairs=pairs,
        row_tokens=_row_tokens(config),
    )


def _mix(config: MixConfig, given: Mapping[str, Size]) -> Size:
    reasoning, general = given.get("reasoning", Size()), given.get("general", Size())
    if not reasoning.rows or not (general.rows or not config.general_fraction):
        return Size()
    num_reasoning, num_general = sizes(
        reasoning.rows,
        general.rows,
        general_fraction=config.general_fraction,
        max_rows=config.max_rows,
    )
    rows = num_reasoning + num_general
    tokens = num_reasoning * reasoning.row_tokens + num_general * general.row_tokens
    words = (f"{rows:,} rows: {num_reasoning:,} reasoning, {num_general:,} general",)
    return Size(words=words, rows=rows, row_tokens=tokens / max(1, rows))


def _sft(config: SftConfig, data: Size) -> Size:
    rows = round(data.rows * (1 - config.validation_fraction))
    updates = config.num_steps or config.epochs * math.ceil(rows / config.batch_samples)
    samples = updates * config.batch_samples if config.num_steps else config.epochs * rows
    trained = samples * min(data.row_tokens, config.row_tokens)
    of_epochs = "" if config.num_steps else f"{counted(config.epochs, 'epoch')} of "
    words = (f"{of_epochs}{rows:,} samples", f"{updates:,} updates")
    return Size(words=words, trained_tokens=trained)


def _reward_model(config: RewardModelConfig, data: Size) -> Size:
    is_pairwise = config.kind == "pairwise"
    count = round((data.pairs if is_pairwise else data.rows) * (1 - config.held_back_fraction))
    updates = config.epochs * max(1, count // config.batch_rows)
    texts = config.epochs * count * (2 if is_pairwise else 1)
    name = "pairs" if is_pairwise else "labels"
    words = (f"{counted(config.epochs, 'epoch')} of {count:,} {name}", f"{updates:,} updates")
    return Size(
        words=(f"{count:,} {name}, each read once",) if config.body == "frozen" else words,
        trained_tokens=texts * min(data.row_tokens, config.max_tokens),
    )


def _table(config: StageTableConfig, num_models: int) -> Size:
    each = config.problems * config.samples + config.cons_problems * config.cons_samples
    each += len(config.chat_tasks) * config.chat_problems * config.chat_samples
    words = (f"{num_models} models, {num_models * each:,} responses",)
    return Size(words=words, sampled_tokens=num_models * each * FILLED * config.max_new_tokens)


def _evaluation(config: EvaluateConfig) -> Size:
    tasks = len(config.task or ("",))
    pass_at_1, vote = config.problems * config.samples, config.cons_problems * config.cons_samples
    responses = tasks * (3 * pass_at_1 + vote)  # before, after, and without reflection words
    sampled = responses * FILLED * (config.max_new_tokens or 0)
    return Size(words=(f"{responses:,} responses",), sampled_tokens=sampled)


def _input_words(name: str, value: str) -> str:
    """Once where an input is called as what it is."""
    return name if name == value or name.endswith(f" {value}") else f"{name} {value}"


def _called(given: Stage[Any] | Source) -> str:
    return given.name if isinstance(given, Stage) else given.value


def _parameters_of(stage: Stage[Any], before: Mapping[str, int | None]) -> int | None:
    """Of the model that a stage trains or samples, where it has one."""
    if isinstance(stage.config, PretrainConfig):
        return _of_pretraining(stage.config)
    models = [g for n, g in stage.inputs.items() if n == "model"] or [
        given for name, given in stage.inputs.items() if " " not in name
    ]
    found = [
        before.get(g.name) if isinstance(g, Stage) else parameters_in(g.path) for g in models[:1]
    ]
    return found[0] if found else None


def _of_pretraining(config: PretrainConfig) -> int:
    share = (config.kv_heads or config.heads) / config.heads
    block = config.width**2 * (2 + 2 * share) + 3 * config.width * (config.mlp_width or 0)
    return round(config.layers * block + config.vocab_size * config.width)


def parameters_in(folder: Path) -> int | None:
    """Parameters of a dense decoder by its config.json; None where that does not say."""
    try:
        table = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        width, heads = int(table["hidden_size"]), int(table["num_attention_heads"])
        head = int(table.get("head_dim") or width // heads)
        kv_heads = int(table.get("num_key_value_heads") or heads)
        attention = 2 * width * heads * head + 2 * width * kv_heads * head
        block = attention + 3 * width * int(table["intermediate_size"])
        ends = 1 if table.get("tie_word_embeddings") else 2
        vocabulary = int(table["vocab_size"]) * width * ends
        return int(table["num_hidden_layers"]) * block + vocabulary
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError, AttributeError):
        return None


def quoted_lines(recipe: str, preset: str | None, config: Config) -> list[str]:
    """Where the values of a preset that quotes its source come from; empty for other presets."""
    if preset not in QUOTED_PRESETS:
        return []
    found = quoted_sources(PRESETS / recipe / f"{preset}.toml", config)
    return [f"sources of the values of the preset {preset}:", *(f"  {line}" for line in found)]


def quoted_sources(preset: Path, config: Config) -> Iterator[str]:
    """`stage.key = value: comment` for every value of a preset that the config still has."""
    table, resolved = load_toml(preset), config.table()
    place = ""
    for line in preset.read_text(encoding="utf-8").splitlines():
        if header := re.match(r"\[([\w.]+)\]", line):
            place = header[1]
            continue
        said = re.match(r"(\w+) = .*?  # (.*)$", line)
        if not said:
            continue
        path = [*place.split("."), said[1]] if place else [said[1]]
        value = _at(table, path)
        if value == _at(resolved, path):
            yield f"{'.'.join(path)} = {json.dumps(value)}: {said[2]}"


def _at(table: Any, path: Sequence[str]) -> Any:
    for key in path:
        table = table.get(key) if isinstance(table, Mapping) else None
    return table
