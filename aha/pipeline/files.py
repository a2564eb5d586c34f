"""Files that are never half written: JSON and folders in one step, JSONL by whole lines."""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aha.errors import UserError


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by the JSON of `value` in one step. NaN is refused."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Replace `path` in one step: a reader sees the old text or the new one."""
    partial = path.with_name(path.name + ".partial")
    with disk_full_named(path), open(partial, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_json(path: Path) -> Any:
    """The value in a JSON file. UserError when it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as broken:
        hint = "delete its stage folder, or use another --out"
        raise UserError(f"{path} cannot be read: {broken}", hint=hint) from None


def append_jsonl(path: Path, row: Mapping[str, Any]) -> None:
    """Add one line with a single write, so that a reader who tails the file sees whole rows."""
    line = json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
    with disk_full_named(path), open(path, "a", encoding="utf-8") as file:
        file.write(line)


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replace `path` by these rows in one step."""
    lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows]
    write_text(path, "".join(lines))


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The whole rows of a JSONL file; a last line that is still being written is left out."""
    if not path.exists():
        return
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def truncate_jsonl(path: Path, *, last_step: int) -> None:
    """Drop the rows after `last_step` and a torn last line; the bytes of the others stay."""
    if not path.exists():
        return
    kept = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            if not line.endswith("\n") or json.loads(line)["step"] > last_step:
                break
            kept.append(line)
    write_text(path, "".join(kept))


def write_folder(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a new folder, flush it and put it in place of `path` in one step."""
    partial = path.with_name(path.name + ".partial")
    remove_folder(partial)
    with disk_full_named(path):
        partial.mkdir(parents=True)
        write(partial)
        for file in partial.rglob("*"):
            _flush(file)
        _flush(partial)
        remove_folder(path)
        partial.rename(path)
        _flush(path.parent)


def remove_folder(path: Path) -> None:
    """Delete a folder and what is in it, if there is one; it loses its name first."""
    if path.exists():
        doomed = path.with_name(path.name + ".deleted")
        shutil.rmtree(doomed, ignore_errors=True)
        path.rename(doomed)
        shutil.rmtree(doomed)


@contextmanager
def disk_full_named(path: Path) -> Iterator[None]:
    """Turn "no space left" into a UserError that says where, and that nothing finished is lost."""
    try:
        yield
    except Exception as failure:
        if not is_disk_full(failure):
            raise
        message = f"the disk is full: {path} could not be written"
        hint = "free some space and run again with --resume; everything finished is kept"
        raise UserError(message, hint=hint) from failure


def is_disk_full(failure: BaseException) -> bool:
    """Also of safetensors and torch, whose own errors have the reason in the text."""
    if isinstance(failure, OSError) and failure.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return "No space left on device" in str(failure) or "PytorchStreamWriter failed" in str(failure)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
