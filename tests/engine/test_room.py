"""How many rows the processor's cache holds."""

import dataclasses

import pytest

from aha.engine.room import ASSUMED_BYTES, cached_rows, core_share_bytes, token_bytes
from tests.model.checkpoints import build

MIB = 1 << 20


@pytest.fixture
def share(monkeypatch):
    monkeypatch.setattr("aha.engine.room.core_share_bytes", lambda: 16 * MIB)


def test_rows_take_half_of_the_share(share):
    config = dataclasses.replace(build("mistral").config, num_layers=4)
    assert token_bytes(config) == 2 * 4 * 4 * 2 * 16
    rows = cached_rows(config, num_weights=10**6, tokens_per_row=256)
    assert rows == 32 and rows * 256 * token_bytes(config) == 8 * MIB


def test_long_texts_leave_sixteen_rows(share):
    assert cached_rows(build("mistral").config, num_weights=10**6, tokens_per_row=10**5) == 16


def test_weights_that_do_not_fit_want_many_rows(share):
    assert cached_rows(build("mistral").config, num_weights=3 * MIB, tokens_per_row=10) is None


@pytest.mark.parametrize(
    ("size", "sharers", "expected"),
    [("32768K", "0-1", 16 * MIB), ("1024K", "3", MIB), ("8192K", "0-1,4-5", 2 * MIB)],
)
def test_the_last_cache_is_shared_by_its_cores(tmp_path, size, sharers, expected):
    for index, content in (("index0", ("48K", "0")), ("index3", (size, sharers))):
        (tmp_path / index).mkdir()
        (tmp_path / index / "size").write_text(content[0] + "\n")
        (tmp_path / index / "shared_cpu_list").write_text(content[1] + "\n")
    assert core_share_bytes(tmp_path) == expected


@pytest.mark.parametrize("content", [None, "", "many"])
def test_an_unknown_cache_is_assumed(tmp_path, content):
    if content is not None:
        (tmp_path / "index0").mkdir()
        (tmp_path / "index0" / "size").write_text(content)
        (tmp_path / "index0" / "shared_cpu_list").write_text("0")
    assert core_share_bytes(tmp_path) == ASSUMED_BYTES
