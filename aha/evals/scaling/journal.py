"""Finished chunks of work, so that a killed measurement goes on where it was.

One JSON line a chunk. A launch writes files of its own and reads those of all earlier launches, so
a line that was torn by `kill -9` is left where it is and skipped. Files carry the identity of the
settings: with other settings nothing is taken over.
"""

from pathlib import Path
from typing import Any

from aha.pipeline.files import append_jsonl, read_jsonl
from aha.pipeline.ranks import Ranks


class Journal:
    """Values by key; what is put in is there again after a kill."""

    def __init__(self, folder: Path, identity: str, ranks: Ranks):
        """identity: a hash of all that decides the values."""
        self.folder = folder
        self._found: dict[str, Any] = {}
        folder.mkdir(parents=True, exist_ok=True)
        earlier = sorted(folder.glob(f"{identity}-*.jsonl"))
        for path in earlier:
            self._found |= {row["key"]: row["value"] for row in read_jsonl(path)}
        launch = 1 + max((int(path.stem.split("-")[1]) for path in earlier), default=0)
        (launch,) = ranks.gather(launch)[:1]  # nobody writes before everybody has read
        self._path = folder / f"{identity}-{launch:04d}-{ranks.rank:03d}.jsonl"

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: str) -> Any | None:
        return self._found.get(key)

    def put(self, key: str, value: Any) -> None:
        """Keep a JSON value; it is in the file when this returns."""
        append_jsonl(self._path, {"key": key, "value": value})
        self._found[key] = value
