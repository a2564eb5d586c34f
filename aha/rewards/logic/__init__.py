"""Puzzles whose answers are checked by parsing and solving: the answer need not be the gold one.

Every `verify` is a pure function of texts and plain data that never raises for what a model wrote.
`verify_puzzle` chooses one by name and takes plain positional arguments, so that a pool of workers
can run it: `pool.run("aha.rewards.logic:verify_puzzle", reply, "zebra", row)`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aha.rewards.logic.countdown import verify as verify_countdown_reply
from aha.rewards.logic.knights import solve as solve_knights
from aha.rewards.logic.knights import verify as verify_knights
from aha.rewards.logic.sudoku import verify as verify_sudoku
from aha.rewards.logic.zebra import verify as verify_zebra
from aha.rewards.verdict import Verdict

PUZZLES: dict[str, tuple[Callable[..., Verdict], dict[str, tuple[str, ...]]]] = {
    "knights_knaves": (
        verify_knights,
        {"names": ("names",), "statements": ("statements",), "gold": ("gold", "answer"),
         "roles": ("role_names",)},
    ),
    "zebra": (
        verify_zebra,
        {"categories": ("categories",), "constraints": ("constraints",), "gold": ("grid", "gold")},
    ),
    "countdown": (verify_countdown_reply, {"numbers": ("numbers", "nums"), "target": ("target",)}),
    "sudoku": (verify_sudoku, {"puzzle": ("puzzle",)}),
}  # fmt: skip
"""By kind: the verifier, and for each of its keywords the keys of a row that may hold it."""


def verify_puzzle(prediction: str, kind: str, row: Mapping[str, Any]) -> Verdict:
    """Judge a reply by the keys of a row of data; `error` where the row lacks one."""
    if kind not in PUZZLES:
        return Verdict.error(f"unknown puzzle {kind!r}; known: {', '.join(PUZZLES)}")
    verify, keywords = PUZZLES[kind]
    values = {
        keyword: next(row[key] for key in keys if row.get(key) is not None)
        for keyword, keys in keywords.items()
        if any(row.get(key) is not None for key in keys)
    }
    try:
        return verify(prediction, **values)
    except TypeError as error:  # a keyword is missing, or a value is of another type
        return Verdict.error(f"the puzzle cannot be read: {error}")


__all__ = [
    "PUZZLES",
    "solve_knights",
    "verify_countdown_reply",
    "verify_knights",
    "verify_puzzle",
    "verify_sudoku",
    "verify_zebra",
]
