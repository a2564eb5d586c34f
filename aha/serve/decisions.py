"""What people decided: a JSONL file that only grows, one line the moment a decision is made."""

import fcntl
import hashlib
import json
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aha.errors import UserError
from aha.pipeline.files import disk_full_named

PACE_DECISIONS = 30
"""The time left follows from the latest ones."""
MAX_SECONDS = 600.0
"""Of one decision; more than that was a break."""
MOST_SECONDS = 86_400 * 365


class Decisions:
    """The decisions about some rows, by the hash of the row; of several the last one counts."""

    def __init__(self, path: Path, *, is_read_only: bool = False):
        """Opens or creates the file; nobody else may write to it meanwhile. Raises UserError."""
        self.path = path
        self.latest: dict[str, dict[str, Any]] = {}
        self._descriptor: int | None = None
        if not is_read_only:
            self._descriptor = self._open()
        for row in self._read():
            self.latest[row["key"]] = row

    def add(self, key: str, decision: Mapping[str, Any]) -> None:
        """Keep a decision: it is on the disk when this returns."""
        assert self._descriptor is not None
        row = {"key": key, **decision}
        data = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n").encode()
        with disk_full_named(self.path):
            os.write(self._descriptor, data)
            os.fsync(self._descriptor)
        self.latest[key] = row

    def close(self) -> None:
        """Let others write."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def time_left(self, num_open: int) -> str:
        """For so many more decisions, in words; empty before the first decision or after all."""
        times = [row.get("seconds") for row in self.latest.values()][-PACE_DECISIONS:]
        known = [min(value, MAX_SECONDS) for value in times if isinstance(value, int | float)]
        if not known or not num_open:
            return ""
        minutes = num_open * statistics.median(known) / 60
        if minutes < 1:
            return "less than a minute"
        return f"about {minutes:.0f} min" if minutes < 90 else f"about {minutes / 60:.1f} h"

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        try:
            descriptor = os.open(self.path, flags, 0o644)
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise UserError(
                f"{self.path} is being written by another process",
                hint="go on in the page that is open, or end that process first",
            ) from None
        return descriptor

    def _read(self) -> list[dict[str, Any]]:
        """The whole lines; the torn end that a kill may leave is cut off."""
        if not self.path.exists():
            return []
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data) and self._descriptor is not None:
            os.ftruncate(self._descriptor, len(whole))
        return [self._row(number, line) for number, line in enumerate(whole.splitlines(), start=1)]

    def _row(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            row = json.loads(line)
            assert isinstance(row["key"], str)
        except (ValueError, KeyError, TypeError, AssertionError):
            raise UserError(
                f"{self.path}, line {number} is no decision", hint="repair or delete that line"
            ) from None
        return row


def keys_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Rows by the hash of what is in them, in order; rows that are equal are one."""
    return {_key(row): row for row in rows}


def _key(row: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()[:16]


def seconds_of(said: Mapping[str, Any]) -> float:
    """How long a person looked, as the page says it; 0 where it says nonsense."""
    value = said.get("seconds")
    if not isinstance(value, int | float) or not 0 <= value <= MOST_SECONDS:
        return 0.0
    return round(float(value), 1)
