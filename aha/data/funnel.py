"""How many rows were left after each step of a data stage, and why the others went."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Funnel:
    """Counts a row once, under the first reason that drops it.

    `reasons`: every reason in the order in which it is tested.
    """

    reasons: tuple[str, ...]
    drawn: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def count(self, reason: str | None) -> bool:
        """Note one row and why it goes; None keeps it. Returns whether it was kept."""
        assert reason is None or reason in self.reasons, reason
        self.drawn += 1
        if reason is not None:
            self.dropped[reason] += 1
        return reason is None

    def add(self, counts: Mapping[str, int]) -> None:
        """Add what `counts()` of another funnel said."""
        self.drawn += counts["drawn"]
        self.dropped.update({name: n for name, n in counts.items() if name != "drawn"})

    def counts(self) -> dict[str, int]:
        """All numbers, for a checkpoint or another rank."""
        return {"drawn": self.drawn, **self.dropped}

    @property
    def kept(self) -> int:
        return self.drawn - self.dropped.total()

    def table(self) -> dict[str, Any]:
        """As funnel.json has it: what is left after each step, and the reasons."""
        left, steps = self.drawn, [{"name": "drawn", "count": self.drawn}]
        for reason in self.reasons:
            left -= self.dropped[reason]
            steps.append({"name": f"not {reason}", "count": left})
        return {"steps": steps, "dropped": {name: self.dropped[name] for name in self.reasons}}

    def sentence(self) -> str:
        """One line for people: "4,096 drawn, 211 wrong, 12 mixed language: 3,873 kept"."""
        losses = [f"{self.dropped[name]:,} {name}" for name in self.reasons if self.dropped[name]]
        return ", ".join([f"{self.drawn:,} drawn", *losses]) + f": {self.kept:,} kept"


def merged(reasons: Iterable[str], parts: Iterable[Mapping[str, int]]) -> Funnel:
    """One funnel of the counts of several ranks or chunks."""
    funnel = Funnel(tuple(reasons))
    for part in parts:
        funnel.add(part)
    return funnel
