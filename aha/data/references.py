"""Models and files that the data stages read beside their inputs, as sources of the run.

As inputs they are part of a stage's identity: another writer, or a file that was changed, is
another stage. An endpoint is known by its reference alone.
"""

import os
from pathlib import Path
from typing import Any

from aha.errors import UserError
from aha.pipeline.endpoints import is_endpoint, parse_endpoint
from aha.pipeline.sources import Source, is_file, model_source

NO_MODEL = {"writer": ("rules",), "judge": ("none", "embedded")}
"""What these keys may say that names no model."""
FILES = ("examples", "file")


def data_inputs(config: Any) -> dict[str, Source]:
    """The sources that a data stage's config names. UserError for one that is not there."""
    inputs: dict[str, Source] = {}
    for key, names in NO_MODEL.items():
        reference = getattr(config, key, names[0])
        if reference in names:
            continue
        if is_endpoint(reference):
            parse_endpoint(reference)
        else:
            inputs[key] = _model(key, reference)
    for key in FILES:
        if getattr(config, key, "none") != "none":
            inputs[key] = file_source(key, getattr(config, key))
    return inputs


def file_source(key: str, value: str) -> Source:
    """The file or folder that a key names. UserError where there is none."""
    path = Path(value)
    if not is_file(path) and not os.path.isdir(path):
        missing = "not set" if value == "none" else f"{value}: there is no such file"
        raise UserError(f"{key} is {missing}", hint=f"give its path: --set {key}=FILE.jsonl")
    return Source(value, path)


def _model(key: str, reference: str) -> Source:
    if "://" in reference:
        raise UserError(f"{key} = {reference!r} is no model", hint=f"write endpoint:{reference}")
    try:
        return model_source(reference)
    except UserError as error:
        hint = f"{key} is {' or '.join(NO_MODEL[key])}, endpoint:URL#MODEL, or a model folder"
        raise UserError(f"{key}: {error.message}", hint=hint) from None
