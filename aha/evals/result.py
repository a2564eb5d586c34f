"""The result of an evaluation: one JSON file with the settings, the figures and every sample.

No clock is in it, so equal settings and an equal seed give equal bytes; how long it took stands in
a file beside it (`timing_path`). `aha eval` writes it, `--regrade` needs nothing else.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from aha.errors import UserError
from aha.evals.metrics import Estimate
from aha.pipeline.files import write_text
from aha.rewards.verdict import Verdict, VerdictKind

FORMAT_VERSION = 1
KIND = "evaluation"
TIMING = ".timing.json"
NOT_SCORED: tuple[VerdictKind, ...] = ("timeout", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleResult:
    """One response and what the grader said about it."""

    text: str
    """The whole response; it begins with `<think>` also where the prompt or the server did that."""
    finish_reason: str
    """stop, length, or what else a server says (content_filter)."""
    length_tokens: int
    verdict: VerdictKind
    score: float
    extracted: str | None = None
    reason: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    """Further figures of the suite, such as `prompt_loose`."""

    @property
    def is_scored(self) -> bool:
        """False where the grader failed: such samples count in no accuracy."""
        return self.verdict not in NOT_SCORED

    @property
    def is_correct(self) -> bool:
        return self.verdict == "correct"

    @property
    def is_truncated(self) -> bool:
        return self.finish_reason == "length"

    def as_verdict(self) -> Verdict:
        return Verdict(
            kind=self.verdict, score=self.score, reason=self.reason, extracted=self.extracted
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemResult:
    """A problem and the responses to it."""

    id: str
    question: str
    gold: str
    language: str = "en"
    prompt: str = ""
    """What the model continued; for an endpoint the message of the user."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """What is short among the problem's own data: level, subject, difficulty."""
    samples: tuple[SampleResult, ...] = ()

    @property
    def scored(self) -> tuple[SampleResult, ...]:
        """The responses that have a verdict."""
        return tuple(sample for sample in self.samples if sample.is_scored)

    @property
    def num_correct(self) -> int:
        return sum(sample.is_correct for sample in self.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An evaluation. The names are those of the file."""

    suite: str
    metric: str
    """Name of the main figure in `metrics`."""
    model: Mapping[str, Any]
    """`name`, `reference` (as it was given), `sha256` of the weights (None for endpoints)."""
    settings: Mapping[str, Any]
    """template, instruction, temperature, top_p, max_new_tokens, samples, seed, num_problems."""
    problems_sha256: str
    prompts_sha256: str
    engine: Mapping[str, Any]
    """`name` (aha, vllm, endpoint), `version`, `dtype`."""
    versions: Mapping[str, str]
    metrics: Mapping[str, Estimate]
    problems: tuple[ProblemResult, ...]
    source: Mapping[str, Any] = field(default_factory=dict)
    """`suite` and `data` as they were given: where a regrade finds the grader."""

    @property
    def main(self) -> Estimate:
        """The main figure."""
        return self.metrics[self.metric]

    def correct(self, problem: ProblemResult) -> int:
        """How many responses to a problem are right."""
        return problem.num_correct

    def table(self) -> dict[str, Any]:
        """As it is written."""
        return {"format_version": FORMAT_VERSION, "kind": KIND, **asdict(self)}


def save_result(path: Path, result: Result) -> None:
    """Write a result in one step. The folder is made."""
    text = json.dumps(result.table(), indent=1, ensure_ascii=False, allow_nan=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name("." + path.name)  # NAME.json.partial is the journal's
    whole = text.encode("utf-8", "replace").decode("utf-8")  # a question may hold half a character
    write_text(hidden, whole + "\n")
    hidden.replace(path)


def load_result(path: Path) -> Result:
    """A result from its file. Raises UserError for what is none, or of another version."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as broken:
        raise UserError(
            f"{path} cannot be read: {broken}", hint="give a file of aha eval"
        ) from None
    if not isinstance(table, dict) or table.get("kind") != KIND:
        raise UserError(f"{path} is no result of an evaluation", hint="give a file of aha eval")
    if table.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{path} was written in result format {table.get('format_version')}; "
            f"this is format {FORMAT_VERSION}",
            hint="use the version of aha-rl that wrote it, or evaluate again",
        )
    try:
        return _result(table)
    except (KeyError, TypeError, AttributeError) as broken:
        message = f"{path} is damaged: {type(broken).__name__}: {broken}"
        raise UserError(message, hint="evaluate again") from None


def timing_path(path: Path) -> Path:
    """Where the seconds of a result are: NAME.timing.json beside NAME.json."""
    return path.with_name(path.stem + TIMING)


def journal_path(path: Path) -> Path:
    """Where an unfinished evaluation keeps what it has: NAME.json.partial beside NAME.json."""
    return path.with_name(path.name + ".partial")


def sample_result(table: Mapping[str, Any]) -> SampleResult:
    """A sample from its row. Raises KeyError, TypeError for a damaged one."""
    return SampleResult(**_known(SampleResult, table))


def _result(table: Mapping[str, Any]) -> Result:
    known = _known(Result, table)
    known["metrics"] = {name: Estimate(**row) for name, row in table["metrics"].items()}
    known["problems"] = tuple(_problems(table["problems"]))
    return Result(**known)


def _problems(rows: Iterable[Mapping[str, Any]]) -> Iterable[ProblemResult]:
    for row in rows:
        samples = tuple(sample_result(sample) for sample in row["samples"])
        yield ProblemResult(**{**_known(ProblemResult, row), "samples": samples})


def _known(kind: type, table: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a dataclass has: a later minor version may write more."""
    return {f.name: table[f.name] for f in fields(kind) if f.name in table}
