"""One command or one Python program in the sandbox."""

import marshal
import os
import sys
from collections.abc import Mapping, Sequence

from aha.rewards.sandbox import host, layout, pool
from aha.rewards.sandbox.types import Limits, Outcome, Status

GUEST = "aha.rewards.sandbox.inside.guest"
PYTHON_NAMES = ("python", "python3")


def run(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    files: Mapping[str, bytes] | None = None,
    limits: Limits | None = None,
    program: int | None = None,
) -> Outcome:
    """Run a command behind the walls, in an empty private folder with `files` in it.

    `python` is this interpreter. `program`: a descriptor of the executable to run instead of
    looking `argv[0]` up. Raises UserError where isolation cannot be had (see `is_available`),
    SandboxFailure when the sandbox itself fails.
    """
    limits = limits or Limits()
    arguments = list(argv)
    if arguments[0] in PYTHON_NAMES:
        arguments[0] = sys.executable
    name = os.path.basename(arguments[0])
    payload = {
        "argv": arguments,
        "files": _checked(files or {}),
        "environment": host.environment(layout.this_machine()),
        "has_program": program is not None,
    }
    job = host.Job(
        entry=f"{GUEST}:run_command",
        payload=marshal.dumps(payload),
        limits=limits,
        stdin=stdin,
        channels=() if program is None else (program,),
        reserves_memory=name == "node",
    )
    return outcome(pool.execute([job], timeout_seconds=limits.timeout_seconds))


def run_python(
    source: str,
    *,
    stdin: bytes = b"",
    files: Mapping[str, bytes] | None = None,
    argv: Sequence[str] = (),
    limits: Limits | None = None,
    prelude: bool = False,
) -> Outcome:
    """Run a Python program as `python main.py` would, in a fork of a warm interpreter.

    A few times faster than `run(["python", ...])`. `prelude`: with the names that programming
    judges supply (`aha.rewards.sandbox.inside.prelude`). Raises as `run` does.
    """
    limits = limits or Limits()
    payload = {
        "source": source,
        "files": _checked(files or {}),
        "argv": list(argv),
        "prelude": prelude,
    }
    job = host.Job(
        entry=f"{GUEST}:run_program",
        payload=marshal.dumps(payload),
        limits=limits,
        stdin=stdin,
    )
    answer = pool.execute(
        [job], timeout_seconds=limits.timeout_seconds, preload=imports_to_preload(source)
    )
    return outcome(answer)


def imports_to_preload(*sources: str) -> list[str]:
    """Slow imports that a warm interpreter should have before it forks for these programs."""
    return ["numpy"] if any("numpy" in source for source in sources) else []


def outcome(answer: host.Answer) -> Outcome:
    """How the first job of an answer ended."""
    job = answer.jobs[0]
    return Outcome(
        status=_status(answer.state, job),
        exit_code=job.code if answer.state == "ended" else None,
        stdout=job.stdout,
        stderr=job.stderr,
        seconds=answer.seconds,
        peak_bytes=job.peak_bytes,
    )


def _status(state: str, job: host.Ended) -> Status:
    if state == "timeout":
        return "timeout"
    if state == "memory":
        return "memory"
    if state == "output" or job.is_flooded:
        return "output"
    if job.code == 0:
        return "ok"
    lines = job.stderr[-2000:].decode(errors="replace").strip().splitlines()
    return "memory" if lines and lines[-1].startswith("MemoryError") else "crashed"


def _checked(files: Mapping[str, bytes]) -> dict[str, bytes]:
    for name in files:
        if os.path.isabs(name) or ".." in name.split("/"):
            raise ValueError(f"a file of a sandbox has a plain relative name, not {name!r}")
    return {name: bytes(content) for name, content in files.items()}
