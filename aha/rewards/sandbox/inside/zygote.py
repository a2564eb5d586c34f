"""The zygote: a warm interpreter inside the walls that forks one jailed process for each job.

It never runs foreign code itself. The host sends a small request over a socket, with the files
of each job (stdin, stdout, stderr, payload, channels) as open descriptors; the zygote forks, waits
within the time limit, kills what is left (killing process 1 of a job's process namespace kills
all of it) and answers how each job ended. When the host goes away the socket closes, and the
zygote and everything in it end.
"""

import array
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aha.rewards.sandbox.inside import jail, kernel
from aha.rewards.sandbox.inside.walls import enter

MAX_DESCRIPTORS = 32
HEADER = struct.Struct("!I")
KILL = b"k"
Entry = Callable[[bytes, int], int]


@dataclass(slots=True)
class Job:
    """A running job; `usage` and `status` are there once it has been reaped."""

    pid: int
    pidfd: int
    started: int
    """Reading end of a pipe on which the job says that its walls stand."""
    problem: str = ""
    status: int | None = None
    cpu_seconds: float = 0.0
    peak_bytes: int = 0

    def report(self) -> dict[str, Any]:
        code = os.waitstatus_to_exitcode(self.status) if self.status is not None else None
        return {
            "code": code,
            "problem": self.problem,
            "cpu_seconds": self.cpu_seconds,
            "peak_bytes": self.peak_bytes,
        }


def main(socket_fd: int) -> None:
    """Entry of the interpreter that the host starts."""
    host = socket.socket(fileno=socket_fd)
    spec, _ = receive(host)
    try:
        entries = {name: _load_entry(name) for name in spec["entries"]}
        for name in spec["preload"]:
            importlib.import_module(name)
        walls = enter(spec, host)  # last: our own files are out of sight from here on
    except Exception as error:
        send(host, {"ready": False, "problem": f"{type(error).__name__}: {error}"})
        os._exit(1)
    gc.collect()
    gc.freeze()
    send(host, {"ready": True, "job_user": walls.has_job_user, "proc": walls.has_proc})
    serve(host, walls, entries)


def _load_entry(name: str) -> Entry:
    module, _, function = name.partition(":")
    entry: Entry = getattr(importlib.import_module(module), function)
    return entry


def serve(host: socket.socket, walls: jail.Walls, entries: dict[str, Entry]) -> None:
    while True:
        drop_late_kills(host)
        request, descriptors = receive(host)
        for name in request["preload"]:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        answer = handle(request, descriptors, host, walls, entries)
        send(host, answer)


def handle(
    request: dict[str, Any],
    descriptors: list[int],
    host: socket.socket,
    walls: jail.Walls,
    entries: dict[str, Entry],
) -> dict[str, Any]:
    """Start the jobs of one request, wait for the first of them, end the others."""
    begin = time.monotonic()
    jobs: list[Job] = []
    left = list(descriptors)
    ends = [end.detach() for end in socket.socketpair()] if request["is_linked"] else []
    descriptors += ends
    try:
        for number, description in enumerate(request["jobs"]):
            count = description["num_descriptors"]
            mine, left = left[:count], left[count:]
            mine[4:4] = ends[number : number + 1]
            jobs.append(start(description, mine, walls, entries, [*descriptors, host.fileno()]))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    state = wait(jobs, begin + request["timeout_seconds"], host)
    seconds = time.monotonic() - begin
    for job in jobs:
        end(job)
    if not walls.isolated:
        end_orphans()
    return {"state": state, "seconds": seconds, "jobs": [job.report() for job in jobs]}


def start(
    description: dict[str, Any],
    mine: list[int],
    walls: jail.Walls,
    entries: dict[str, Entry],
    foreign: list[int],
) -> Job:
    """Fork a job into its own process namespace."""
    reading, writing = os.pipe()
    if walls.isolated:
        kernel.unshare(kernel.CLONE_NEWPID)
    try:
        pid = os.fork()
        if pid == 0:
            _be_job(description, mine, walls, entries, writing, foreign)
    finally:
        if walls.isolated:
            kernel.setns(walls.own_namespace, kernel.CLONE_NEWPID)
    os.close(writing)
    return Job(pid=pid, pidfd=os.pidfd_open(pid), started=reading)


def _be_job(
    description: dict[str, Any],
    mine: list[int],
    walls: jail.Walls,
    entries: dict[str, Entry],
    started: int,
    foreign: list[int],
) -> None:
    """The forked side: walls first, then the job's entry; never returns."""
    code = 70
    try:
        entry = entries[description["entry"]]
        payload = _read_all(mine[3])
        first_channel, started = _arrange(mine, started)
        _raise_walls(description["limits"], walls)
        os.write(started, b"+")
        os.close(started)
        started = -1
        code = entry(payload, first_channel)
    except BaseException as error:
        message = f"{type(error).__name__}: {error}".encode(errors="replace")[:2000]
        with contextlib.suppress(OSError):
            os.write(started if started >= 0 else 2, message)
    finally:
        os._exit(code)


def _arrange(mine: list[int], started: int) -> tuple[int, int]:
    """Put the job's files at 0, 1, 2, the started pipe and the channels behind, close the rest.

    Returns the numbers of the first channel and of the pipe. Payload (3) is closed.
    """
    wanted = [mine[0], mine[1], mine[2], *mine[4:], started]
    high = [os.dup2(fd, 200 + number) for number, fd in enumerate(wanted)]
    for number, fd in enumerate(high):
        os.dup2(fd, number)
    os.closerange(len(wanted), 4096)
    return 3, len(wanted) - 1


def _raise_walls(limits: dict[str, Any], walls: jail.Walls) -> None:
    os.setsid()
    if walls.isolated:
        jail.private_mounts(walls, limits["tmp_bytes"])
    else:
        os.chdir(limits["folder"])
    jail.set_limits(limits, walls)
    if walls.isolated:
        jail.give_up_privileges(walls)
        os.chdir("/tmp")
    signal.signal(signal.SIGINT, signal.default_int_handler)


def wait(jobs: list[Job], deadline: float, host: socket.socket) -> str:
    """`ended` | `timeout` | `killed` (the host asked): until the first job is over."""
    poller = select.poll()
    poller.register(host, select.POLLIN)
    poller.register(jobs[0].pidfd, select.POLLIN)
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return "timeout"
        ready = [fd for fd, _ in poller.poll(left * 1000)]
        if host.fileno() in ready:
            if host.recv(1) == b"":
                os._exit(0)
            return "killed"
        if jobs[0].pidfd in ready:
            return "ended"


def end(job: Job) -> None:
    """Kill what is left of a job and reap it: returns when nothing of it runs any more."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(job.pidfd, signal.SIGKILL)
    with contextlib.suppress(OSError):  # its session, which matters without walls
        os.killpg(job.pid, signal.SIGKILL)
    _, job.status, usage = os.wait4(job.pid, 0)
    job.cpu_seconds = usage.ru_utime + usage.ru_stime
    job.peak_bytes = usage.ru_maxrss * 1024
    said = os.read(job.started, 4096)
    if said != b"+":
        job.problem = said.decode(errors="replace") or "the job ended before its walls stood"
    os.close(job.pidfd)
    os.close(job.started)


def drop_late_kills(host: socket.socket) -> None:
    """The host may ask to kill a job that has just ended; a request never begins with that byte."""
    while host.recv(1, socket.MSG_PEEK) == KILL:
        host.recv(1)


def end_orphans() -> None:
    """Without walls: kill what jobs left behind; it has become this process's child."""
    while True:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            left = [int(pid) for pid in file.read().split()]
        if not left:
            return
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _read_all(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    return os.pread(fd, size, 0) if size else b""


def send(host: socket.socket, message: dict[str, Any]) -> None:
    data = json.dumps(message).encode()
    host.sendall(HEADER.pack(len(data)) + data)


def receive(host: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """One request with its descriptors; ends the process when the host has gone."""
    fds = array.array("i")
    space = socket.CMSG_LEN(MAX_DESCRIPTORS * fds.itemsize)
    data, ancillary, _, _ = host.recvmsg(HEADER.size, space)
    if not data:
        os._exit(0)
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
    data += _receive_exactly(host, HEADER.size - len(data))
    body = _receive_exactly(host, HEADER.unpack(data)[0])
    return json.loads(body), list(fds)


def _receive_exactly(host: socket.socket, count: int) -> bytes:
    parts = b""
    while len(parts) < count:
        part = host.recv(count - len(parts))
        if not part:
            os._exit(0)
        parts += part
    return parts
