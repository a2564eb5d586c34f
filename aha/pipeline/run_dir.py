"""A run directory: run.json, one writer at a time, and the rules for coming back to it."""

import datetime
import importlib.metadata
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from aha.errors import UserError
from aha.pipeline.files import disk_full_named, read_json, write_json
from aha.pipeline.sources import is_file
from aha.pipeline.stage import Stage

FORMAT_VERSION = 1
PACKAGES = ("aha-rl", "torch", "numpy", "safetensors", "tokenizers", "pydantic", "math-verify")
Status = Literal["running", "done", "failed", "stopped", "interrupted"]


class RunDir:
    """An open run directory. `record` is what run.json holds; `update` writes it."""

    def __init__(self, path: Path, record: dict[str, Any], lock: int | None = None):
        self.path = path
        self.record = record
        self._lock = lock
        self._opened = time.monotonic()
        self._seconds_before = float(record.get("seconds", 0.0))
        self._stage_opened = (self._opened, 0.0)

    @property
    def is_done(self) -> bool:
        """Every stage has left its output."""
        return self.record["status"] == "done" and self.has_all_outputs

    @property
    def has_all_outputs(self) -> bool:
        """Every stage has left its output, whatever the status says."""
        return all(finished_output(self.path / stage["dir"]) for stage in self.record["stages"])

    def update(self, **values: Any) -> None:
        """Change keys of run.json."""
        self.record.update(values)
        self.record["seconds"] = self._seconds_before + time.monotonic() - self._opened
        write_json(self.path / "run.json", self.record)

    def begin_stage(self, index: int) -> None:
        """Start the clock of a stage; what earlier sessions spent on it counts."""
        self._stage_opened = (time.monotonic(), self.stage_seconds(index))

    def tick(self, index: int) -> float:
        """Write the time spent on the run and on a stage; returns the stage's seconds."""
        opened, before = self._stage_opened
        seconds = before + time.monotonic() - opened
        self.record["stages"][index]["seconds"] = seconds
        self.update()
        return seconds

    def stage_seconds(self, index: int) -> float:
        """Seconds spent on a stage so far, as of its last checkpoint."""
        return float(self.record["stages"][index].get("seconds", 0.0))

    def close(self) -> None:
        """Let another process write this run."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @contextmanager
    def session(self) -> Iterator[None]:
        """Write how it ended: done, stopped by the user, or failed and why."""
        self.update(status="running", error=None)
        try:
            yield
        except KeyboardInterrupt:
            self.update(status="stopped")
            raise
        except Exception as failure:
            self._note_failure(failure)
            raise
        self.update(status="done" if self.has_all_outputs else "stopped")

    def fail(self, failure: BaseException) -> None:
        """Write that the run failed, and why."""
        first_line = str(failure).split("\n", 1)[0]
        self.update(status="failed", error=f"{type(failure).__name__}: {first_line}")

    def _note_failure(self, failure: Exception) -> None:
        try:
            self.fail(failure)
        except UserError:  # the disk is full: the first error is the one to show
            return


def open_run(
    path: Path,
    *,
    recipe: str,
    config: Mapping[str, Any],
    stages: Sequence[Stage[Any]],
    resume: bool,
) -> RunDir:
    """Create a run directory, or come back to one. Takes the lock; UserError when it may not."""
    if not is_run(path):
        return _create(path, recipe=recipe, config=config, stages=stages)
    lock = take_lock(path)
    try:
        run = RunDir(path, read_run(path), lock)
        _check_same(run, recipe=recipe, config=config, stages=stages)
        if not run.is_done and not resume:
            hint = f"continue it with --resume, or choose another --out: {resume_command(run)}"
            status = run.record["status"].replace("running", "interrupted")  # the lock was free
            raise UserError(f"{path} holds an unfinished run ({status})", hint=hint)
    except BaseException:
        os.close(lock)
        raise
    return run


def is_run(path: Path) -> bool:
    """Whether `path` holds a run. UserError when it holds anything else."""
    try:
        if (path / "run.json").exists():
            return True
        foreign = path.exists() and any(entry.name != ".lock" for entry in path.iterdir())
    except OSError as unreadable:
        raise UserError(f"{path}: {unreadable.strerror}", hint="choose another --out") from None
    if foreign:
        hint = "choose an empty or a new folder for --out"
        raise UserError(f"{path} exists and is not a run", hint=hint)
    return False


def read_run(path: Path) -> dict[str, Any]:
    """run.json of a run directory. UserError when there is none or it has another format."""
    if not (path / "run.json").is_file():
        raise UserError(f"{path} is not a run directory", hint="give a folder that holds run.json")
    record = read_json(path / "run.json")
    version = record.get("format_version") if isinstance(record, dict) else None
    if version != FORMAT_VERSION:
        raise UserError(
            f"{path} was written in run format {version}; this is format {FORMAT_VERSION}",
            hint="use the version of aha-rl that wrote it, or choose another --out",
        )
    return dict(record)


def run_status(path: Path, record: Mapping[str, Any]) -> Status:
    """The status in run.json, corrected when its writer is gone without a word."""
    status: Status = record["status"]
    return "interrupted" if status == "running" and not _is_locked(path) else status


def finished_output(directory: Path) -> Path | None:
    """The output of a finished stage; None when it is not finished or has been deleted."""
    if not (directory / "DONE.json").is_file():
        return None
    output = directory / str(read_json(directory / "DONE.json")["output"])
    return output if output.exists() else None


def final_model(path: Path) -> Path:
    """The newest finished model in a run directory. UserError without one."""
    models = sorted(path.glob("stages/*/model/config.json"))
    if not models:
        hint = "wait for its training to end, or give the folder of a checkpoint"
        raise UserError(f"{path} holds no finished model yet", hint=hint)
    return models[-1].parent


def model_of_run(path: str | Path) -> Path | None:
    """The newest finished model of a run directory; None where it is none.

    UserError for a run without a finished model.
    """
    folder = Path(path).expanduser()
    return final_model(folder) if is_file(folder / "run.json") else None


def next_run_path(root: Path, recipe: str) -> Path:
    """The first of ROOT/RECIPE-001, -002, ... that does not exist."""
    number = 1
    while (path := root / f"{recipe}-{number:03d}").exists():
        number += 1
    return path


def resume_command(run: RunDir) -> str:
    """What to type to go on with a run."""
    return f"aha run {run.record['recipe']} --out {shlex.quote(str(run.path))} --resume"


def differing_keys(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys whose values differ."""
    keys: list[str] = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            keys += differing_keys(before, after, f"{prefix}{key}.")
        elif before != after:
            keys.append(prefix + key)
    return keys


def _create(
    path: Path, *, recipe: str, config: Mapping[str, Any], stages: Sequence[Stage[Any]]
) -> RunDir:
    try:
        with disk_full_named(path):
            path.mkdir(parents=True, exist_ok=True)
    except OSError as refused:
        raise UserError(f"{path}: {refused.strerror}", hint="choose another --out") from None
    record = {
        "format_version": FORMAT_VERSION,
        "recipe": recipe,
        "name": path.resolve().name,
        "status": "running",
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": 0.0,
        "stages": _stage_rows(stages),
        "config": dict(config),
        "versions": versions(),
        "environment": _environment(),
        "error": None,
    }
    run = RunDir(path, record, take_lock(path))
    run.update()
    return run


def _check_same(
    run: RunDir, *, recipe: str, config: Mapping[str, Any], stages: Sequence[Stage[Any]]
) -> None:
    hint = "choose another --out, or run it with the old values"
    if run.record["recipe"] != recipe:
        raise UserError(f"{run.path} holds a run of the recipe {run.record['recipe']}", hint=hint)
    changed = differing_keys(run.record["config"], config)
    if changed:
        old, new = (value_at(table, changed[0]) for table in (run.record["config"], config))
        example = f"{changed[0]} was {old!r}, is {new!r}"
        raise UserError(
            f"{run.path} holds a run with another config: {', '.join(changed)} ({example})",
            hint=hint,
        )
    old_ids = [row["id"] for row in run.record["stages"]]
    stage = next((s for s, old in zip(stages, old_ids, strict=True) if s.id != old), None)
    if stage is not None:
        raise UserError(
            f"an input of {run.path} has changed since: {', '.join(stage.inputs) or stage.name}",
            hint="put the old files back, or choose another --out",
        )


def _stage_rows(stages: Sequence[Stage[Any]]) -> list[dict[str, Any]]:
    return [
        {"name": s.name, "id": s.id, "dir": f"stages/{number:02d}-{s.name}-{s.id}"}
        for number, s in enumerate(stages, 1)
    ]


def value_at(table: Mapping[str, Any], dotted: str) -> Any:
    """The value of a dotted key; None without one."""
    value: Any = table
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def versions() -> dict[str, str]:
    """Of Python and the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _environment() -> dict[str, Any]:
    return {
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


def take_lock(path: Path) -> int:
    """The lock of a folder, until this process ends or closes it. UserError: another has it."""
    descriptor = _lock(path, create=True)
    if descriptor is None:
        hint = "wait for it, stop it, or choose another --out"
        raise UserError(f"{path} is being written by another process", hint=hint)
    return descriptor


def _is_locked(path: Path) -> bool:
    if not (path / ".lock").exists():
        return False
    descriptor = _lock(path, create=False)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def _lock(path: Path, *, create: bool) -> int | None:
    """An open file with the run's lock, which ends with the process; None when another has it."""
    import fcntl

    flags = os.O_RDWR | os.O_CREAT if create else os.O_RDONLY
    descriptor = os.open(path / ".lock", flags, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
