"""Sudoku of 4x4 or 9x9 cells: any grid that keeps the clues and the rules is right."""

import re
from math import isqrt

from aha.rewards.logic.reply import NoAnswer, answer_of
from aha.rewards.verdict import Verdict

_DECORATION = re.compile(r"[\s|+\-_,;\[\]()`*=\u2502\u2500\u253c]")


def verify(prediction: str, *, puzzle: str) -> Verdict:
    """Whether a reply is the full grid, row by row, with or without lines between the cells.

    puzzle: the cells row by row, 0 or . for an empty one.
    """
    clues = _DECORATION.sub("", puzzle).replace(".", "0")
    size = isqrt(len(clues))
    if size not in (4, 9) or size * size != len(clues) or not _are_digits(clues, 0, size):
        return Verdict.error("the puzzle is not a grid of 4x4 or 9x9 digits")
    try:
        cells = _DECORATION.sub("", answer_of(prediction)).rstrip(".")
    except NoAnswer as problem:
        return Verdict.unparseable(str(problem))
    if len(cells) != len(clues) or not _are_digits(cells, 1, size):
        return Verdict.unparseable(f"not {len(clues)} digits from 1 to {size}")
    if any(clue not in ("0", cell) for clue, cell in zip(clues, cells, strict=True)):
        return Verdict.wrong(cells, "a clue is changed")
    for name, group in _groups(cells, size):
        if len(set(group)) < size:
            return Verdict.wrong(cells, f"a digit stands twice in {name}")
    return Verdict.correct(cells, "the clues and the rules are kept")


def _are_digits(text: str, lowest: int, highest: int) -> bool:
    return all(letter in "0123456789" and lowest <= int(letter) <= highest for letter in text)


def _groups(cells: str, size: int) -> list[tuple[str, str]]:
    box = isqrt(size)
    places = range(size)
    rows = [(f"row {i + 1}", cells[i * size : (i + 1) * size]) for i in places]
    columns = [(f"column {i + 1}", cells[i::size]) for i in places]
    boxes = [
        (f"box {i + 1}", "".join(cells[(i // box * box + k // box) * size + i % box * box + k % box]
                                 for k in places))
        for i in places
    ]  # fmt: skip
    return rows + columns + boxes
