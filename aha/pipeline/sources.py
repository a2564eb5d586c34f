"""Inputs that exist before a run: models and task files, identified by their content."""

import hashlib
import importlib.resources
import importlib.util
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from aha.errors import UserError, nearest
from aha.pipeline.cache import smollm2_folder

NAMED_MODELS = ("embedded", "smollm2")
WHOLE_FILE_BYTES = 64 * 2**20
EDGE_BYTES = 2**20


@dataclass(frozen=True)
class Source:
    """A file or folder that a stage reads and no stage wrote."""

    value: str
    """As the user gave it."""
    path: Path

    @cached_property
    def identity(self) -> str:
        """Hash of the content, so that a changed model or task file is another input."""
        return fingerprint(self.path)


def model_source(name: str) -> Source:
    """The model called `name`: one of NAMED_MODELS or a folder."""
    return Source(name, resolve_model(name))


def resolve_model(name: str) -> Path:
    """The folder of a model: "embedded", "smollm2" or the path of a Hugging Face folder.

    UserError when there is none.
    """
    if name == "smollm2":
        return smollm2_folder()
    folder = embedded_model() if name == "embedded" else Path(name).expanduser()
    if is_file(folder / "config.json"):
        return folder
    if name == "embedded":
        hint = "install aha-rl again, or train one with `aha run base` and give --model FOLDER"
        raise UserError("this installation has no embedded model", hint=hint)
    if os.path.isdir(folder):
        raise UserError(f"{name} has no config.json", hint="give a Hugging Face model folder")
    near = nearest(name, NAMED_MODELS)
    hint = f"did you mean {near}? " if near else ""
    hint += "give a folder with config.json, model.safetensors and tokenizer.json, "
    raise UserError(f"there is no model folder {name!r}", hint=hint + "embedded, or smollm2")


def embedded_model() -> Path:
    """Where the model that ships with the package lies."""
    return Path(str(importlib.resources.files("aha"))) / "assets" / "base"


def is_file(path: str | Path) -> bool:
    """Whether there is such a file; False, not an error, for what can not be a path at all."""
    return os.path.isfile(path)  # Path.is_file raises for a name that is too long


def is_installed(module: str) -> bool:
    """Whether a module can be imported, without importing it."""
    return importlib.util.find_spec(module) is not None


def fingerprint(path: Path) -> str:
    """SHA-256 over names, sizes and contents; of files above 64 MiB the first and last MiB."""
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        size = file.stat().st_size
        digest.update(f"{file.relative_to(path)}\0{size}\0".encode())
        with open(file, "rb") as stream:
            if size <= WHOLE_FILE_BYTES:
                digest.update(stream.read())
            else:
                digest.update(stream.read(EDGE_BYTES))
                stream.seek(-EDGE_BYTES, 2)
                digest.update(stream.read())
    return digest.hexdigest()
