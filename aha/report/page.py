"""`aha show RUN --html`: one self-contained page that works offline.

The page around it is `shell`'s; here is what a run puts on it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from aha.report.across import across_groups, pipeline_stages
from aha.report.corrections import correction_lines
from aha.report.emergence import emergence_figures, emergence_section
from aha.report.figures import as_json, figure_groups
from aha.report.formats import (
    DASH,
    PLUS_MINUS,
    TIMES,
    format_change,
    format_measured,
    format_seconds,
    format_value,
)
from aha.report.judgement import judgement_figures, judgement_rows
from aha.report.markup import visible
from aha.report.models import MULTI_STAGE, compared_names, headline_outcomes, model_table
from aha.report.outcomes import Outcome, headline_of, majority_of, outcomes, task_names
from aha.report.reader import RunData
from aha.report.samples import EmbeddedSamples, embed_samples, inert, moment_json
from aha.report.sections import data_section, lineage_section, models_section, paper_beside
from aha.report.shell import BASE_SCRIPTS, asset, fill_shell
from aha.report.summary import status_line, warnings_of
from aha.report.survey import Survey, survey_samples
from aha.report.tags import escape, section, table

MAX_PAGE_BYTES = 3_000_000
SCRIPTS = (*BASE_SCRIPTS, "models.js", "emergence.js", "start.js")
NAV = {
    "models": "Models",
    "lineage": "Lineage",
    "figures": "Figures",
    "problems": "Problems",
    "datasets": "Data",
    "emergence": "Emergence",
    "moments": "Moments",
    "samples": "Samples",
    "stages": "Stages",
    "configuration": "Configuration",
}
RECIPES = {
    "zero": "R1-Zero: reinforcement learning with rule rewards, straight on a base model",
    "r1": "DeepSeek-R1: cold start, reasoning RL, rejection sampling with SFT, RL for everything",
    "distill": "Distillation: a small model learns from the samples of a large one",
    "ablation": "Ablation: one choice of R1 against another",
    "base": "Pre-training of a base model",
}
CONFIG_FACTS = (
    ("model", ("model", "model_path", "base_model")),
    ("tasks", ("tasks", "task")),
    ("steps", ("num_steps",)),
    ("prompts", ("prompts_per_step",)),
    ("samples", ("samples_per_prompt",)),
)


def write_html(run: RunData, path: str | Path, *, max_bytes: int = MAX_PAGE_BYTES) -> Path:
    """Write the report of a run to `path`, at most about `max_bytes` large."""
    target = Path(path)
    target.write_bytes(page_bytes(run, max_bytes=max_bytes))
    return target


def page_bytes(run: RunData, *, max_bytes: int = MAX_PAGE_BYTES) -> bytes:
    """The page in UTF-8. Samples fill what the rest leaves of `max_bytes`."""
    survey = survey_samples(run)
    data = page_data(run, survey)
    empty = _fill(run, survey, data, EmbeddedSamples(groups=[], num_groups_left_out=0))
    budget = max(0, max_bytes - len(empty))
    return _fill(run, survey, data, embed_samples(run, survey, budget_bytes=budget))


def page_data(run: RunData, survey: Survey) -> dict[str, Any]:
    """What the page's script draws, without the samples."""
    majority = None if run.recipe in MULTI_STAGE else majority_of(outcomes(run))
    models = model_table(run)
    stages = []
    for stage in pipeline_stages(run):
        groups = as_json(figure_groups(stage, majority=majority))
        stages.append({"name": visible(stage.name), "groups": groups})
    return {
        "stages": stages,
        "across": as_json(across_groups(run)),
        "models": [visible(name) for name in models.models] if models else [],
        "sampledStages": [visible(stage.name) for stage in run.stages],
        "numSampledStages": len({key.stage for key in survey.groups if not key.when}),
        "moments": {
            "fixes": [moment_json(moment) for moment in survey.fixes],
            "failures": [moment_json(moment) for moment in survey.failures],
            "figures": judgement_figures(survey),
        },
        "emergence": emergence_figures(survey),
    }


def _fill(run: RunData, survey: Survey, data: dict[str, Any], samples: EmbeddedSamples) -> bytes:
    note = _samples_note(survey, samples)
    rest = json.dumps(data | {"samplesNote": note}, ensure_ascii=False, separators=(",", ":"))
    status_class = escape(run.status if run.status.isalpha() else "unknown")
    main = Template(asset("run.html")).substitute(
        tiles=_tiles(run),
        models=models_section(run) + lineage_section(run),
        datasets=data_section(run),
        emergence=emergence_section(run, survey),
        judgement=_judgement(run, survey),
        facts=_facts(run),
    )
    return fill_shell(
        title=f"{run.name} - aha",
        heading=f'{escape(run.name)} <span class="pill {status_class}">{escape(run.status)}</span>',
        lead=_lead(run),
        nav=NAV,
        main=main,
        footer=_footer(run),
        data=f'{inert(rest)[:-1]},"groups":[{",".join(samples.groups)}]}}',
        scripts=SCRIPTS,
    )


def _samples_note(survey: Survey, samples: EmbeddedSamples) -> str:
    shown, left_out = len(samples.groups), samples.num_groups_left_out
    if not left_out and not survey.num_steps_skipped:
        return f"All {shown} groups of samples of this run."
    note = f"{shown} of {shown + left_out} groups are on this page: problems that come back, then "
    note += "steps at even distances. The others are in the run's samples folders."
    if survey.num_steps_skipped:
        note += f" Samples of {survey.num_steps_skipped} steps were not read."
    return note


def _lead(run: RunData) -> str:
    """One or two sentences: what was trained, on what, how long."""
    facts = _trained_on(dict(config_facts(run.config, _facts_of(run))))
    sentences = [RECIPES.get(run.recipe, f"Recipe {run.recipe}"), facts, status_line(run)]
    sentences.append(str(run.info.get("error") or ""))
    sentences += [f"warning: {text}" for text in warnings_of(run)]
    return " ".join(f"{text[0].upper()}{text[1:]}." for text in sentences if text)


def _trained_on(facts: dict[str, str]) -> str:
    """`Model embedded, tasks arithmetic, 40 steps of 16 prompts x 16 samples`."""
    size = [f"{facts[name]} {name}" for name in ("steps", "prompts", "samples") if name in facts]
    steps = " of ".join([*size[:1], f" {TIMES} ".join(size[1:])]) if len(size) == 3 else ""
    named = [f"{name} {facts[name]}" for name in ("model", "tasks") if name in facts]
    return ", ".join([*named, steps] if steps else named)


def _facts_of(run: RunData) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """In a recipe of many stages, steps and prompts are those of none of them in particular."""
    return CONFIG_FACTS[:2] if run.recipe in MULTI_STAGE else CONFIG_FACTS


def config_facts(
    config: Mapping[str, Any], facts: Sequence[tuple[str, tuple[str, ...]]] = CONFIG_FACTS
) -> list[tuple[str, str]]:
    """The few settings that say what was trained, wherever in the configuration they stand."""
    flat = dict(flatten(config))
    found = []
    for name, keys in facts:
        values = (value for key in keys for full, value in flat.items() if _ends(full, key))
        if (value := next(values, None)) is not None:
            found.append((name, value))
    return found


def _ends(full: str, key: str) -> bool:
    return full == key or full.endswith(f".{key}")


def flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(dotted key, value as text) of every setting."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            yield f"{prefix}{key}", ", ".join(map(str, value))
        elif value is not None:
            yield f"{prefix}{key}", str(value)


def _tiles(run: RunData) -> str:
    rows = headline_outcomes(run)
    if not rows:
        return ""
    tiles = "".join(_tile(row) for row in rows)
    notes = "".join(f'<p class="note said">{escape(line)}</p>' for line in correction_lines(run))
    label = "Held-out problems, before and after"
    paper = "" if run.recipe in MULTI_STAGE else paper_beside(run)
    if names := compared_names(run):
        notes += f'<p class="note said">{escape(names)}, on held-out prompts.</p>'
    return f'<dl class="tiles" aria-label="{label}">{tiles}</dl>{notes}{_by_task(run)}{paper}'


def _by_task(run: RunData) -> str:
    """A line for each task where there are several; the tiles above show one or a mean."""
    tasks = task_names(run)
    if len(tasks) < 2 or run.recipe in MULTI_STAGE:
        return ""
    found = {task: {row.spec.name: row for row in outcomes(run, task)} for task in tasks}
    labels = list(dict.fromkeys(label for rows in found.values() for label in rows))
    cells = ([task, *(_before_after(rows.get(x)) for x in labels)] for task, rows in found.items())
    return table(["task, before -> after", *labels], cells)


def _before_after(row: Outcome | None) -> str:
    if row is None:
        return DASH
    ends = (row.before, row.after)
    return " -> ".join(DASH if x is None else format_value(x.value, row.spec.unit) for x in ends)


def _tile(row: Outcome) -> str:
    unit = row.spec.unit
    value = DASH if row.after is None else format_value(row.after.value, unit)
    stderr = format_measured(row.after, unit).partition(PLUS_MINUS)[2]
    error = f' <span class="unit">{PLUS_MINUS}{stderr}</span>' if stderr else ""
    before = f"from {format_measured(row.before, unit)}" if row.before else "&nbsp;"
    return (
        f'<div class="tile"><dt>{escape(row.spec.name)}</dt>'
        f'<dd class="value">{value}{error}</dd><dd class="from">{before}</dd>'
        f'<dd class="from change">{format_change(row)}</dd>'
        f'<dd class="bars" aria-hidden="true">{_bars(row)}</dd>'
        f'<dd class="why">{escape(row.spec.explanation)}</dd></div>'
    )


def _bars(row: Outcome) -> str:
    """Two small bars, before and after, on one scale."""
    ends = [("before", row.before), ("after", row.after)]
    known = [(name, measured.value) for name, measured in ends if measured is not None]
    most = 1.0 if row.spec.unit == "fraction" else max((value for _, value in known), default=1.0)
    return "".join(
        f'<i class="{name}" style="width:{100 * max(0.0, value) / (most or 1):.1f}%"></i>'
        for name, value in known
    )


def _judgement(run: RunData, survey: Survey) -> str:
    rows = judgement_rows(run, survey)
    if not rows:
        return ""
    return table(rows[0], rows[1:])


def _facts(run: RunData) -> str:
    """Stages and the configuration."""
    parts = (("stages", "Stages", _stages(run)), ("configuration", "Configuration", _settings(run)))
    return "".join(section(*part) for part in parts)


def _stages(run: RunData) -> str:
    rows = [
        (stage.name, stage.status, format_seconds(stage.seconds), stage.path.name,
         Path(stage.output).name if stage.output else "")
        for stage in run.stages
    ]  # fmt: skip
    return table(("stage", "status", "time", "folder", "output"), rows)


def _settings(run: RunData) -> str:
    tables = (
        ("Settings", run.config),
        ("Headline", headline_of(run)),
        ("Versions", run.info.get("versions")),
        ("Environment", run.info.get("environment")),
    )
    return "".join(
        f"<details><summary>{name}</summary>{_pairs(values)}</details>"
        for name, values in tables
        if isinstance(values, Mapping) and values
    )


def _pairs(values: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><td class="code">{escape(key)}</td><td class="code">{escape(value)}</td></tr>'
        for key, value in flatten(values)
    )
    return f'<div class="scroll"><table class="two"><tbody>{rows}</tbody></table></div>'


def _footer(run: RunData) -> str:
    versions = run.info.get("versions")
    version = (
        (versions.get("aha-rl") or versions.get("aha") or "")
        if isinstance(versions, Mapping)
        else ""
    )
    started = f", started {run.info['started']}" if run.info.get("started") else ""
    made_by = f"aha {version}".strip()
    return (
        f"{made_by}, run {run.path.resolve().name}{started}. This page is one file and loads "
        "nothing. Figures after DeepSeek-R1 (arXiv 2501.12948)."
    )
