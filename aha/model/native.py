"""Small C libraries: built once by the machine's compiler, never required.

Between its matrix products a layer is some thirty torch operators that walk over memory, or a few C
functions that do it once. Without a compiler, on another device, with several threads, or with
AHA_NATIVE=0, torch's operators do the work; callers ask `usable` first.
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
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

ASSETS = Path(__file__).parent / "assets"
FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-shared", "-fPIC")
LANES = 16
"""Floats of a vector, as in vector.h."""


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled sources of this package's assets, or None where they cannot be had."""
    return load(ASSETS)


def load(folder: Path, *, shared: Sequence[Path] = ()) -> ctypes.CDLL | None:
    """One library of all C sources of a folder, or None where it cannot be had.

    shared: folders whose headers the sources include as well.
    """
    if os.environ.get("AHA_NATIVE", "1") == "0":
        return None
    try:
        headers = [header for place in (folder, *shared) for header in sorted(place.glob("*.h"))]
        return ctypes.CDLL(str(_built(sorted(folder.glob("*.c")), headers)))
    except (OSError, subprocess.SubprocessError):
        return None


def _built(sources: Sequence[Path], headers: Sequence[Path]) -> Path:
    """Path of the library; compiles when these sources were not yet built on this machine."""
    compiler = os.environ.get("CC") or "cc"
    texts = [path.read_text() for path in (*sources, *headers)]
    identity = [*texts, compiler, *FLAGS, _processor()]
    name = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:16] + ".so"
    folder = _cache_folder()
    path = folder / name
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            made = Path(temporary) / name
            inputs = [str(source) for source in sources]
            command = [*shlex.split(compiler), *FLAGS, "-o", str(made), *inputs, "-lm"]
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


def usable(*tensors: Tensor, width: int = LANES) -> bool:
    """Whether the library serves for these: float32, CPU, one thread, rows of whole vectors."""
    return (
        width % LANES == 0
        and all(t.dtype == torch.float32 and t.device.type == "cpu" for t in tensors)
        and torch.get_num_threads() == 1
        and library() is not None
    )


def call(name: str, *arguments: Tensor | int | float | ctypes.Structure | None) -> None:
    """Call a C function: tensors go as addresses, Python numbers as int64 and float32."""
    compiled = library()
    assert compiled is not None
    compiled[name](*map(_argument, arguments))


def _argument(value: Tensor | int | float | ctypes.Structure | None) -> object:
    if isinstance(value, Tensor):
        return pointer(value)
    if isinstance(value, ctypes.Structure):
        return ctypes.byref(value)
    if isinstance(value, float):
        return ctypes.c_float(value)
    return ctypes.c_void_p(None) if value is None else ctypes.c_int64(value)


def pointer(tensor: Tensor) -> ctypes.c_void_p:
    """Address of a dense tensor's content."""
    assert tensor.is_contiguous()
    return ctypes.c_void_p(tensor.data_ptr())
