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
        if self.enabled:
            print(text, file=self.stream, flush=True)

    def step(self, step: int, num_steps: int, values: Mapping[str, float | str]) -> None:
        """One row of the table; the header comes with the first row and when the columns change.

        The time left follows from the steps that this process has done.
        """
        now = time.monotonic()
        if self._first_step is None:
            self._first_step = step - 1
        seconds = (now - self._started) / max(step - self._first_step, 1)
        left = format_seconds(seconds * (num_steps - step))
        if tuple(values) != self._columns:
            self._columns = tuple(values)
            names = [*self._columns, "s/step", "left"]
            self.note("step".rjust(11) + "".join(_cell(name) for name in names))
        cells = [_cell(_shown(value)) for value in values.values()]
        count = f"{step}/{num_steps}".rjust(11)
        self.note(count + "".join(cells) + _cell(f"{seconds:.1f}") + _cell(left))

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


def _cell(text: str) -> str:
    return "  " + text.rjust(COLUMN_WIDTH)


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
