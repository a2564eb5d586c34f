"""`aha verify`: grade a file of answers, or grade an old run's samples again."""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aha.errors import UserError

if TYPE_CHECKING:
    from aha.evals.regrade import Regraded
    from aha.rewards.rows import Line

TELL_SECONDS = 2.0
SHOWN_CHANGES = 3


def command(
    path: Annotated[
        str,
        typer.Argument(
            metavar="FILE.jsonl|RUN",
            help='Rows like {"id", "gold", "prediction"}; or a run, or a file of its samples.',
            show_default=False,
        ),
    ],
    timeout: Annotated[
        float | None,
        typer.Option(min=0.1, max=86_400, help="Seconds for one row. [5; programs 120]"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=1_024, help="Processes. [one a core, at most 16]")
    ] = None,
    unsafe_code: Annotated[
        bool, typer.Option("--unsafe-code", help="Run programs also where nothing isolates them.")
    ] = False,
) -> None:
    """Grade answers offline, one JSON line each, in order.

    A row's `kind` chooses the verifier, else `tests` make it a program, else its gold answer
    decides. Given a run, its samples are graded again and the ones whose verdict changed are
    printed.
    """
    from aha.evals.regrade import is_sample_file

    if unsafe_code:
        os.environ["AHA_UNSAFE_CODE"] = "1"
    where = _found(path)
    try:
        if where.is_dir() or is_sample_file(where):
            _regrade(where)
        else:
            _grade(where, timeout, workers)
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _found(path: str) -> Path:
    for candidate in (Path(path), Path("runs") / path):
        if os.path.isfile(candidate) or os.path.isdir(candidate / "stages"):
            return candidate
    raise UserError(f"no file or run {path!r}", hint="give a .jsonl file or a run directory")


def _grade(path: Path, timeout: float | None, workers: int | None) -> None:
    from aha.rewards.rows import grade_lines, read_lines
    from aha.rewards.service import VerifierPool, default_workers

    mistakes: list[str] = []
    with (
        path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file,
        VerifierPool(num_workers=workers or default_workers()) as pool,
    ):
        told = _Told(_num_lines(path))
        for graded in grade_lines(_sandboxed(read_lines(file)), pool, timeout_seconds=timeout):
            print(graded.json())
            told.count(graded.verdict.kind, graded.line.number)
            if graded.line.mistake:
                mistakes.append(graded.line.mistake)
        told.end()
    sys.stdout.flush()
    if mistakes:
        from aha.rewards.answer import ROW_HINT

        rows = "1 row is" if len(mistakes) == 1 else f"{len(mistakes)} rows are"
        raise UserError(f"{rows} not to be graded: {path}, {mistakes[0]}", hint=ROW_HINT)


def _sandboxed(lines: "Iterator[Line]") -> "Iterator[Line]":
    """The lines; UserError before the first program where programs cannot be run."""
    from aha.rewards.rows import needs_sandbox

    is_checked = False
    for line in lines:
        if not is_checked and needs_sandbox(line):
            _check_sandbox()
            is_checked = True
        yield line


def _check_sandbox() -> None:
    from aha.rewards import sandbox

    reason = None if sandbox.is_unsafe_allowed() else sandbox.is_available()
    if reason is not None:
        raise UserError(
            f"programs cannot be isolated here: {reason}",
            hint="--unsafe-code runs them all the same; see docs/verifiers/sandbox.md",
        )


def _regrade(path: Path) -> None:
    from aha.evals.regrade import regrade, sample_files
    from aha.rewards.rows import to_json

    files = sample_files(path)
    told = _Told(sum(map(_num_lines, files)), unit="samples")
    changed: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], list[Regraded]] = {}
    for number, sample in enumerate(regrade(files), start=1):
        told.count(sample.verdict.kind, number)
        if sample.has_changed:
            print(to_json(sample.table()))
            key = (str(sample.row["verdict"]), sample.verdict.kind)
            changed[key] += 1
            examples.setdefault(key, []).append(sample) if changed[key] <= SHOWN_CHANGES else None
    told.end()
    sys.stdout.flush()
    total = sum(changed.values())
    _note(f"{total} of {told.done} verdicts changed" if total else "no verdict has changed")
    for (before, after), count in changed.most_common():
        _note(f"  {count:>6}  {before} -> {after}")
        for sample in examples[before, after]:
            gold, found = sample.row.get("gold"), sample.verdict.extracted
            _note(f"          {sample.row['problem_id']}: gold {gold!r}, found {found!r:.80}")


class _Told:
    """Progress on stderr: every few seconds, with the time left; and the counts at the end."""

    def __init__(self, total: int, *, unit: str = "rows"):
        self.done = 0
        self._total, self._unit = total, unit
        self._counts: Counter[str] = Counter()
        self._started = self._last = time.monotonic()

    def count(self, kind: str, position: int) -> None:
        """One more; `position` of `total` lines are behind us."""
        self.done += 1
        self._counts[kind] += 1
        now = time.monotonic()
        if now - self._last >= TELL_SECONDS:
            from aha.pipeline.progress import format_seconds

            self._last, seconds = now, now - self._started
            left = format_seconds(seconds / position * (self._total - position))
            rate = f"{self.done / seconds:.0f} {self._unit}/s"
            _note(f"{position:,}/{self._total:,} lines, {rate}, {left} left: {self._shown()}")

    def end(self) -> None:
        """The sum of it."""
        seconds = max(time.monotonic() - self._started, 1e-9)
        rate = f"{seconds:.1f} s ({self.done / seconds:.0f}/s)"
        _note(f"{self.done:,} {self._unit} in {rate}: {self._shown() or 'none'}")

    def _shown(self) -> str:
        return ", ".join(f"{kind} {count:,}" for kind, count in self._counts.most_common())


def _num_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b"")) or 1


def _note(text: str) -> None:
    typer.echo(text, err=True)
