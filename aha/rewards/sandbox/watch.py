"""Resident memory of a process and everything under it, read from the host's /proc."""

import contextlib
import os

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def tree_bytes(root: int) -> int:
    """Resident memory of the processes below `root` (the zygote), in bytes.

    Shared pages count once for each process. Walks threads' `children` files where the kernel has
    them, else every process's parent.
    """
    total, open_pids = 0, children(root)
    while open_pids:
        pid = open_pids.pop()
        total += resident_bytes(pid)
        open_pids += children(pid)
    return total


def resident_bytes(pid: int) -> int:
    with contextlib.suppress(OSError, IndexError, ValueError), open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * PAGE_BYTES
    return 0


def children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += map(int, file.read().split())
    except FileNotFoundError:
        if os.path.exists(f"/proc/{pid}") and not os.path.exists("/proc/self/task/self/children"):
            return _children_by_parent(pid)
    except OSError:
        pass
    return found


def _children_by_parent(pid: int) -> list[int]:
    """For kernels without CONFIG_PROC_CHILDREN."""
    if os.path.exists(f"/proc/self/task/{os.getpid()}/children"):
        return []
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError), open(f"/proc/{name}/stat") as file:
            if int(file.read().rpartition(")")[2].split()[1]) == pid:
                found.append(int(name))
    return found
