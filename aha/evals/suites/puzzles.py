"""Puzzles with many right answers or one, checked by rules."""

from aha.evals.suites import prompts
from aha.evals.suites.entry import Entry, Row
from aha.evals.suites.graders import puzzle
from aha.evals.suites.suite import Protocol


def _knights(row: Row) -> Row:
    """The hub's `solution` holds a truth value for each name; aha's rows hold the answer's text."""
    if "quiz" not in row:
        return row
    roles = ["knight" if is_knight else "knave" for is_knight in row["solution"]]
    pairs = enumerate(zip(row["names"], roles, strict=True), start=1)
    gold = "\n".join(f"({number}) {name} is a {role}" for number, (name, role) in pairs)
    return {
        "question": row["quiz"],
        "answer": gold,
        "names": row["names"],
        "statements": row["statements"],
    }


def _sudoku(row: Row) -> Row:
    """A row that is the grid alone gets a question."""
    puzzle = str(row.get("puzzle") or row["question"]).strip()
    if row.get("puzzle") and row.get("question"):
        return row
    size = "4x4" if len(puzzle) == 16 else "9x9"
    asked = f"Solve this {size} sudoku (0 or . = empty, row by row): {puzzle}"
    return {**row, "puzzle": puzzle, "question": asked}


PUZZLES = (
    Entry(
        name="countdown",
        description="Reach a number with given numbers and + - * /; the first 1,000 of the hub",
        hub="Jiayi-Pan/Countdown-Tasks-3to4@train",
        licence="see the hub",
        grade=puzzle("countdown"),
        needs=("numbers", "target"),
        needs_gold=False,
        protocol=Protocol(instruction=prompts.COUNTDOWN),
        most_rows=1_000,
    ),
    Entry(
        name="knights-and-knaves",
        description="Who tells the truth and who lies: 3 to 7 people, one solution",
        hub="K-and-K/knights-and-knaves:test@5ppl",
        files=("knights_knaves",),
        licence="CC-BY-NC-SA-4.0 on the hub",
        adapt=_knights,
        grade=puzzle("knights_knaves"),
        protocol=Protocol(instruction=prompts.KNIGHTS),
    ),
    Entry(
        name="sudoku",
        description="Grids of 4x4 or 9x9; any that keeps the rules is right; the first 1,000",
        hub="sapientinc/sudoku-extreme@test",
        files=("sudoku4x4",),
        licence="see the hub",
        adapt=_sudoku,
        grade=puzzle("sudoku"),
        needs=("puzzle",),
        needs_gold=False,
        protocol=Protocol(instruction=prompts.SUDOKU),
        most_rows=1_000,
    ),
)
