"""Conversations of several turns as one response: MT-Bench asks again behind the first reply."""

from collections.abc import Sequence

from aha.tasks.task import Problem

MARK = "\u241e"
"""Between the responses to two turns, on a line of its own."""


def later_questions(problem: Problem) -> tuple[str, ...]:
    """What the user says after the first question."""
    turns = problem.meta.get("turns")
    return tuple(map(str, turns[1:])) if isinstance(turns, list | tuple) else ()


def joined(responses: Sequence[str]) -> str:
    """The responses to all turns as one text."""
    return f"\n{MARK}\n".join(text.replace(MARK, "") for text in responses)


def parted(response: str) -> list[str]:
    """The responses to the turns again."""
    return response.split(f"\n{MARK}\n")
