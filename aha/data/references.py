"""Models and files that the data stages read beside their inputs, as sources of the run.

As inputs they are part of a stage's identity: another writer, or a file that was changed, is
another stage. An endpoint is known by its reference alone.
"""

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
        path = Path(getattr(config, key, "none"))
        if str(path) == "none":
            continue
        if not is_file(path) and not path.is_dir():
            raise UserError(f"{key} = {path}: there is no such file", hint="give its path")
        inputs[key] = Source(str(path), path)
    return inputs


def _model(key: str, reference: str) -> Source:
    if "://" in reference:
        raise UserError(f"{key} = {reference!r} is no model", hint=f"write endpoint:{reference}")
    try:
        return model_source(reference)
    except UserError as error:
        hint = f"{key} is {' or '.join(NO_MODEL[key])}, endpoint:URL#MODEL, or a model folder"
        raise UserError(f"{key}: {error.message}", hint=hint) from None
