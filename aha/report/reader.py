"""Reads a run directory, whatever state it is in: running, done, killed half-way, partly deleted.

Nothing here writes, and no other module of the report opens a file of the run.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from aha.errors import UserError
from aha.pipeline.run_dir import run_status

Row = dict[str, Any]
MAX_LINE_CHARS = 4_000_000
"""A longer line of a samples file is skipped: no sample is that long, and pages are bounded."""
MAX_MASK_CHARS = 6_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StageData:
    """One stage directory."""

    name: str
    id: str
    path: Path
    status: str
    """done, waiting, or the run's own status where the stage has begun and not finished."""
    seconds: float | None = None
    output: str | None = None
    """Path of the finished output, while it exists."""
    summary: Row = field(default_factory=dict)
    config: Row = field(default_factory=dict)
    metrics: list[Row] = field(default_factory=list)
    """One row a step, in order of `step`; only finite numbers."""
    timing: list[Row] = field(default_factory=list)
    sample_files: dict[int, Path] = field(default_factory=dict)
    """Step -> file."""
    inputs: dict[str, Row] = field(default_factory=dict)
    """Name -> what came in: `kind` (source or stage), `value`, `identity`."""
    funnel: Row = field(default_factory=dict)
    """funnel.json of a data stage."""
    mask: str = ""
    """The beginning of mask.txt of a fine-tuning: its trained tokens stand in [[ ]]."""

    @property
    def last_step(self) -> int | None:
        return int(self.metrics[-1]["step"]) if self.metrics else None

    def series(self, key: str) -> list[tuple[int, float]]:
        """(step, value) wherever the metric was logged."""
        return [(int(row["step"]), float(row[key])) for row in self.metrics if key in row]

    def samples(self, step: int) -> Iterator[Row]:
        """The rows of one step's samples file; broken lines are skipped."""
        yield from read_jsonl(self.sample_files[step])


@dataclass(frozen=True, slots=True, kw_only=True)
class RunData:
    """A whole run directory."""

    path: Path
    info: Row
    """run.json as it stands."""
    status: str
    """As in run.json, but `interrupted` where its writer is gone without a word."""
    stages: list[StageData]
    emergence: Row = field(default_factory=dict)
    """emergence.json, what `aha emergence RUN --causal` has measured; else empty."""
    last_change: datetime | None
    """When a file of the run was last written (local time zone)."""

    @property
    def name(self) -> str:
        return str(self.info.get("name") or self.path.resolve().name)

    @property
    def recipe(self) -> str:
        return str(self.info.get("recipe", "unknown"))

    @property
    def config(self) -> Row:
        return _mapping(self.info.get("config"))

    @property
    def seconds(self) -> float | None:
        """What run.json says, or the stages together where that is more (a run under way)."""
        stages = [stage.seconds for stage in self.stages if stage.seconds is not None]
        said = as_number(self.info.get("seconds"))
        if self.status == "done" and said is not None:
            return said
        total = sum(stages) if stages else None
        return max((value for value in (said, total) if value is not None), default=None)

    def with_metrics(self) -> list[StageData]:
        return [stage for stage in self.stages if stage.metrics]


def read_run(path: str | Path) -> RunData:
    """Read a run directory. Raises UserError for a folder that is none."""
    folder = Path(path)
    info = _read_info(folder)
    listed = [_mapping(stage) for stage in _sequence(info.get("stages"))]
    status = _status(folder, info)
    stages = [_read_stage(folder, entry, status) for entry in _merge_stages(folder, listed)]
    changed = _last_change(folder)
    return RunData(
        path=folder,
        info=info,
        status=status,
        stages=stages,
        emergence=_read_object(folder / "emergence.json"),
        last_change=changed,
    )


def _status(folder: Path, info: Row) -> str:
    try:
        return run_status(folder, {"status": str(info.get("status", "unknown"))})
    except OSError:  # the lock file cannot be opened by this user
        return str(info.get("status", "unknown"))


def read_jsonl(path: Path) -> Iterator[Row]:
    """Objects of a JSON-lines file. Broken lines are skipped; a missing file has none."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            while line := file.readline(MAX_LINE_CHARS):
                if (row := _parse_object(line)) is not None:
                    yield row
    except OSError:
        return


def _parse_object(line: str) -> Row | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _read_info(folder: Path) -> Row:
    hint = "pass the directory that `aha run` wrote: it holds run.json and stages/"
    if not folder.exists():
        raise UserError(f"no such run: {folder}", hint=hint)
    if not folder.is_dir():
        raise UserError(f"not a run directory: {folder} is a file", hint=hint)
    if (folder / "DONE.json").exists() and (folder.parent.parent / "run.json").exists():
        hint = f"this is one stage; the run is {folder.parent.parent}"
    if not (folder / "run.json").is_file():
        raise UserError(f"not a run directory: {folder} has no run.json", hint=hint)
    try:
        info = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        message = f"cannot read {folder / 'run.json'}: {error}"
        raise UserError(message, hint="restore the file or start the run again") from error
    if not isinstance(info, dict):
        raise UserError(f"{folder / 'run.json'} holds no JSON object", hint=hint)
    return info


def _merge_stages(folder: Path, listed: Sequence[Row]) -> list[Row]:
    """The stages run.json names, then directories it does not name (it may be older than they)."""
    entries = [{**entry, "dir": _folder_name(entry)} for entry in listed]
    known = {entry["dir"] for entry in entries}
    found = sorted(path.name for path in (folder / "stages").glob("*") if path.is_dir())
    return entries + [{"dir": name} for name in found if name not in known]


def _folder_name(entry: Row) -> str:
    """The stage's own directory name: run.json may not point out of the run."""
    name = Path(str(entry.get("dir") or "")).name
    return "" if name in (".", "..") else name


def _read_stage(folder: Path, entry: Row, status: str) -> StageData:
    path = folder / "stages" / (entry["dir"] or "missing")
    done = _read_object(path / "DONE.json")
    finished, started = (path / "DONE.json").is_file(), path.is_dir()
    number_name_hash = entry["dir"].split("-")
    middle = "-".join(number_name_hash[1:-1]) or entry["dir"]
    output = path / str(done["output"]) if done.get("output") else None
    known_seconds = (as_number(source.get("seconds")) for source in (done, entry))
    timing = _by_step(read_jsonl(path / "timing.jsonl"))
    return StageData(
        name=str(entry.get("name") or middle),
        id=str(entry.get("id") or number_name_hash[-1]),
        path=path,
        status="done" if finished else status if started else "waiting",
        seconds=next((s for s in known_seconds if s is not None), _sum_seconds(timing)),
        output=str(output) if output is not None and output.exists() else None,
        summary=_mapping(done.get("summary")),
        config=_read_object(path / "config.json"),
        metrics=_by_step(read_jsonl(path / "metrics.jsonl")),
        timing=timing,
        sample_files=_sample_files(path / "samples"),
        inputs={
            name: _mapping(given) for name, given in _read_object(path / "inputs.json").items()
        },
        funnel=_read_object(path / "funnel.json"),
        mask=_read_text(path / "mask.txt", MAX_MASK_CHARS),
    )


def _sum_seconds(timing: list[Row]) -> float | None:
    known = [row["time/step_seconds"] for row in timing if "time/step_seconds" in row]
    return sum(known) if known else None


def _by_step(rows: Iterator[Row]) -> list[Row]:
    """Rows in order of step, finite numbers only; of a step logged twice the later row counts."""
    by_step: dict[int, Row] = {}
    for row in rows:
        step = as_number(row.get("step"))
        if step is not None:
            numbers = {key: as_number(value) for key, value in row.items() if key != "step"}
            kept = {key: value for key, value in numbers.items() if value is not None}
            by_step[int(step)] = {"step": int(step), **kept}
    return [by_step[step] for step in sorted(by_step)]


def _sample_files(folder: Path) -> dict[int, Path]:
    files = {}
    for path in folder.glob("step-*.jsonl"):
        digits = path.stem.removeprefix("step-")
        if digits.isdecimal():
            files[int(digits)] = path
    return dict(sorted(files.items()))


def _read_object(path: Path) -> Row:
    try:
        return _parse_object(path.read_text(encoding="utf-8", errors="replace")) or {}
    except OSError:
        return {}


def _read_text(path: Path, limit: int) -> str:
    """The beginning of a text file; nothing where there is none."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(limit)
    except OSError:
        return ""


def as_number(value: Any) -> float | None:
    """A finite number, or None (also for booleans, text, NaN and infinities)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _mapping(value: Any) -> Row:
    return dict(value) if isinstance(value, Mapping) else {}


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _last_change(folder: Path) -> datetime | None:
    stages = folder / "stages"
    files = [folder / "run.json", *stages.glob("*/*.json*"), *stages.glob("*/samples/*")]
    times = [changed for path in files if (changed := _changed(path)) is not None]
    return datetime.fromtimestamp(max(times)).astimezone() if times else None


def _changed(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None
