"""`aha label`: a person chooses the better of two answers; the pairs train a reward model.

Which answer stands left is drawn by a seed, so that neither a habit of the eye nor the order in the
file decides. Decisions go to PAIRS.labeled.jsonl as they are made, on R1's scale from -2 to 2
(arXiv 2501.12948v2, B.2).
"""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aha.errors import UserError
from aha.pipeline.files import write_jsonl
from aha.report.markup import visible
from aha.serve.decisions import Decisions, keys_of, seconds_of
from aha.tasks.files import read_rows

ROW_HINT = (
    'a row is like {"prompt": "...", "answers": ["...", "..."]}, or has "chosen" and "rejected"'
)
CHOICES = (-2, -1, 0, 1, 2)
"""How much better the left answer is."""


class Labelling:
    """Pairs of answers with the decisions about them."""

    kind = "label"

    def __init__(self, path: Path, *, seed: int = 0, is_read_only: bool = False):
        """Raises UserError for a file without pairs, or one that is being labelled already."""
        rows = read_rows(path)
        if not rows:
            raise UserError(f"{path} has no rows", hint=ROW_HINT)
        self.name, self.seed = path.name, seed
        for number, row in enumerate(rows, start=1):
            _check(row, f"{path}, row {number}")
        self.rows = list(keys_of(rows).items())
        self.decisions = Decisions(decisions_path(path), is_read_only=is_read_only)

    def __len__(self) -> int:
        return len(self.rows)

    def state(self, after: int = -1) -> dict[str, Any]:
        """Progress, and the next pair to look at."""
        margins = [self.margin(index) for index in range(len(self.rows))]
        open_ones = [index for index, margin in enumerate(margins) if margin is None]
        return {
            "total": len(margins),
            "done": len(margins) - len(open_ones),
            "counts": {
                "clear": sum(abs(m or 0) == 2 for m in margins),
                "slight": sum(abs(m or 0) == 1 for m in margins),
                "ties": margins.count(0),
            },
            "left": self.decisions.time_left(len(open_ones)),
            "next": next((i for i in open_ones if i > after), next(iter(open_ones), None)),
        }

    def item(self, index: int) -> dict[str, Any]:
        """A pair as the page shows it: nothing tells which answer the file has first."""
        _, row = self.rows[index]
        first, second = (visible(text) for text in answers_of(row))
        is_swapped, margin = self.is_swapped(index), self.margin(index)
        left, right = (second, first) if is_swapped else (first, second)
        shown = None if margin is None else -margin if is_swapped else margin
        return {
            "index": index,
            "prompt": visible(row["prompt"]),
            "left": left,
            "right": right,
            "decision": shown,
        }

    def decide(self, index: int, said: Mapping[str, Any]) -> None:
        """Keep how much better the left answer is, -2 to 2. Raises UserError."""
        key, row = self.rows[index]
        choice = said.get("decision")
        if choice not in CHOICES or isinstance(choice, bool):
            raise UserError("a decision is a number from -2 to 2: how much better the left one is")
        margin = -int(choice) if self.is_swapped(index) else int(choice)
        decision = {"id": str(row.get("id", index + 1)), "margin": margin}
        self.decisions.add(key, {**decision, "seconds": seconds_of(said)})

    def margin(self, index: int) -> int | None:
        """How much better the file's first answer is; None: not decided."""
        margin = self.decisions.latest.get(self.rows[index][0], {}).get("margin")
        return int(margin) if margin in CHOICES else None

    def is_swapped(self, index: int) -> bool:
        """Whether the file's second answer stands left."""
        return random.Random(f"label/{self.seed}/{self.rows[index][0]}").random() < 0.5

    def pairs(self) -> list[dict[str, Any]]:
        """Rows that a reward model trains on; ties teach nothing and are left out."""
        pairs = []
        for index, (_, row) in enumerate(self.rows):
            margin = self.margin(index)
            if not margin:
                continue
            first, second = answers_of(row)
            chosen, rejected = (first, second) if margin > 0 else (second, first)
            rest = {k: v for k, v in row.items() if k not in ("answers", "chosen", "rejected")}
            both = {"chosen": chosen, "rejected": rejected, "margin": float(abs(margin))}
            pairs.append({"id": str(row.get("id", index + 1)), **rest, **both})
        return pairs

    def export(self, path: Path) -> int:
        """Write the pairs; returns how many there are. Raises UserError for none."""
        pairs = self.pairs()
        if not pairs:
            raise UserError("no pair has a better answer yet", hint=f"aha label {self.name}")
        write_jsonl(path, pairs)
        return len(pairs)

    def summary(self) -> str:
        """Progress; and where the file came with a choice, how often people agree with it."""
        state = self.state()
        counts = ", ".join(f"{count:,} {kind}" for kind, count in state["counts"].items())
        text = f"{state['done']:,} of {state['total']:,} labelled: {counts}."
        margins = [
            margin
            for index, (_, row) in enumerate(self.rows)
            if "chosen" in row and (margin := self.margin(index))
        ]
        if not margins:
            return text
        share = sum(margin > 0 for margin in margins) / len(margins)
        return f"{text} The choice of the file is shared in {share:.0%} of {len(margins):,}."


def decisions_path(path: Path) -> Path:
    """Where the decisions about a file are kept."""
    return path.with_suffix(".labeled.jsonl")


def answers_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """The two answers in the order of the file."""
    first, second = row["answers"] if "answers" in row else (row["chosen"], row["rejected"])
    return first, second


def _check(row: Mapping[str, Any], where: str) -> None:
    answers = row.get("answers", [row.get("chosen"), row.get("rejected")])
    texts = [row.get("prompt"), *(answers if isinstance(answers, list) else [None])]
    if len(texts) != 3 or not all(isinstance(text, str) and text.strip() for text in texts):
        raise UserError(f"{where} is no prompt with two answers", hint=ROW_HINT)
