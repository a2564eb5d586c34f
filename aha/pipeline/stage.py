"""A stage: a function of a config and finished inputs that fills one directory, and its identity.

The identity is the hash of the name, the config and the identities of the inputs, so the same work
is never done twice and a change anywhere upstream is another stage.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from aha.config import Config
from aha.pipeline.files import append_jsonl, remove_folder, write_folder, write_jsonl
from aha.pipeline.progress import Progress
from aha.pipeline.ranks import Ranks
from aha.pipeline.sources import Source

ConfigT = TypeVar("ConfigT", bound=Config)
GivenT = TypeVar("GivenT", bound=Config, covariant=True)
CHECKPOINT_NAME = re.compile(r"step-(\d{6,})")


@dataclass(frozen=True)
class StageResult:
    """What a stage leaves behind."""

    output: str
    """File or folder inside the stage's directory, for example `model`."""
    summary: Mapping[str, Any] = field(default_factory=dict)
    """Numbers for DONE.json; those of the recipe's last stage are the run's headline."""


@dataclass(frozen=True, eq=False)
class Stage(Generic[ConfigT]):
    """One step of a recipe."""

    name: str
    config: ConfigT
    run: "Callable[[StageContext[ConfigT]], StageResult]"
    inputs: "Mapping[str, Stage[Any] | Source]" = field(default_factory=dict)

    @cached_property
    def identity(self) -> str:
        """SHA-256 over name, config and the identities of the inputs (hexadecimal)."""
        parts = {
            "name": self.name,
            "config": self.config.table(),
            "inputs": {name: given.identity for name, given in self.inputs.items()},
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def id(self) -> str:
        """The short form in directory names and tables."""
        return self.identity[:8]


@dataclass(frozen=True)
class StageContext(Generic[GivenT]):
    """What a stage function is given. Every rank has one; only rank 0's writes anything."""

    directory: Path
    """RUN/stages/NN-NAME-HASH8"""
    config: GivenT
    inputs: Mapping[str, Path]
    """Finished outputs of earlier stages and sources, by name."""
    ranks: Ranks = field(default_factory=Ranks)
    resume_from: Path | None = None
    """The newest complete checkpoint of an interrupted attempt."""
    log: Progress = field(default_factory=Progress)
    on_checkpoint: Callable[[], None] = lambda: None

    @property
    def resume_step(self) -> int:
        """The step that `resume_from` holds; 0 for a fresh start."""
        return checkpoint_step(self.resume_from) if self.resume_from else 0

    def append(self, file: str, row: Mapping[str, Any]) -> None:
        """Add one row with a "step" to metrics.jsonl or timing.jsonl. A NaN is a ValueError."""
        if self.ranks.is_main:
            append_jsonl(self.directory / file, row)

    def write_samples(self, step: int, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write samples/step-NNNNNN.jsonl in one go."""
        if self.ranks.is_main:
            folder = self.directory / "samples"
            folder.mkdir(exist_ok=True)
            write_jsonl(folder / f"step-{step:06d}.jsonl", rows)

    def save_checkpoint(self, step: int, write: Callable[[Path], None], *, keep: int) -> None:
        """Let `write` fill checkpoints/step-NNNNNN and delete all but the `keep` newest.

        Every rank calls it, rank 0 writes; a checkpoint is complete or not there.
        """
        if self.ranks.is_main:
            write_folder(self.directory / "checkpoints" / f"step-{step:06d}", write)
            self.on_checkpoint()
            for old in checkpoints(self.directory)[:-keep]:
                remove_folder(old)
        self.ranks.barrier()

    def publish(self, name: str, write: Callable[[Path], None]) -> Path:
        """Let `write` fill the output folder `name`. Every rank calls it, rank 0 writes."""
        if self.ranks.is_main:
            write_folder(self.directory / name, write)
        self.ranks.barrier()
        return self.directory / name


def checkpoints(directory: Path) -> list[Path]:
    """The complete checkpoints of a stage directory, oldest first."""
    folders = (directory / "checkpoints").glob("step-*")
    return sorted((f for f in folders if CHECKPOINT_NAME.fullmatch(f.name)), key=checkpoint_step)


def checkpoint_step(folder: Path) -> int:
    """The step in the name of a checkpoint folder."""
    return int(folder.name.removeprefix("step-"))
