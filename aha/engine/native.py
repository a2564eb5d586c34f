"""The small C library of the decoding step: built once by the machine's compiler, never required.

Between two matrix products a step rotates, writes the cache, and attends: some thirty torch
operators a layer, or one call. On one core of an AMD EPYC, 128 rows of a model of 4 layers and 128
wide gave 17,000 tokens a second with operators and 27,000 with the library. Without a compiler, on
another device, with several threads, or with AHA_NATIVE=0, operators do it (`block_cache`).
"""

import atexit
import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch
from torch import Tensor

SOURCE = Path(__file__).parent / "assets" / "decode.c"
FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-shared", "-fPIC")
LANES, ROWS = 16, 8
"""As in decode.c."""


class Shape(ctypes.Structure):
    """`struct shape` of decode.c."""

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
    """`struct arrays` of decode.c: addresses."""

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
    if os.environ.get("AHA_NATIVE", "1") == "0":
        return None
    try:
        loaded = ctypes.CDLL(str(_built()))
    except (OSError, subprocess.SubprocessError):
        return None
    for name in ("attend", "rms_norm", "sample"):
        getattr(loaded, name).restype = None
    return loaded


def _built() -> Path:
    """Path of the compiled library; compiles when this source was not yet built on this machine."""
    compiler = os.environ.get("CC") or "cc"
    identity = [SOURCE.read_text(), compiler, *FLAGS, _processor()]
    name = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:16] + ".so"
    folder = _cache_folder()
    path = folder / name
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            made = Path(temporary) / name
            command = [*shlex.split(compiler), *FLAGS, "-o", str(made), str(SOURCE), "-lm"]
            subprocess.run(command, check=True, capture_output=True, timeout=120)
            os.replace(made, path)
    return path


def _cache_folder() -> Path:
    """The user's cache, or where that cannot be written a private one for this process."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "aha" / "native"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        private = Path(tempfile.mkdtemp(prefix="aha-native-"))
        atexit.register(shutil.rmtree, private, ignore_errors=True)
        return private


def _processor() -> str:
    """What -march=native depends on; homes are shared between machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    kept = ("flags", "Features", "model name")
    return "\n".join(sorted({line for line in lines if line.startswith(kept)}))


def usable(device: torch.device, width: int) -> bool:
    """Whether the library serves here: CPU, one thread a process, rows of whole vectors."""
    one_thread = torch.get_num_threads() == 1
    fits = device.type == "cpu" and width % LANES == 0
    return one_thread and fits and library() is not None


def pointer(tensor: Tensor) -> ctypes.c_void_p:
    """Address of a dense tensor's content."""
    assert tensor.is_contiguous()
    return ctypes.c_void_p(tensor.data_ptr())


def rms_norm(x_RD: Tensor, weight_D: Tensor, eps: float) -> Tensor:
    """x / rms(x) * weight, float32 and dense, D a multiple of 16."""
    compiled, out = library(), torch.empty_like(x_RD)
    assert compiled is not None and x_RD.dtype == weight_D.dtype == torch.float32
    rows, width = (ctypes.c_int64(size) for size in x_RD.shape)
    compiled.rms_norm(
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
    compiled.sample(
        ctypes.c_int64(num_rows),
        ctypes.c_int64(num_tokens),
        ctypes.c_float(temperature),
        *(pointer(t) for t in (logits_RV, uniform_R, tokens, logprobs, scratch)),
    )
    return tokens, logprobs
