"""What a person sees of a run, on stderr: one line a step with fixed columns and the time left."""

import sys
import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TextIO

COLUMN_WIDTH = 9
SAMPLE_LINES = 12


@dataclass
class Progress:
    """Prints to stderr; silent when `enabled` is False (ranks above 0). Plain text, no colours."""

    enabled: bool = True
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    _columns: tuple[str, ...] = ()
    _started: float = field(default_factory=time.monotonic)
    _first_step: int | None = None

    def note(self, text: str) -> None:
        """One line of text."""
        if not self.enabled:
            return
        try:
            print(text, file=self.stream, flush=True)
        except BrokenPipeError:  # nobody reads any more; the run goes on
            self.enabled = False

    def begin(self, step: int) -> None:
        """Count the time from here; what was done before took this process none."""
        self._first_step, self._started = step, time.monotonic()

    def step(self, step: int, num_steps: int, values: Mapping[str, float | str]) -> None:
        """One row of the table; the header comes with the first row and when the columns change.

        The time left follows from the steps that this process has done.
        """
        now = time.monotonic()
        if self._first_step is None:
            self._first_step = step - 1
        seconds = (now - self._started) / max(step - self._first_step, 1)
        if tuple(values) != self._columns:
            self._columns = tuple(values)
            self.note(_line("step", {name: name for name in (*values, "s/step", "left")}))
        left = format_seconds(seconds * (num_steps - step))
        shown = {name: _shown(value) for name, value in values.items()}
        count = f"{step}/{num_steps}"
        self.note(_line(count, {**shown, "s/step": f"{seconds:.1f}", "left": left}))

    def sample(
        self, question: str, text: str, rewards: Mapping[str, float], *, verdict: str = ""
    ) -> None:
        """One sampled response with its score broken down."""
        score = "  ".join(f"{name} {value:g}" for name, value in rewards.items())
        lines = [*_wrapped("Q: " + question), *_wrapped("A: " + text)]
        self.note("\n".join("    | " + line for line in lines))
        self.note(f"    = {score}" + (f"  ({verdict})" if verdict else ""))


def format_seconds(seconds: float) -> str:
    """A duration for people: 42s, 3m05s, 2h10m."""
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def _line(first: str, cells: Mapping[str, str]) -> str:
    """Cells below their names, right-aligned."""
    widths = [max(len(name), COLUMN_WIDTH) for name in cells]
    texts = [text.rjust(width) for text, width in zip(cells.values(), widths, strict=True)]
    return "  ".join([first.rjust(COLUMN_WIDTH), *texts])


def _shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    if value == 0 or 0.001 <= abs(value) < 10_000:
        return f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"
    return f"{value:.2e}"


def _wrapped(text: str) -> list[str]:
    """At most SAMPLE_LINES lines; control characters of a model's text are shown, not obeyed."""
    safe = "".join(char if char.isprintable() or char == "\n" else "?" for char in text)
    lines = [part for line in safe.split("\n") for part in textwrap.wrap(line, 92) or [""]]
    return lines if len(lines) <= SAMPLE_LINES else [*lines[:SAMPLE_LINES], "..."]
