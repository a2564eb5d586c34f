"""The host's side of one zygote: starting it, sending it jobs, ending it."""

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aha
from aha.rewards.sandbox import layout, watch
from aha.rewards.sandbox.inside import jail
from aha.rewards.sandbox.inside.zygote import KILL
from aha.rewards.sandbox.types import Limits, SandboxFailure

HEADER = struct.Struct("!I")
START_SECONDS = 60.0
GRACE_SECONDS = 10.0
"""How long after its time limit a zygote may take to kill a job before it is killed itself."""
FIRST_LOOK_SECONDS = 0.03
LOOK_EVERY_SECONDS = 0.05
ENTRIES = (
    "aha.rewards.sandbox.inside.guest:run_program",
    "aha.rewards.sandbox.inside.guest:run_command",
    "aha.rewards.sandbox.inside.probe:probe",
    "aha.rewards.code.inside.solution:serve",
    "aha.rewards.code.inside.solution:call_all",
    "aha.rewards.code.inside.judge:judge",
)
PRELOAD = ("typing", "dataclasses", "decimal", "fractions", "enum", "queue", "contextlib")
BOOT = """
import sys, types
for name, path in zip(sys.argv[2::2], sys.argv[3::2]):
    sys.modules[name] = module = types.ModuleType(name)
    module.__path__ = [path]
from aha.rewards.sandbox.inside.zygote import main
main(int(sys.argv[1]))
"""
"""Starts the inside of the sandbox without running `aha/rewards/__init__.py` and its imports."""


@dataclass(kw_only=True)
class Job:
    """One process to start: its entry, its payload, its files and limits."""

    entry: str
    payload: bytes
    limits: Limits
    stdin: bytes = b""
    channels: Sequence[int] = ()
    """Further descriptors; the job finds them at 3, 4, ..."""
    results: int | None = None
    """A file in memory that only this job writes to, behind its channels; emptied at the start."""
    reserves_memory: bool = False
    """The runtime reserves far more address space than it uses: limit data instead."""


@dataclass(kw_only=True)
class Ended:
    """What the zygote said about a job, and its output."""

    code: int | None
    problem: str
    peak_bytes: int
    stdout: bytes
    stderr: bytes
    is_flooded: bool


@dataclass(kw_only=True)
class Answer:
    state: str
    """`ended` | `timeout` | `memory` | `output`."""
    seconds: float
    jobs: list[Ended]


def buffer_file(data: bytes = b"", *, read_only: bool = False) -> int:
    """A file in memory with `data` in it, at its start; read-only it cannot be changed any more."""
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.seek(0)
            return os.dup(file.fileno())
    writable = os.memfd_create("aha", os.MFD_CLOEXEC)
    view = memoryview(data)
    while view:
        view = view[os.write(writable, view) :]
    if not read_only:
        os.lseek(writable, 0, os.SEEK_SET)
        return writable
    try:
        return os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(writable)


def read_file(fd: int, most: int) -> bytes:
    return os.pread(fd, min(os.fstat(fd).st_size, most), 0)


@dataclass(kw_only=True)
class Zygote:
    """A running zygote of one backend. Not safe for threads: the pool lends it to one at a time."""

    backend: str
    process: subprocess.Popen[bytes]
    link: socket.socket
    kept: Sequence[str] = ()
    """Parts of Python's prefix that lie under /tmp."""
    features: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def start(cls, backend: str) -> "Zygote":
        """Raises SandboxFailure with the reason where this backend does not work here."""
        ours, theirs = socket.socketpair()
        plan = layout.this_machine()
        package = Path(aha.__file__).parent
        names = ("aha", "aha.rewards", "aha.rewards.sandbox", "aha.rewards.code")
        stubs = [part for n in names for part in (n, str(package.joinpath(*n.split(".")[1:])))]
        boot = [sys.executable, "-s", "-P", "-B", "-c", BOOT, str(theirs.fileno()), *stubs]
        command = bubblewrap(plan) + boot if backend == "bwrap" else boot
        try:
            process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                env=environment(plan),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
                cwd="/",
            )
        except OSError as error:
            ours.close()
            raise SandboxFailure(f"{command[0]}: {error}") from None
        finally:
            theirs.close()
        zygote = cls(backend=backend, process=process, link=ours)
        zygote._shake_hands(plan)
        return zygote

    def _shake_hands(self, plan: layout.Layout) -> None:
        self.kept = [path for path in plan.binds if path.startswith("/tmp/")]
        spec = {
            "backend": self.backend,
            "binds": plan.binds,
            "links": plan.links,
            "kept": self.kept,
            "host_user": os.getuid(),
            "entries": ENTRIES,
            "preload": PRELOAD,
        }
        try:
            self._send(spec, [])
            self.features = self._receive(time.monotonic() + START_SECONDS)
        except SandboxFailure:
            said = self._last_words()
            self.close()
            raise SandboxFailure(said or "the sandbox did not start") from None
        if not self.features["ready"]:
            self.close()
            raise SandboxFailure(self.features["problem"])
        assert self.process.stderr is not None
        self.process.stderr.close()

    def _last_words(self) -> str:
        """The last line that a zygote which died at its start wrote."""
        self._kill()
        assert self.process.stderr is not None
        lines = self.process.stderr.read(20_000).decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def run(
        self,
        jobs: Sequence[Job],
        *,
        timeout_seconds: float,
        preload: Sequence[str] = (),
        is_linked: bool = False,
    ) -> Answer:
        """Run jobs together until the first ends; `is_linked` puts a socket between two of them,
        as the first channel of each. Raises SandboxFailure; then close this zygote."""
        files = [_JobFiles.of(job, has_folder=self.backend == "unsafe") for job in jobs]
        try:
            request = {
                "timeout_seconds": timeout_seconds,
                "is_linked": is_linked,
                "preload": list(preload),
                "jobs": [file.describe(job) for job, file in zip(jobs, files, strict=True)],
            }
            fds = [fd for job, file in zip(jobs, files, strict=True) for fd in file.all(job)]
            self._send(request, fds)
            answer, stopped = self._watch(jobs, files, time.monotonic() + timeout_seconds)
            state = stopped or answer["state"]
            ended = [
                file.ended(job, said)
                for job, file, said in zip(jobs, files, answer["jobs"], strict=True)
            ]
        finally:
            for file in files:
                file.close()
        return Answer(state=state, seconds=answer["seconds"], jobs=ended)

    def _watch(
        self, jobs: Sequence[Job], files: Sequence["_JobFiles"], deadline: float
    ) -> tuple[dict[str, Any], str]:
        """Wait for the answer; looks at memory and output, and says which of them went over."""
        stopped, wait = "", FIRST_LOOK_SECONDS
        while not self._has_answer(wait):
            wait = LOOK_EVERY_SECONDS
            if time.monotonic() > deadline + GRACE_SECONDS:
                raise SandboxFailure("the sandbox did not answer in time")
            if stopped:
                continue
            if watch.tree_bytes(self._root()) > max(job.limits.memory_bytes for job in jobs):
                stopped = "memory"
            elif any(file.is_flooded(job) for job, file in zip(jobs, files, strict=True)):
                stopped = "output"
            if stopped:
                self._tell_to_kill()
        return self._receive(deadline + GRACE_SECONDS), stopped

    def _root(self) -> int:
        """The process whose descendants are the jobs and helpers."""
        return self.process.pid

    def _tell_to_kill(self) -> None:
        with contextlib.suppress(OSError):
            self.link.send(KILL)

    def _has_answer(self, seconds: float) -> bool:
        poller = select.poll()  # select() fails for descriptors over 1023
        poller.register(self.link, select.POLLIN)
        return bool(poller.poll(seconds * 1000))

    def _send(self, message: dict[str, Any], fds: Sequence[int]) -> None:
        data = json.dumps(message).encode()
        try:
            sent = socket.send_fds(self.link, [HEADER.pack(len(data)) + data], fds)
            self.link.sendall((HEADER.pack(len(data)) + data)[sent:])
        except OSError as error:
            raise SandboxFailure(f"the sandbox has gone: {error}") from None

    def _receive(self, deadline: float) -> dict[str, Any]:
        size = HEADER.unpack(self._receive_exactly(HEADER.size, deadline))[0]
        message: dict[str, Any] = json.loads(self._receive_exactly(size, deadline))
        return message

    def _receive_exactly(self, count: int, deadline: float) -> bytes:
        data = b""
        while len(data) < count:
            left = deadline - time.monotonic()
            part = self._receive_part(count - len(data), left) if left > 0 else b""
            if not part:
                raise SandboxFailure("the sandbox has gone")
            data += part
        return data

    def _receive_part(self, count: int, seconds: float) -> bytes:
        try:
            return self.link.recv(count) if self._has_answer(seconds) else b""
        except OSError:
            return b""

    def abandon(self) -> None:
        """In a forked child of the host: let go of the parent's zygote without ending it."""
        self.link.close()
        self.process.returncode = 0  # not ours to wait for

    def close(self) -> None:
        """End the zygote and everything that still runs in it."""
        self.link.close()
        self._kill()
        if self.process.stderr is not None:
            self.process.stderr.close()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass(kw_only=True)
class _JobFiles:
    stdin: int
    stdout: int
    stderr: int
    payload: int
    folder: str
    """Working directory of a job without walls; the others have a /tmp of their own."""

    @classmethod
    def of(cls, job: Job, *, has_folder: bool) -> "_JobFiles":
        if job.results is not None:
            os.ftruncate(job.results, 0)
            os.lseek(job.results, 0, os.SEEK_SET)
        return cls(
            stdin=buffer_file(job.stdin, read_only=True),
            stdout=buffer_file(),
            stderr=buffer_file(),
            payload=buffer_file(job.payload),
            folder=tempfile.mkdtemp(prefix="aha-unsafe-") if has_folder else "",
        )

    def describe(self, job: Job) -> dict[str, Any]:
        limits = job.limits.as_message(reserves_memory=job.reserves_memory, folder=self.folder)
        count = 4 + len(job.channels) + (job.results is not None)
        return {"entry": job.entry, "num_descriptors": count, "limits": limits}

    def all(self, job: Job) -> list[int]:
        results = () if job.results is None else (job.results,)
        return [self.stdin, self.stdout, self.stderr, self.payload, *job.channels, *results]

    def is_flooded(self, job: Job) -> bool:
        sizes = (os.fstat(self.stdout).st_size, os.fstat(self.stderr).st_size)
        return max(sizes) >= job.limits.output_bytes

    def ended(self, job: Job, said: dict[str, Any]) -> Ended:
        if said["problem"]:
            raise SandboxFailure(f"a job could not be set up: {said['problem']}")
        return Ended(
            code=said["code"],
            problem=said["problem"],
            peak_bytes=said["peak_bytes"],
            stdout=read_file(self.stdout, job.limits.output_bytes),
            stderr=read_file(self.stderr, job.limits.output_bytes),
            is_flooded=self.is_flooded(job),
        )

    def close(self) -> None:
        for fd in (self.stdin, self.stdout, self.stderr, self.payload):
            os.close(fd)
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def environment(plan: layout.Layout) -> dict[str, str]:
    """All that a zygote and its jobs see of the environment: nothing of the host's own."""
    single = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
    )
    return {
        "PATH": plan.path,
        "HOME": "/tmp",
        "TMPDIR": "/tmp",
        "LANG": "C.UTF-8",
        "PYTHONUTF8": "1",
        "PYTHONHASHSEED": "0",  # the same program gets the same verdict
        "PYTHONDONTWRITEBYTECODE": "1",
        **single,
    }


def bubblewrap(plan: layout.Layout) -> list[str]:
    """bubblewrap's command line: the same root as `jail.build_root` makes."""
    command = ["bwrap", "--unshare-all", "--unshare-user", "--cap-add", "ALL", "--hostname", "box"]
    command += ["--uid", "1000", "--gid", "1000", "--dir", "/tmp", "--dir", "/proc"]
    command += ["--proc", "/.proc"]
    for name in jail.DEVICES:
        command += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    kept = [path for path in plan.binds if path.startswith("/tmp/")]
    for number, path in enumerate(kept):
        command += ["--ro-bind", plan.binds[path], f"/.kept/{number}"]
    package = str(Path(aha.__file__).parent)
    for path, source in (plan.binds | {package: package}).items():
        command += ["--ro-bind", source, path]
    for path, target in (jail.LINKS | plan.links).items():
        command += ["--symlink", target, path]
    for folder in ("/home", "/root", "/run", "/var"):
        command += ["--dir", folder]
    return [*command, "--remount-ro", "/", "--chdir", "/"]
