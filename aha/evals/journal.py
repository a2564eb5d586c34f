"""What an unfinished evaluation has so far: a folder of files that are only ever added to.

    settings.json     what is evaluated, and how; another evaluation does not go on with it
    rank-0.jsonl ...  one line a batch of graded samples, flushed to the disk before the next begins

Each process writes a file of its own, so nothing is sent between them. A process may be killed at
any time: a line that it was writing is torn, and its samples are drawn again, to the same tokens.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aha.errors import UserError
from aha.evals.backends import Place
from aha.evals.result import SampleResult, sample_result
from aha.pipeline.files import disk_full_named, read_json, write_json
from aha.pipeline.run_dir import differing_keys, take_lock, value_at

SETTINGS = "settings.json"
Graded = tuple[Place, SampleResult]


class Journal:
    """The samples that are there. `add` writes some, `read` takes in what anybody has written."""

    def __init__(self, folder: Path, rank: int = 0):
        self.folder = folder
        self.samples: dict[Place, SampleResult] = {}
        self.seconds: dict[str, float] = {}
        """Spent by each process, in all sessions."""
        self._own = folder / f"rank-{rank}.jsonl"
        self._read: dict[Path, int] = {}
        self._is_mended = False

    def add(self, graded: Iterable[Graded], *, seconds: float = 0.0) -> None:
        """Keep a batch: one line, on the disk when this returns. seconds: that it took."""
        rows = [[*place, asdict(sample)] for place, sample in graded]
        table = {"seconds": round(seconds, 3), "samples": rows}
        line = json.dumps(table, ensure_ascii=False, allow_nan=False) + "\n"
        with disk_full_named(self._own), open(self._own, "ab") as file:
            if not self._is_mended:
                self._mend()
            file.write(line.encode("utf-8", "replace"))
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> dict[Place, SampleResult]:
        """Everything so far, by place; only what is new is read."""
        for path in sorted(self.folder.glob("rank-*.jsonl")):
            with open(path, "rb") as file:
                file.seek(self._read.get(path, 0))
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._take(path, line)
                    self._read[path] = self._read.get(path, 0) + len(line)
        return self.samples

    def _take(self, path: Path, line: bytes) -> None:
        try:
            table = json.loads(line)
            for problem, number, row in table["samples"]:
                self.samples.setdefault((int(problem), int(number)), sample_result(row))
            self.seconds[path.stem] = self.seconds.get(path.stem, 0.0) + table["seconds"]
        except (ValueError, TypeError, KeyError) as broken:
            hint = f"begin anew with --no-resume, or delete {self.folder}"
            raise UserError(f"{path} is damaged: {broken}", hint=hint) from None

    def _mend(self) -> None:
        """Cut off what a killed process had not finished writing."""
        self._is_mended = True
        whole = self._own.read_bytes() if self._own.exists() else b""
        end = whole.rfind(b"\n") + 1
        if end < len(whole):
            os.truncate(self._own, end)


@contextmanager
def open_journal(
    folder: Path, settings: Mapping[str, Any], *, is_kept: bool = True
) -> Iterator[Journal]:
    """The journal of an evaluation, new or the one that was begun; no other process may write it.

    UserError when the one there is of other settings; is_kept False throws that away.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = take_lock(folder)
    except OSError as refused:
        message = f"{folder} cannot be written: {refused.strerror}"
        raise UserError(message, hint="choose another --out") from None
    try:
        if is_kept and (folder / SETTINGS).exists():
            check_same(folder, read_json(folder / SETTINGS), settings)
        else:  # killed before its settings were written: nothing of worth is in it
            for file in folder.glob("rank-*.jsonl"):
                file.unlink()
            write_json(folder / SETTINGS, settings)
        journal = Journal(folder)
        journal.read()
        yield journal
    finally:
        os.close(lock)


def check_same(where: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """UserError that names what differs between an evaluation that is there and another one."""
    changed = differing_keys(old, new)
    if not changed:
        return
    before, now = value_at(old, changed[0]), value_at(new, changed[0])
    raise UserError(
        f"{where} is of an evaluation with other settings: {', '.join(changed)} "
        f"({changed[0]} was {before!r}, is {now!r})",
        hint="give another --out, the old settings, or --no-resume to begin anew in its place",
    )
