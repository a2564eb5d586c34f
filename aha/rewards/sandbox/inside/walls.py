"""How the zygote gets into its namespaces: by itself, through bubblewrap, or not at all."""

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any

from aha.rewards.sandbox.inside import jail, kernel, seccomp

NOBODY = 65534
NAMESPACES = (
    kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWNS
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWCGROUP
)


def enter(spec: Mapping[str, Any], host: socket.socket) -> jail.Walls:
    """Go behind the walls that `spec["backend"]` names. Raises OSError where they cannot be had."""
    backend = spec["backend"]
    if backend == "unsafe":
        return _no_walls()
    if backend == "direct":
        has_job_user = _enter_namespaces(host)
        kept = jail.build_root(spec["binds"], spec["links"])
    elif backend != "bwrap":
        raise ValueError(f"no backend {backend!r}")
    else:  # bubblewrap has made the namespaces and the root; capabilities in them are left to us
        has_job_user = bool(spec["host_user"])
        kept = list(spec["kept"])
    kernel.drop_bounding_set()
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    own = os.pidfd_open(os.getpid())
    program = seccomp.build(kernel.machine())
    return jail.Walls(
        isolated=True,
        has_job_user=has_job_user,
        has_proc=_can_mount_proc(own),
        kept=kept,
        filter=seccomp.assemble(program),
        own_namespace=own,
    )


def _no_walls() -> jail.Walls:
    if sys.platform == "linux":
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    return jail.Walls(isolated=False)


def _enter_namespaces(host: socket.socket) -> bool:
    """New namespaces of every kind; returns in their first process, whether jobs have a user.

    The process that the host started stays outside as parent and waits.
    """
    reading, writing = os.pipe()
    answer_in, answer_out = os.pipe()
    helper = os.fork()
    if helper == 0:
        os.close(writing)
        _map_users(os.getppid(), reading, answer_out)
    os.close(answer_out)
    kernel.unshare(NAMESPACES)
    os.write(writing, b"+")
    said = os.read(answer_in, 2000)
    os.waitpid(helper, 0)
    for fd in (reading, writing, answer_in):
        os.close(fd)
    if said not in (b"own", b"one"):
        raise OSError(said.decode() or "user ids could not be mapped")
    _become_first_process(host)
    return said == b"own" or os.getuid() != 0


def _become_first_process(host: socket.socket) -> None:
    child = os.fork()
    if child:
        host.close()
        _, status = os.waitpid(child, 0)
        os._exit(1 if status else 0)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)


def _map_users(pid: int, reading: int, answer: int) -> None:
    """In a helper outside: ids of process `pid`; says `own` (jobs get a user) or `one`."""
    if not os.read(reading, 1):
        os._exit(1)
    user, group = os.getuid(), os.getgid()
    said = b""
    try:
        if user == 0:
            with contextlib.suppress(OSError):
                _write_map(pid, "uid_map", f"0 0 1\n{jail.JOB_ID} {NOBODY} 1\n")
                _write_map(pid, "gid_map", f"0 0 1\n{jail.JOB_ID} {NOBODY} 1\n")
                said = b"own"
        if not said:
            inside = 0 if user == 0 else jail.JOB_ID
            _write_map(pid, "setgroups", "deny")
            _write_map(pid, "uid_map", f"{inside} {user} 1\n")
            _write_map(pid, "gid_map", f"{inside} {group} 1\n")
            said = b"one"
    except OSError as error:
        said = f"user ids could not be mapped: {error}".encode()
    os.write(answer, said)
    os._exit(0)


def _write_map(pid: int, name: str, text: str) -> None:
    fd = os.open(f"/proc/{pid}/{name}", os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _can_mount_proc(own: int) -> bool:
    """Some containers forbid a new /proc; a sandbox without one still works."""
    kernel.unshare(kernel.CLONE_NEWPID)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            kernel.unshare(kernel.CLONE_NEWNS)
            jail.mount_proc()
            code = 0
        finally:
            os._exit(code)
    kernel.setns(own, kernel.CLONE_NEWPID)
    return os.waitpid(child, 0)[1] == 0
