"""What this machine has: cores that may be used, memory, accelerators."""

import ctypes
import gc
import os
import re
import sys
from functools import cache
from pathlib import Path

MOST_DEFAULT_RANKS = 16


def default_ranks(num_items: int) -> int:
    """Ranks when none are asked for: one a usable physical core, at most 16 and one an item."""
    return max(1, min(usable_cores(), MOST_DEFAULT_RANKS, num_items))


@cache
def usable_cores() -> int:
    """Physical cores this process may use: affinity, container quota and hyper-threads counted."""
    threads = _affinity()
    per_core = max(1, round((os.cpu_count() or 1) / (_physical_cores() or os.cpu_count() or 1)))
    return max(1, min(-(-threads // per_core), _quota_cores() or threads))


def memory_bytes() -> int | None:
    """Memory this process may use, or None when it cannot be found out."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
    limit = _read("/sys/fs/cgroup/memory.max")
    return min(total, int(limit)) if limit.isdigit() else total


def peak_memory_bytes() -> int:
    """Most physical memory that this process has held, since the last `reset_peak_memory`."""
    found = re.search(r"^VmHWM:\s*(\d+) kB", _read("/proc/self/status"), re.MULTILINE)
    if found:
        return int(found.group(1)) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def reset_peak_memory() -> bool:
    """Give freed memory back and measure the peak anew from here; False where that is not possible.

    Without it the peak of a process never falls, so work that comes after greedier work in the same
    process cannot be told apart from it. Linux with glibc.
    """
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError):
        return False
    return True


def cpu_flags() -> set[str]:
    """Instruction-set flags of the processor as Linux names them; empty elsewhere."""
    found = re.search(r"^flags\s*:\s*(.*)$", _read("/proc/cpuinfo"), re.MULTILINE)
    return set(found.group(1).split()) if found else set()


def cpu_name() -> str:
    """The processor's name, or an empty text."""
    found = re.search(r"^model name\s*:\s*(.*)$", _read("/proc/cpuinfo"), re.MULTILINE)
    return found.group(1).strip() if found else ""


def _affinity() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def _physical_cores() -> int | None:
    text = _read("/proc/cpuinfo")
    ids = re.findall(r"^physical id\s*:\s*(\d+).*?^core id\s*:\s*(\d+)", text, re.M | re.S)
    return len(set(ids)) or None


def _quota_cores() -> int | None:
    quota, _, period = _read("/sys/fs/cgroup/cpu.max").partition(" ")
    return max(1, int(quota) // int(period)) if quota.isdigit() and period else None


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
