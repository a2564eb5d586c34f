"""What a sandboxed run may use, and what came of it."""

from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["ok", "crashed", "timeout", "memory", "output"]

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Upper bounds of one run; what goes over them is killed, with all its processes."""

    timeout_seconds: float = 10.0
    """Wall clock. CPU time is limited to it as well, plus a second."""
    memory_bytes: int = 1 << 30
    """Address space of each process, and resident memory of all processes together."""
    output_bytes: int = 16 * MIB
    """Size of stdout, of stderr, and of any file that the program writes."""
    processes: int = 32
    """Processes and threads."""
    open_files: int = 128
    tmp_bytes: int = 64 * MIB
    """Size of the private /tmp."""
    stack_bytes: int = 64 * MIB

    def as_message(self, *, reserves_memory: bool, folder: str) -> dict[str, Any]:
        return {
            "cpu_seconds": int(self.timeout_seconds) + 2,
            "memory_bytes": self.memory_bytes,
            "output_bytes": self.output_bytes,
            "processes": self.processes,
            "open_files": self.open_files,
            "tmp_bytes": self.tmp_bytes,
            "stack_bytes": self.stack_bytes,
            "reserves_memory": reserves_memory,
            "folder": folder,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended and what it wrote."""

    status: Status
    """`crashed`: a status other than 0 or a signal; `output`: stopped at the output limit."""
    exit_code: int | None
    """Negative: the signal. None: killed at a limit."""
    stdout: bytes
    stderr: bytes
    seconds: float
    peak_bytes: int = 0

    @property
    def last_error(self) -> str:
        """The last line of stderr, which names the exception of a Python program."""
        lines = self.stderr[-4000:].decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else ""


class SandboxFailure(Exception):
    """The sandbox, not the program, failed: a verdict `error`, never `wrong`."""
