"""What an evaluation is, before it begins: suite, model and sampling, all defaults filled in."""

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from aha.chat.templates import TEMPLATES
from aha.config import Config
from aha.engine.types import SamplingParams
from aha.errors import UserError
from aha.evals.backends import Backend, EndpointBackend, open_backend
from aha.evals.suites.suite import Suite, load_suite
from aha.pipeline.endpoints import is_endpoint, parse_endpoint
from aha.pipeline.files import read_json
from aha.pipeline.run_dir import model_of_run, versions
from aha.pipeline.sources import is_file, resolve_model
from aha.tasks.task import Problem

RUNS = Path("runs")
MAX_META_CHARS = 200
"""Longer values of a problem's own data are not copied into the result."""
TWO_TURNS = [{"role": role, "content": "hello"} for role in ("user", "assistant", "user")]
READ_BYTES = 1 << 24


class EvalConfig(Config):
    """An evaluation; what is None is as the suite's protocol, or the model, has it."""

    model: str = Field(description="model folder, run directory, or endpoint:URL#MODEL")
    suite: str = Field(description="name of a suite or of a task, or a file")
    data: str | None = Field(None, description="the suite's JSONL file, or the folder with it")
    samples: int | None = Field(None, ge=1, le=65_536, description="responses to each problem")
    problems: int | None = Field(None, ge=1, description="the first so many; none: all")
    temperature: float | None = Field(None, ge=0, le=10, description="of sampling; 0 is greedy")
    top_p: float | None = Field(None, gt=0, le=1, description="probability mass sampled from")
    max_new_tokens: int | None = Field(None, ge=1, le=1_048_576, description="of a response")
    template: str | None = Field(None, min_length=1, description="prompt template, or a file")
    instruction: str | None = Field(None, description="text behind each question")
    seed: int = Field(0, ge=0, lt=2**32, description="of the responses")
    engine: Literal["local", "vllm"] = Field("local", description="for models on this machine")
    dtype: Literal["float32", "bfloat16"] | None = Field(
        None, description="of the weights; none: float32, in vLLM the checkpoint's"
    )
    judge: str | None = Field(None, description="grades what rules cannot: a model or endpoint")
    ranks: int | None = Field(
        None, ge=1, le=1_024, description="processes, or requests at once; none: one a core, 16"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A resolved evaluation: `config` has no None but where that means "all" or "none"."""

    config: EvalConfig
    suite: Suite
    """With the instruction that was settled on."""
    problems: Sequence[Problem]
    folder: Path | None
    """Of a model on this machine."""
    backend: Backend
    prompts: Sequence[str]
    model: dict[str, Any]

    @property
    def num_samples(self) -> int:
        """Responses to each problem."""
        assert self.config.samples is not None
        return self.config.samples

    def header(self) -> dict[str, Any]:
        """Everything of a result that is known before the first sample."""
        config = self.config
        settings = {
            "template": config.template,
            "instruction": config.instruction,
            "temperature": config.temperature,
            "top_p": config.top_p,
            "max_new_tokens": config.max_new_tokens,
            "samples": config.samples,
            "seed": config.seed,
            "num_problems": len(self.problems),
            **({"judge": config.judge} if config.judge else {}),
            **({"turns": "all"} if self.suite.has_turns else {}),
        }
        return {
            "suite": self.suite.name,
            "metric": self.suite.metric,
            "model": self.model,
            "settings": settings,
            "problems_sha256": problems_sha256(self.problems),
            "prompts_sha256": texts_sha256(self.prompts),
            "engine": self.backend.engine,
            "versions": versions(),
            "source": {"suite": config.suite, "data": config.data},
        }


def plan(config: EvalConfig, *, hash_weights: bool = True) -> Plan:
    """Load suite and model and fill in what is left open. Raises UserError."""
    suite = suite_of(config)
    problems = suite.task.problems("heldout")[: config.problems]
    if not problems:
        raise UserError(f"the suite {suite.name!r} has no problems", hint="see: aha eval --list")
    folder, trained_with = (None, None) if is_endpoint(config.model) else local_model(config.model)
    resolved = resolve(config, suite, trained_with)
    backend = _backend(resolved, folder)
    if suite.has_turns:
        backend.conversation(TWO_TURNS)  # a template without turns ends here
    protocol = replace(suite.protocol, instruction=resolved.instruction or "")
    return Plan(
        config=resolved,
        suite=replace(suite, protocol=protocol),
        problems=problems,
        folder=folder,
        backend=backend,
        prompts=[backend.prompt(protocol.ask(problem.question)) for problem in problems],
        model=_model_row(config.model, folder, backend, hash_weights),
    )


def suite_of(config: EvalConfig) -> Suite:
    """The suite that a config names, with its judge. Raises UserError."""
    judge = None
    if config.judge is not None:
        from aha.data.judge import Judge
        from aha.data.writers import load_writer

        judge = Judge(load_writer(config.judge, seed=config.seed))
    data = Path(config.data).expanduser() if config.data is not None else None
    suite = load_suite(config.suite, data=data, judge=judge)
    if suite.needs_judge and judge is None:
        hint = "--judge endpoint:URL#MODEL, or a model folder"
        raise UserError(f"the suite {suite.name!r} is graded by a model", hint=hint)
    return suite


def resolve(config: EvalConfig, suite: Suite, trained_with: str | None = None) -> EvalConfig:
    """Fill in what is left open: from the model's training, else from the suite's protocol."""
    protocol = suite.protocol
    chat_only = "chat" if is_endpoint(config.model) else None
    if is_endpoint(config.model) and config.template not in (None, "chat"):
        raise UserError(
            "an endpoint fills in its own chat template", hint="leave --template out, or chat"
        )
    chosen = config.replace(
        template=config.template or chat_only or trained_with or protocol.template,
        **{
            name: getattr(protocol, name) if getattr(config, name) is None else value
            for name, value in config.table().items()
            if name in ("instruction", "temperature", "top_p", "max_new_tokens", "samples")
        },
    )
    if chosen.temperature == 0 and chosen.samples != 1:
        raise UserError(
            f"temperature 0 gives the same response {chosen.samples} times",
            hint="--samples 1, or a temperature above 0",
        )
    return chosen


def local_model(reference: str) -> tuple[Path, str | None]:
    """The folder of a model, and the template that a run has trained it with.

    reference: a model folder, a run directory, its name in runs/, or a named model.
    """
    for path in (Path(reference).expanduser(), RUNS / reference):
        if (folder := model_of_run(path)) is not None:
            return folder, _trained_template(folder)
    return resolve_model(reference), None


def _trained_template(folder: Path) -> str | None:
    """As its stage's config names it; fine-tuned models bring a chat template instead."""
    template = read_json(folder.parent / "config.json").get("template")
    if template is not None and (template in TEMPLATES or is_file(template)):
        return str(template)
    return "chat" if is_file(folder / "chat_template.jinja") else None


def texts_sha256(texts: Iterable[str]) -> str:
    """Hash of several texts (hexadecimal)."""
    whole = json.dumps(list(texts))
    return hashlib.sha256(whole.encode()).hexdigest()


def problems_sha256(problems: Sequence[Problem]) -> str:
    """Hash of everything that questions and grades depend on in the data."""
    return texts_sha256(
        json.dumps([p.id, p.question, p.gold, p.language, dict(p.meta)], default=_type_name)
        for p in problems
    )


def short_meta(problem: Problem) -> dict[str, Any]:
    """What is plain and short among a problem's own data, as its level and subject."""

    def is_short(value: Any) -> bool:
        if isinstance(value, str):
            return len(value) <= MAX_META_CHARS
        return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))

    return {str(name): value for name, value in problem.meta.items() if is_short(value)}


def weights_sha256(folder: Path) -> str:
    """Hash of the weight files of a model, by name and content (hexadecimal)."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        with open(file, "rb") as stream:
            while block := stream.read(READ_BYTES):
                digest.update(block)
    return digest.hexdigest()


def _backend(config: EvalConfig, folder: Path | None) -> Backend:
    assert config.temperature is not None and config.top_p is not None
    assert config.max_new_tokens is not None and config.template is not None
    return open_backend(
        config.model,
        folder,
        engine=config.engine,
        template=config.template,
        params=SamplingParams(
            temperature=config.temperature,
            top_p=config.top_p,
            max_new_tokens=config.max_new_tokens,
        ),
        seed=config.seed,
        dtype=config.dtype,
        at_once=config.ranks,
    )


def _model_row(
    reference: str, folder: Path | None, backend: Backend, hash_weights: bool
) -> dict[str, Any]:
    if folder is None:
        assert isinstance(backend, EndpointBackend)
        name = parse_endpoint(reference).model or backend.endpoint.model
        return {"name": name, "reference": reference, "sha256": None}
    sha256 = weights_sha256(folder) if hash_weights else None
    return {"name": model_name(reference, folder), "reference": reference, "sha256": sha256}


def model_name(reference: str, folder: Path) -> str:
    """What people call a model: its run, its folder, or the name it was asked for by."""
    given = Path(reference).expanduser()
    if is_file(given / "run.json") or is_file(given / "config.json"):
        return given.absolute().name
    return reference


def _type_name(value: object) -> str:
    return type(value).__name__
