"""Every suite by its name. A new one is one entry in the file of its family."""

from aha.evals.suites import prompts
from aha.evals.suites.code import CODE
from aha.evals.suites.entry import Entry
from aha.evals.suites.graders import own_row, same_math
from aha.evals.suites.instructions import INSTRUCTIONS
from aha.evals.suites.judged import JUDGED
from aha.evals.suites.knowledge import KNOWLEDGE
from aha.evals.suites.math import MATH
from aha.evals.suites.puzzles import PUZZLES
from aha.evals.suites.safety import SAFETY
from aha.evals.suites.suite import Protocol

ROWS = Entry(
    name="rows",
    description="All rows of a file of one's own, each judged by its verifier or its answer",
    hub="",
    licence="one's own",
    grade=own_row,
    needs_gold=False,
    protocol=Protocol(instruction=prompts.MATH),
    same_answer=same_math,
)

SUITES: dict[str, Entry] = {
    entry.name: entry
    for entry in (ROWS, *MATH, *KNOWLEDGE, *CODE, *INSTRUCTIONS, *PUZZLES, *SAFETY, *JUDGED)
}


def plain(name: str) -> str:
    """A name as far as spelling does not matter: AIME_2024 is aime-2024."""
    return "".join(char for char in name.lower() if char.isalnum())


BY_PLAIN_NAME = {plain(name): entry for name, entry in SUITES.items()}
