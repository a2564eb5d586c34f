"""Suites measured as part of a run: `eval/SUITE/...` in metrics.jsonl, every so many steps.

Responses are drawn by an engine of their own with named random numbers, so what is trained is the
same to the last bit with suites and without.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import create_model

from aha.config import Config
from aha.engine.engine import Engine
from aha.engine.types import SamplingParams
from aha.errors import UserError
from aha.evals.evaluate import sample_task, task_scores
from aha.evals.suites.suite import Protocol, Suite, load_suite, suite_names
from aha.model.decoder import Decoder
from aha.model.tokenizer import Tokenizer
from aha.pipeline.ranks import Ranks
from aha.pipeline.stage import StageContext
from aha.trainers.rollouts import Prompter, Sample
from aha.trainers.suites_config import SuitesConfig

SUITES_SEED = 1
"""Of the engine that measures, so that its draws are the same whatever the training seed."""


def measured_during(config: Config, suites: SuitesConfig) -> Config:
    """The config of a stage with the suites in it, so that they are part of what the stage is.

    The class is the stage's own with one field more: without suites nothing is added, and the
    stage has the identity that it always had.
    """
    kind: Any = create_model(
        type(config).__name__, __base__=type(config), suites=(SuitesConfig, ...)
    )
    measured = kind.model_construct(**dict(config), suites=suites)
    assert isinstance(measured, Config)
    return measured


def are_due(config: Config, step: int, num_steps: int) -> bool:
    """Whether a stage measures suites at a step: before the first, every so many, at the last."""
    suites: SuitesConfig | None = getattr(config, "suites", None)
    return suites is not None and (step % suites.every == 0 or step == num_steps)


def suite_metrics(ctx: StageContext[Any], model: Decoder, tokenizer: Tokenizer) -> dict[str, float]:
    """Figures of all suites that a stage measures, under the names of metrics.jsonl."""
    config: SuitesConfig | None = getattr(ctx.config, "suites", None)
    if config is None:
        return {}
    rows = getattr(ctx.config, "max_batch_rows", 256)
    engine = Engine(model, tokenizer, max_batch_rows=rows, seed=SUITES_SEED)
    metrics: dict[str, float] = {}
    for suite in loaded(config.names, config.data):
        metrics |= measure(engine, suite, ctx.config, ctx.ranks)
    return metrics


def measure(engine: Engine, suite: Suite, config: Any, ranks: Ranks) -> dict[str, float]:
    """One suite, asked as in training where the training has prompts."""
    suites: SuitesConfig = config.suites
    protocol = suite.protocol
    template = suites.template or getattr(config, "template", None) or protocol.template
    trained_with: int = getattr(config, "max_new_tokens", protocol.max_new_tokens)
    params = SamplingParams(
        temperature=_else(suites.temperature, protocol.temperature),
        top_p=_else(suites.top_p, protocol.top_p),
        max_new_tokens=suites.max_new_tokens or trained_with,
    )
    graded, samples = sample_task(
        engine,
        SuitePrompter(template, engine.tokenizer, protocol=protocol),
        suite.task,
        params,
        ranks=ranks,
        split="heldout",
        num_problems=suites.problems,
        num_samples=suites.samples,
    )
    name = curve_name(suite.name, getattr(config, "task", ()))
    return task_scores(graded).metrics(name) | further(suite, name, samples, ranks)


def curve_name(suite: str, trained_on: Sequence[str]) -> str:
    """A task that is trained on has curves of its validation problems under its own name."""
    return f"{suite}-heldout" if suite in trained_on else suite


def further(suite: Suite, name: str, samples: Sequence[Sample], ranks: Ranks) -> dict[str, float]:
    """Means of the suite's own figures over the responses that have them, and whole figures."""
    if suite.figures is None:
        return {}
    mine = [
        (s.problem.id, dict(suite.figures(s.problem, s.completion.text, s.verdict)))
        for s in samples
    ]
    rows = [row for part in ranks.gather(mine) for row in part]
    keys = dict.fromkeys(key for _, row in rows for key in row)
    values = {key: [row[key] for _, row in rows if key in row] for key in keys}
    means = {key: sum(found) / len(found) for key, found in values.items()}
    whole = {key: found.value for key, figure in suite.whole.items() if (found := figure(rows))}
    return {f"eval/{name}/{key}": value for key, value in {**means, **whole}.items()}


@dataclass(frozen=True)
class SuitePrompter(Prompter):
    """Asks as a suite's protocol says."""

    protocol: Protocol = field(default_factory=Protocol)

    def text(self, question: str) -> str:
        return Prompter.text(self, self.protocol.ask(question))


@lru_cache(maxsize=8)
def loaded(names: tuple[str, ...], data: str | None) -> tuple[Suite, ...]:
    """The suites, read once. UserError for one that is not there or has to be judged by a model."""
    folder = Path(data).expanduser() if data is not None else None
    found = tuple(load_one(name, folder) for name in names)
    for suite in found:
        if suite.needs_judge:
            hint = "measure it afterwards: aha eval RUN --suite NAME --judge MODEL"
            raise UserError(f"the suite {suite.name!r} is graded by a model", hint=hint)
    same = [suite.name for suite in found]
    if len(set(same)) < len(same):
        raise UserError("suites.names has a suite twice", hint="name each once")
    return found


def load_one(name: str, folder: Path | None) -> Suite:
    """`data` is for published suites: tasks and files bring their own problems."""
    return load_suite(name, data=folder if name in suite_names() else None)


def _else(value: float | None, other: float) -> float:
    return other if value is None else value
