"""The walls: one new root for the zygote, and what each job gives up before it runs foreign code.

The root is a fresh tmpfs with read-only views of the system's programs and of Python's prefix;
nothing else of the host has a name in it. A job adds its own mount, process and IPC namespace, its
own /tmp, limits, an unprivileged user and the system call filter.
"""

import contextlib
import os
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aha.rewards.sandbox.inside import kernel, seccomp

DEVICES = ("null", "zero", "full", "random", "urandom")
FOLDERS = ("/tmp", "/proc", "/dev", "/etc", "/home", "/root", "/run", "/var")
LINKS = {
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
    "/dev/fd": "/proc/self/fd",
    "/dev/shm": "/tmp",
}
ETC_FILES = {
    "/etc/passwd": "root:x:0:0:root:/:/bin/sh\nsandbox:x:1000:1000::/tmp:/bin/sh\n",
    "/etc/group": "root:x:0:\nsandbox:x:1000:\n",
    "/etc/hosts": "127.0.0.1 localhost\n",
}
KEPT = "/.kept"
"""Where prefixes that lie under /tmp wait to be bound into each job's own /tmp."""
ZYGOTE_PROC = "/.proc"
"""The zygote's own /proc: a new one may be mounted only where another is in view. Jobs drop it."""
JOB_ID = 1000


@dataclass(frozen=True, slots=True)
class Walls:
    """What the zygote can put around a job on this machine; found out once, at its start."""

    isolated: bool
    """False only when the user asked for unsafe execution."""
    has_job_user: bool = False
    """Jobs run as `JOB_ID`; where only one id could be mapped they keep it."""
    has_proc: bool = False
    kept: Sequence[str] = ()
    filter: seccomp.Filter | None = None
    own_namespace: int = -1
    """A pidfd of the zygote, to come back from a job's process namespace."""


def build_root(binds: Mapping[str, str], links: Mapping[str, str]) -> list[str]:
    """Replace the root of this mount namespace; returns the paths under /tmp that jobs bind again.

    Needs CAP_SYS_ADMIN in a new user and mount namespace. Raises OSError.
    """
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    _enter_empty_root()
    kernel.mount("tmpfs", "/new", "tmpfs", kernel.MS_NOSUID, "size=4m,nr_inodes=4096,mode=755")
    kept: list[str] = []
    for path, source in binds.items():
        if path.startswith("/tmp/"):
            _bind(f"/old{source}", f"/new{KEPT}/{len(kept)}")
            kept.append(path)
        _bind(f"/old{source}", f"/new{path}")
    _fill_root("/new", links)
    with contextlib.suppress(OSError):  # some containers forbid it; then jobs have no /proc
        kernel.mount("proc", f"/new{ZYGOTE_PROC}", "proc", kernel.MS_NOSUID | kernel.MS_NODEV)
    os.chdir("/new")
    kernel.pivot_root(".", ".old")
    os.chdir("/")
    kernel.unmount("/.old", kernel.MNT_DETACH)
    os.rmdir("/.old")
    read_only = kernel.MS_RDONLY | kernel.MS_NOSUID
    kernel.mount("none", "/", None, kernel.MS_REMOUNT | kernel.MS_BIND | read_only)
    return kept


def _enter_empty_root() -> None:
    """Make an empty tmpfs the root, with the host's root at /old."""
    base = next(path for path in ("/tmp", "/mnt", "/var/tmp", "/usr") if os.path.isdir(path))
    kernel.mount("tmpfs", base, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755")
    os.chdir(base)
    os.mkdir("old")
    os.mkdir("new")
    kernel.pivot_root(".", "old")
    os.chdir("/")


def _bind(source: str, target: str) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        _make_file(target)
    kernel.mount(source, target, None, kernel.MS_BIND | kernel.MS_REC)
    kernel.lock_mounts(target)


def _fill_root(root: str, links: Mapping[str, str]) -> None:
    for name in (*FOLDERS, "/.old", ZYGOTE_PROC):
        os.makedirs(root + name, exist_ok=True)
    for name in DEVICES:
        _make_file(f"{root}/dev/{name}")
        kernel.mount(f"/old/dev/{name}", f"{root}/dev/{name}", None, kernel.MS_BIND)
    for path, text in ETC_FILES.items():
        _make_file(root + path, text)
    for path, to in (LINKS | dict(links)).items():
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        os.symlink(to, root + path)


def _make_file(path: str, text: str = "") -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def private_mounts(walls: Walls, tmp_bytes: int) -> None:
    """This job's own /tmp and /proc, in namespaces that end with it."""
    kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("tmpfs", "/tmp", "tmpfs", flags, f"size={tmp_bytes},nr_inodes=8192,mode=1777")
    for number, path in enumerate(walls.kept):
        os.makedirs(path, exist_ok=True)
        kernel.mount(f"{KEPT}/{number}", path, None, kernel.MS_BIND | kernel.MS_REC)
    if walls.has_proc:
        mount_proc()


def mount_proc() -> None:
    """A /proc of this process namespace alone, without the files about the machine."""
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("proc", "/proc", "proc", flags, "subset=pid,hidepid=invisible")
    kernel.unmount(ZYGOTE_PROC)


def set_limits(limits: Mapping[str, Any], walls: Walls) -> None:
    """Resource limits, hard and soft at once, so that a program cannot raise them again."""
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: limits["cpu_seconds"],
        resource.RLIMIT_FSIZE: limits["output_bytes"],
        resource.RLIMIT_NOFILE: limits["open_files"],
        resource.RLIMIT_STACK: limits["stack_bytes"],
        resource.RLIMIT_MEMLOCK: 0,
        # RLIMIT_DATA where the runtime reserves far more address space than it uses (node)
        resource.RLIMIT_DATA if limits["reserves_memory"] else resource.RLIMIT_AS: limits[
            "memory_bytes"
        ],
    }
    if walls.isolated:  # else it would count all processes of the user
        wanted[resource.RLIMIT_NPROC] = limits["processes"]
    for kind, value in wanted.items():
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def give_up_privileges(walls: Walls) -> None:
    """No user, no capability, no forbidden system call from here on."""
    if walls.has_job_user:
        with contextlib.suppress(PermissionError):  # `setgroups` is denied to plain users
            os.setgroups([])
        os.setresgid(JOB_ID, JOB_ID, JOB_ID)
        os.setresuid(JOB_ID, JOB_ID, JOB_ID)
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_PDEATHSIG, 9)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    assert walls.filter is not None
    seccomp.install(walls.filter)
