"""The small C library of the decoding step: built once by the machine's compiler, never required.

`native_step` runs whole steps in it, where the model is float32 and small; otherwise it attends
(`native_cache`) between torch's matrix products. Without a compiler, on another device, with
several threads, or with AHA_NATIVE=0, torch operators do everything (`block_cache`).
"""

import ctypes
import functools
from pathlib import Path

import torch
from torch import Tensor

from aha.model.native import ASSETS as SHARED_HEADERS
from aha.model.native import LANES as LANES
from aha.model.native import load
from aha.model.native import pointer as pointer

ASSETS = Path(__file__).parent / "assets"


class Shape(ctypes.Structure):
    """`struct shape` of attention.h."""

    _fields_ = (
        ("rows", ctypes.c_int64),
        ("groups", ctypes.c_int64),
        ("group", ctypes.c_int64),
        ("width", ctypes.c_int64),
        ("prefix", ctypes.c_int64),
        ("prompt", ctypes.c_int64),
        ("capacity", ctypes.c_int64),
        ("window", ctypes.c_int64),
    )


class Arrays(ctypes.Structure):
    """`struct arrays` of attention.h: addresses."""

    _fields_ = tuple(
        (name, ctypes.c_void_p)
        for name in (
            *("qkv", "turn", "prefix_keys", "prefix_values", "prompt_keys", "prompt_values"),
            *("prompt_tokens", "prompt_stride", "positions", "keys", "values", "out", "scratch"),
        )
    )


@functools.cache
def library() -> ctypes.CDLL | None:
    """The loaded library, or None where it cannot be had."""
    loaded = load(ASSETS, shared=(SHARED_HEADERS,))
    for name in ("attend", "rms_norm", "sample", "pack", "logits", "step"):
        if loaded is not None:
            getattr(loaded, f"aha_{name}").restype = None
    for name in ("attend_room", "workspace_room", "draw"):
        if loaded is not None:
            getattr(loaded, f"aha_{name}").restype = ctypes.c_int64
    return loaded


def usable(device: torch.device, width: int) -> bool:
    """Whether the library serves here: CPU, one thread a process, rows of whole vectors."""
    one_thread = torch.get_num_threads() == 1
    fits = device.type == "cpu" and width % LANES == 0
    return one_thread and fits and library() is not None


def rms_norm(x_RD: Tensor, weight_D: Tensor, eps: float) -> Tensor:
    """x / rms(x) * weight, float32 and dense, D a multiple of 16."""
    compiled, out = library(), torch.empty_like(x_RD)
    assert compiled is not None and x_RD.dtype == weight_D.dtype == torch.float32
    rows, width = (ctypes.c_int64(size) for size in x_RD.shape)
    compiled.aha_rms_norm(
        rows, width, pointer(x_RD), pointer(weight_D), ctypes.c_float(eps), pointer(out)
    )
    return out


def sample(logits_RV: Tensor, uniform_R: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Tokens [R] and log-probs [R] by the inverse of the cumulative distribution."""
    compiled, (num_rows, num_tokens) = library(), logits_RV.shape
    assert compiled is not None and logits_RV.dtype == torch.float32
    assert uniform_R.dtype == torch.float64
    tokens = torch.empty(num_rows, dtype=torch.int64)
    logprobs = torch.empty(num_rows)
    scratch = torch.empty(2 * num_tokens + 2 * LANES)
    compiled.aha_sample(
        ctypes.c_int64(num_rows),
        ctypes.c_int64(num_tokens),
        ctypes.c_float(temperature),
        *(pointer(t) for t in (logits_RV, uniform_R, tokens, logprobs, scratch)),
    )
    return tokens, logprobs
