"""Plain HF model folders, in and out."""

import contextlib
import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from aha.errors import UserError
from aha.model.config import ModelConfig
from aha.model.decoder import Decoder
from aha.model.tokenizer import Tokenizer

DecoderT = TypeVar("DecoderT", bound=Decoder)
_COPY_AGAIN = "the file is damaged or half copied: copy or download it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """What an HF folder holds."""

    model: Decoder
    tokenizer: Tokenizer
    config: ModelConfig


def load_config(folder: str | Path) -> ModelConfig:
    """The architecture in a folder's config.json. Raises UserError."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(
            f"no model folder {str(folder)!r}",
            hint="give the path of a folder with config.json and model.safetensors",
        )
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(f"no config.json in {folder}", hint="this is not an HF model folder")
    return ModelConfig.from_hf(_read_json(path))


def load_model(
    path: str | Path,
    *,
    dtype: torch.dtype | None = torch.float32,
    linear_dtype: torch.dtype | None = None,
    device: str | torch.device = "cpu",
) -> LoadedModel:
    """Read a folder. dtype None keeps that of the checkpoint. Raises UserError.

    linear_dtype: see `Decoder`.
    """
    model, tokenizer = load_decoder(
        path, Decoder, dtype=dtype, linear_dtype=linear_dtype, device=device
    )
    return LoadedModel(model=model, tokenizer=tokenizer, config=model.config)


def default_device() -> str:
    """cuda where there is a GPU, else cpu."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_decoder(
    path: str | Path,
    kind: type[DecoderT],
    *,
    dtype: torch.dtype | None = torch.float32,
    linear_dtype: torch.dtype | None = None,
    device: str | torch.device = "cpu",
) -> tuple[DecoderT, Tokenizer]:
    """Like `load_model`, for a decoder with more parameters than a plain one (a scalar head)."""
    folder = Path(path)
    config = load_config(folder)
    tokenizer = Tokenizer.from_folder(folder, eos_token_ids=config.eos_token_ids)
    if tokenizer.vocab_size > config.vocab_size:
        raise UserError(
            f"{folder}: {tokenizer.vocab_size} ids in the tokenizer, "
            f"{config.vocab_size} in the model",
            hint="tokenizer.json and config.json belong to different models",
        )
    with torch.device("meta"):
        model = kind(config, linear_dtype=linear_dtype)
    _load_weights(model, folder, dtype, torch.device(device))
    return model, tokenizer


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UserError(f"cannot read {path}: {error}", hint=_COPY_AGAIN) from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no JSON object", hint=_COPY_AGAIN)
    return content


def _weight_files(folder: Path) -> list[Path]:
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    if not index.is_file():
        raise UserError(
            f"no model.safetensors in {folder}",
            hint="older .bin checkpoints: load and save them once with transformers",
        )
    names = sorted(set(_read_json(index).get("weight_map", {}).values()))
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{index} names {missing[0]}, which is not there", hint=_COPY_AGAIN)
    return [folder / name for name in names]


def _load_weights(
    model: Decoder, folder: Path, dtype: torch.dtype | None, device: torch.device
) -> None:
    wanted = dict(model.named_parameters())
    found: dict[str, Tensor] = {}
    for path in _weight_files(folder):
        for name, tensor in _tensors(path, device):
            if name in wanted:
                _check_shape(name, tensor, wanted[name], path)
                found[name] = tensor.to(dtype) if dtype else tensor
            elif not _ignorable(name, model.config):
                raise UserError(
                    f"{path} holds the tensor {name}, which {model.config.model_type} lacks",
                    hint="config.json and the weights belong to different models",
                )
    missing = [name for name in wanted if name not in found]
    if missing:
        raise UserError(
            f"{folder} lacks {len(missing)} tensors, the first is {missing[0]}",
            hint="config.json and the weights belong to different models, or a shard is missing",
        )
    model.load_state_dict(found, strict=True, assign=True)
    for parameter in model.parameters():
        parameter.requires_grad_(True)


def _tensors(path: Path, device: torch.device) -> Iterator[tuple[str, Tensor]]:
    try:
        with safetensors.safe_open(path, framework="pt", device=str(device)) as file:
            for name in file.keys():  # noqa: SIM118 (not a dict)
                yield name, file.get_tensor(name)
    except (safetensors.SafetensorError, OSError) as error:
        raise UserError(f"cannot read {path}: {error}", hint=_COPY_AGAIN) from error


def _check_shape(name: str, tensor: Tensor, parameter: Tensor, path: Path) -> None:
    if tensor.shape != parameter.shape:
        raise UserError(
            f"{path}: {name} is {list(tensor.shape)}, config.json says {list(parameter.shape)}",
            hint="config.json and the weights belong to different models",
        )
    if not tensor.is_floating_point():
        raise UserError(f"{path}: {name} is {tensor.dtype}", hint="use unquantized weights")


def _ignorable(name: str, config: ModelConfig) -> bool:
    """Left-overs that checkpoints carry and nobody reads."""
    tied_head = config.tie_embeddings and name == "lm_head.weight"
    return tied_head or name.endswith("rotary_emb.inv_freq")


def save_model(
    folder: str | Path,
    model: Decoder,
    tokenizer: Tokenizer,
    *,
    dtype: torch.dtype | None = None,
) -> None:
    """Write an HF folder that transformers, vLLM and llama.cpp load, all of it or nothing.

    dtype: of the written weights, None for the model's own. Raises UserError (disk full).
    """
    with replaced_folder(folder) as temporary:
        write_model(temporary, model, tokenizer, dtype=dtype)


def write_model(
    folder: Path, model: Decoder, tokenizer: Tokenizer, *, dtype: torch.dtype | None = None
) -> None:
    """Write the files of an HF folder into an existing directory, with no care for crashes."""
    tensors = {
        name: parameter.detach().to(dtype or parameter.dtype).contiguous()
        for name, parameter in model.named_parameters()
    }
    kind = str(model.head_weight.dtype if dtype is None else dtype).removeprefix("torch.")
    eos = tuple(dict.fromkeys((*tokenizer.eos_token_ids, *model.config.eos_token_ids)))
    config = replace(model.config, dtype=kind, eos_token_ids=eos)
    safetensors.torch.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    _write_json(folder / "config.json", config.to_hf())
    tokenizer.write(folder)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextlib.contextmanager
def replaced_folder(folder: str | Path) -> Iterator[Path]:
    """A temporary directory that takes the folder's place when the block ends without error.

    On an error the old folder stays as it was and the temporary one is removed. Raises UserError
    when the disk is full or the place is not writable.
    """
    folder = Path(os.path.abspath(folder))
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file", hint="choose another folder to write to")
    temporary = folder.parent / f".{folder.name}.tmp-{uuid.uuid4().hex[:8]}"
    try:
        temporary.mkdir(parents=True)
        yield temporary
        _sync(temporary)
        _swap(temporary, folder)
    except (OSError, safetensors.SafetensorError) as error:
        raise _write_error(error, folder) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_error(error: Exception, folder: Path) -> UserError:
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT) or "os error 28" in str(error):
        return UserError(
            f"disk full while writing {folder}",
            hint="free some space, then resume: what was there before is untouched",
        )
    return UserError(f"cannot write {folder}: {error}", hint="choose a folder you may write to")


def _sync(folder: Path) -> None:
    """Force every file of the folder, and its list of names, to the disk."""
    for path in (*(p for p in folder.rglob("*") if p.is_file()), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _swap(temporary: Path, folder: Path) -> None:
    """Put the temporary folder in place; a crash between the two renames leaves both on disk."""
    old = temporary.with_name(temporary.name.replace(".tmp-", ".old-"))
    replaced = folder.exists()
    if replaced:
        os.rename(folder, old)
    try:
        os.rename(temporary, folder)
    except OSError:
        if replaced:
            os.rename(old, folder)
        raise
    if replaced:
        shutil.rmtree(old, ignore_errors=True)
