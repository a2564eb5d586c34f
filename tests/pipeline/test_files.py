"""Files that are never half written."""

import errno
import json

import pytest

from aha.errors import UserError
from aha.pipeline.files import (
    append_jsonl,
    read_json,
    read_jsonl,
    truncate_jsonl,
    write_folder,
    write_json,
)


def test_json_round_trip_keeps_text_and_leaves_no_partial_file(tmp_path):
    value = {"b": [1, 2.5, None], "a": "\u4f60\u597d"}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_nan_is_refused_and_the_old_file_stays(tmp_path):
    write_json(tmp_path / "x.json", 1)
    with pytest.raises(ValueError):
        write_json(tmp_path / "x.json", float("nan"))
    with pytest.raises(ValueError):
        append_jsonl(tmp_path / "m.jsonl", {"step": 1, "kl": float("inf")})
    assert read_json(tmp_path / "x.json") == 1
    assert not (tmp_path / "m.jsonl").exists()


def test_broken_json_is_a_user_error(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(UserError, match=r"x\.json cannot be read"):
        read_json(tmp_path / "x.json")


def test_truncate_keeps_the_bytes_of_earlier_rows_and_drops_a_torn_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for step in range(5):
        append_jsonl(path, {"step": step, "x": 0.1 * step})
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"step": 5, "x"')
    assert [row["step"] for row in read_jsonl(path)] == [0, 1, 2, 3, 4]
    truncate_jsonl(path, last_step=4)
    assert path.read_bytes() == whole
    truncate_jsonl(path, last_step=2)
    assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[:3])
    truncate_jsonl(path, last_step=-1)
    assert path.read_bytes() == b""


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    def good(folder):
        (folder / "a").write_text("new")

    def bad(folder):
        (folder / "a").write_text("torn")
        raise ZeroDivisionError

    target = tmp_path / "model"
    write_folder(target, lambda folder: (folder / "b").write_text("old"))
    with pytest.raises(ZeroDivisionError):
        write_folder(target, bad)
    assert (target / "b").read_text() == "old"
    write_folder(target, good)
    assert [p.name for p in target.iterdir()] == ["a"]
    assert (target / "a").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_named_and_nothing_finished_is_lost(tmp_path, failure):
    def write(folder):
        raise failure

    write_folder(tmp_path / "step-000001", lambda folder: (folder / "a").write_text("1"))
    with pytest.raises(UserError, match="the disk is full") as caught:
        write_folder(tmp_path / "step-000002", write)
    assert "--resume" in caught.value.hint
    assert (tmp_path / "step-000001" / "a").read_text() == "1"
    assert not (tmp_path / "step-000002").exists()


def test_a_really_full_disk(tmp_path):
    """/dev/full accepts an open and refuses every write, as a full disk does."""
    full = tmp_path / "metrics.jsonl"
    full.symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"disk is full.*metrics\.jsonl"):
        append_jsonl(full, {"step": 1})


def test_a_row_is_one_line_of_json(tmp_path):
    append_jsonl(tmp_path / "m.jsonl", {"step": 1, "text": "a\nb"})
    lines = (tmp_path / "m.jsonl").read_text().splitlines()
    assert len(lines) == 1 and json.loads(lines[0]) == {"step": 1, "text": "a\nb"}
