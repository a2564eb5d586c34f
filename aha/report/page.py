"""`aha show RUN --html`: one self-contained page that works offline.

Everything is inside the file: style, script and data. A content-security policy with the script's
hash keeps it so: the page can load nothing, and only its own script runs.
"""

import base64
import hashlib
import html
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from aha.report.figures import as_json, figure_groups
from aha.report.formats import format_change, format_measured, format_seconds, format_value
from aha.report.judgement import judgement_figures, judgement_rows
from aha.report.markup import visible
from aha.report.outcomes import CONS_AT_16, Outcome, headline_of, outcomes
from aha.report.reader import RunData
from aha.report.samples import EmbeddedSamples, embed_samples, moment_json
from aha.report.summary import stage_table, status_line
from aha.report.survey import Survey, survey_samples

MAX_PAGE_BYTES = 3_000_000
RECIPES = {
    "zero": "R1-Zero: reinforcement learning with rule rewards, straight on a base model",
    "r1": "DeepSeek-R1: cold start, reasoning RL, rejection sampling with SFT, RL for all scenarios",
    "distill": "Distillation: a small model learns from the samples of a large one",
    "base": "Pre-training of a base model",
}
CONFIG_FACTS = (
    ("model", ("model", "model_path", "base_model")),
    ("tasks", ("tasks", "task")),
    ("steps", ("num_steps",)),
    ("prompts a step", ("prompts_per_step",)),
    ("samples a prompt", ("samples_per_prompt",)),
)


def write_html(run: RunData, path: str | Path, *, max_bytes: int = MAX_PAGE_BYTES) -> Path:
    """Write the report of a run to `path`, at most about `max_bytes` large."""
    target = Path(path)
    target.write_bytes(render_html(run, max_bytes=max_bytes))
    return target


def render_html(run: RunData, *, max_bytes: int = MAX_PAGE_BYTES) -> bytes:
    """The page in UTF-8. Samples fill what the rest leaves of `max_bytes`."""
    survey = survey_samples(run)
    data = page_data(run, survey)
    empty = _fill(run, survey, data, EmbeddedSamples(groups=[], num_groups_left_out=0))
    budget = max(0, max_bytes - len(empty))
    return _fill(run, survey, data, embed_samples(run, survey, budget_bytes=budget))


def page_data(run: RunData, survey: Survey) -> dict[str, Any]:
    """What the page's script draws, without the samples."""
    cons = next((row.after for row in outcomes(run) if row.spec is CONS_AT_16), None)
    stages = []
    for stage in run.with_metrics():
        groups = as_json(figure_groups(stage, cons_after=cons))
        stages.append({"name": visible(stage.name), "groups": groups})
    return {
        "stages": stages,
        "sampledStages": [visible(stage.name) for stage in run.stages],
        "moments": {
            "fixes": [moment_json(moment) for moment in survey.fixes],
            "failures": [moment_json(moment) for moment in survey.failures],
            "figures": judgement_figures(survey),
        },
    }


def _fill(run: RunData, survey: Survey, data: dict[str, Any], samples: EmbeddedSamples) -> bytes:
    folder = files("aha.report") / "assets"
    css = (folder / "page.css").read_text(encoding="utf-8")
    script = "".join((folder / name).read_text(encoding="utf-8") for name in ("plots.js", "samples.js"))
    note = _samples_note(survey, samples)
    rest = json.dumps(data | {"samplesNote": note}, ensure_ascii=False, separators=(",", ":"))
    groups = ",".join(samples.groups)
    filled = Template((folder / "page.html").read_text(encoding="utf-8")).substitute(
        title=_escape(f"{run.name} · aha"),
        name=_escape(run.name),
        status=_escape(run.status),
        status_class=_escape(run.status if run.status.isalpha() else "unknown"),
        lead=_lead(run),
        nav=_nav(),
        tiles=_tiles(run),
        judgement=_judgement(survey),
        facts=_facts(run),
        footer=_footer(run),
        css=css,
        data=_inert(f'{rest[:-1]},"groups":[{groups}]}}'),
        script=script,
        script_hashes=_hash_of(script),
    )
    return filled.encode("utf-8", "replace")


def _inert(text: str) -> str:
    """JSON that cannot end its script element or start a comment in it."""
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _hash_of(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _escape(value: Any) -> str:
    return html.escape(visible(str(value)))


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
    parts = [RECIPES.get(run.recipe, f"Recipe {run.recipe}")]
    parts += [f"{name} {value}" for name, value in config_facts(run.config)]
    status = status_line(run)
    environment = run.info.get("environment")
    device = environment.get("device") if isinstance(environment, Mapping) else None
    machine = f" on {device}" if device else ""
    return _escape(f"{parts[0]}. {', '.join(parts[1:])}.".replace(". .", ".") + f" {status}{machine}.")


def config_facts(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The few settings that say what was trained, wherever in the configuration they stand."""
    flat = dict(flatten(config))
    found = []
    for name, keys in CONFIG_FACTS:
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


def _nav() -> str:
    sections = ("figures", "moments", "samples", "stages", "configuration")
    return "".join(f'<a href="#{name}">{name.capitalize()}</a>' for name in sections)


def _tiles(run: RunData) -> str:
    rows = outcomes(run)
    if not rows:
        return ""
    tiles = "".join(_tile(row) for row in rows)
    return f'<dl class="tiles" aria-label="Held-out problems, before and after">{tiles}</dl>'


def _tile(row: Outcome) -> str:
    unit = row.spec.unit
    value = "–" if row.after is None else format_value(row.after.value, unit)
    stderr = format_measured(row.after, unit).partition(" ±")[2]
    error = f' <span class="unit">±{stderr}</span>' if stderr else ""
    before = f"from {format_measured(row.before, unit)}" if row.before else ""
    change = f' <span class="change">{format_change(row)}</span>' if row.before else ""
    return (
        f'<div class="tile"><dt>{_escape(row.spec.label)}'
        f"{'' if unit == 'fraction' else ', ' + unit}</dt>"
        f'<dd class="value">{value}{error}</dd><dd class="from">{before}{change or "&nbsp;"}</dd>'
        f'<dd class="bars" aria-hidden="true">{_bars(row)}</dd>'
        f'<dd class="why">{_escape(row.spec.explanation)}</dd></div>'
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


def _judgement(survey: Survey) -> str:
    rows = judgement_rows(survey)
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{_escape(cell)}</th>' for cell in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{_escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:]
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _facts(run: RunData) -> str:
    """Stages, the models of an R1 run, the configuration."""
    return (
        f'<section id="stages" class="facts"><h2>Stages</h2>{_stages(run)}{_models(run)}</section>'
        f'<section id="configuration" class="facts"><h2>Configuration</h2>{_settings(run)}</section>'
    )


def _stages(run: RunData) -> str:
    rows = "".join(
        f"<tr><td>{_escape(stage.name)}</td><td>{_escape(stage.status)}</td>"
        f'<td>{format_seconds(stage.seconds)}</td><td class="code">{_escape(stage.id)}</td>'
        f'<td class="code">{_escape(stage.output or "")}</td></tr>'
        for stage in run.stages
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("stage", "status", "time", "id", "output"))
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _models(run: RunData) -> str:
    models = {name: row for name, row in stage_table(run).items() if isinstance(row, dict)}
    metrics = list(dict.fromkeys(metric for row in models.values() for metric in row))
    if not metrics:
        return ""
    head = "".join(f'<th scope="col">{_escape(name)}</th>' for name in ("metric", *models))
    body = "".join(
        f"<tr><td>{_escape(metric)}</td>"
        + "".join(f"<td>{_escape(_model_cell(row.get(metric)))}</td>" for row in models.values())
        + "</tr>"
        for metric in metrics
    )
    return (
        '<h3 class="stage-title">Models</h3><div class="scroll"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _model_cell(cell: Any) -> str:
    if not isinstance(cell, Mapping) or not isinstance(cell.get("value"), int | float):
        return "–"
    stderr = cell.get("stderr")
    return f"{cell['value']:.4g}" + (f" ±{stderr:.2g}" if isinstance(stderr, int | float) else "")


def _settings(run: RunData) -> str:
    tables = (
        ("Settings", run.config),
        ("Headline", headline_of(run)),
        ("Versions", run.info.get("versions")),
        ("Environment", run.info.get("environment")),
    )
    return "".join(
        f"<details{' open' if name == 'Settings' and len(values) <= 24 else ''}><summary>{name}"
        f"</summary>{_pairs(values)}</details>"
        for name, values in tables
        if isinstance(values, Mapping) and values
    )


def _pairs(values: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><td class="code">{_escape(key)}</td><td class="code">{_escape(value)}</td></tr>'
        for key, value in flatten(values)
    )
    return f'<div class="scroll"><table class="two"><tbody>{rows}</tbody></table></div>'


def _footer(run: RunData) -> str:
    versions = run.info.get("versions")
    version = versions.get("aha", "") if isinstance(versions, Mapping) else ""
    started = f", started {run.info['started']}" if run.info.get("started") else ""
    return _escape(
        f"aha {version}".strip() + f" · {run.path.resolve().name}{started}. This page is one file and "
        "loads nothing. Figures after DeepSeek-R1 (arXiv 2501.12948)."
    )
