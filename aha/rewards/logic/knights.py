"""Knights and knaves: knights always tell the truth, knaves always lie. Who is what?

A statement is a nested tuple, as generators of these puzzles write them: ("telling-truth", i),
("lying", i), ("not", s), ("and", s, ...), ("or", s, ...), ("->", s, t), ("<=>", s, t); i is the
place of a person. The i-th statement is what the i-th person says.

An answer says of everyone once who is what, in any order: "(1) Zoey is a knight (2) Leo is a
knave", "Zoey: knight, Leo: knave", "Knights: Zoey. Knaves: Leo.", a table, JSON. An answer that
says it twice, hedges or denies is not read.
"""

import ast
import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from aha.rewards.logic.reply import MAX_ANSWER_CHARS, NoAnswer, answer_of
from aha.rewards.verdict import Verdict

MAX_PEOPLE = 12
MAX_STATEMENT_CHARS = 20_000
ROLES = ("knight", "knave")
"""Who tells the truth and who lies; puzzles may name them otherwise ("saint", "sinner")."""

_FILLERS = frozenset(
    str.split(
        "is was are were be must a an the and both also therefore so as role person all "
        "est un une et ist ein und es \u662f"
    )
)
_HEDGES = frozenset(
    str.split("not isn never no neither nor if or either maybe perhaps unless \u4e0d")
)
_BREAK = frozenset(";.\n\u3002\uff1b")
_COLON = frozenset(":=\uff1a")
_GOLD_NAME = re.compile(r"(?:^|[\n,;.]|\band\b)\s*(?:\(\d+\)\s*)?([^\W\d_][\w'\u2019-]*) is an? ")

Assignment = dict[str, bool]
"""True for who tells the truth, by name."""


def verify(
    prediction: str,
    *,
    names: Sequence[str] | None = None,
    statements: Any = None,
    gold: Any = None,
    roles: tuple[str, str] = ROLES,
) -> Verdict:
    """Whether a reply says of everyone who is what, and that is right.

    statements: the puzzle, a nested tuple or its text; then every solution of it is right.
    gold: an answer as a text, or True or a role for every name in order; used without statements.
    names: in the order of the statements; those in the gold text where they are not given.
    `error` when puzzle or gold cannot be read or contradict each other.
    """
    try:
        people = _people(names, gold)
        puzzle = None if statements is None else parse_statements(statements, len(people))
        expected = None if gold is None else _gold(gold, people, roles)
    except ValueError as problem:
        return Verdict.error(str(problem))
    if puzzle is None and expected is None:
        return Verdict.error("neither statements nor a gold answer")
    if puzzle is not None and expected and not _holds(puzzle, expected, people):
        return Verdict.error("the gold answer contradicts the statements")
    try:
        text = answer_of(prediction)
        said = parse_answer(text, people, roles=roles)
    except NoAnswer as problem:
        return Verdict.unparseable(str(problem))
    return _judged(said, people, puzzle, expected, roles)


def solve(statements: Any, num_people: int) -> list[tuple[bool, ...]]:
    """All solutions, by trying every one of the 2^n (n at most MAX_PEOPLE). ValueError as below."""
    puzzle = parse_statements(statements, num_people)
    every = product((True, False), repeat=num_people)
    return [roles for roles in every if _is_consistent(puzzle, roles)]


def parse_statements(statements: Any, num_people: int) -> tuple[Any, ...]:
    """The checked statements. ValueError for anything that is none."""
    if isinstance(statements, str):
        if len(statements) > MAX_STATEMENT_CHARS:
            raise ValueError(f"{len(statements)} characters of statements are too long")
        try:
            statements = ast.literal_eval(statements)
        except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
            raise ValueError(f"the statements cannot be read: {type(error).__name__}") from None
    if not 1 <= num_people <= MAX_PEOPLE:
        raise ValueError(f"{num_people} people; 1 to {MAX_PEOPLE} are possible")
    if not isinstance(statements, list | tuple) or len(statements) != num_people:
        raise ValueError(f"there is not one statement for each of {num_people} people")
    for statement in statements:
        _check(statement, num_people, depth=0)
    return tuple(statements)


def parse_answer(text: str, names: Sequence[str], *, roles: tuple[str, str] = ROLES) -> Assignment:
    """Who is what according to an answer. Raises NoAnswer when that is not said of all, once."""
    claims = _Claims(names, roles)
    for token in claims.tokens(text):
        claims.read(token)
    claims.finish()
    missing = [name for name in names if name not in claims.said]
    if missing:
        raise NoAnswer(f"nothing is said about {', '.join(missing)}")
    return claims.said


def _people(names: Sequence[str] | None, gold: Any) -> list[str]:
    if names is None and isinstance(gold, str):
        names = _GOLD_NAME.findall(gold[:MAX_ANSWER_CHARS])
    if not names or isinstance(names, str) or not all(isinstance(n, str) and n for n in names):
        raise ValueError("the names of the people are not known")
    if len({_folded(name) for name in names}) != len(names) or len(names) > MAX_PEOPLE:
        raise ValueError("the names are not different, or too many")
    return list(names)


def _gold(gold: Any, people: Sequence[str], roles: tuple[str, str]) -> Assignment:
    if isinstance(gold, str):
        try:
            return parse_answer(gold[:MAX_ANSWER_CHARS], people, roles=roles)
        except NoAnswer as problem:
            raise ValueError(f"the gold answer cannot be read: {problem}") from None
    if isinstance(gold, Mapping):
        gold = [gold.get(name) for name in people]
    known = {True: True, False: False, roles[0]: True, roles[1]: False}
    if not isinstance(gold, list | tuple) or len(gold) != len(people):
        raise ValueError("the gold answer has not one role for each name")
    if not all(isinstance(role, bool | str) and role in known for role in gold):
        raise ValueError(f"the roles of the gold answer are not {roles[0]} and {roles[1]}")
    return {name: known[role] for name, role in zip(people, gold, strict=True)}


def _judged(
    said: Assignment,
    people: Sequence[str],
    puzzle: tuple[Any, ...] | None,
    expected: Assignment | None,
    roles: tuple[str, str],
) -> Verdict:
    found = ", ".join(f"{name}: {roles[0] if said[name] else roles[1]}" for name in people)
    if puzzle is not None:
        for index, name in enumerate(people):
            if _truth(puzzle[index], [said[n] for n in people]) != said[name]:
                return Verdict.wrong(found, f"what {name} says does not fit")
        return Verdict.correct(found, "all statements fit")
    assert expected is not None
    wrong = [name for name in people if said[name] != expected[name]]
    if wrong:
        return Verdict.wrong(found, f"not what the gold answer says about {', '.join(wrong)}")
    return Verdict.correct(found)


def _holds(puzzle: tuple[Any, ...], said: Assignment, people: Sequence[str]) -> bool:
    return _is_consistent(puzzle, [said[name] for name in people])


def _is_consistent(puzzle: tuple[Any, ...], roles: Sequence[bool]) -> bool:
    return all(_truth(said, roles) == role for said, role in zip(puzzle, roles, strict=True))


def _truth(statement: Any, roles: Sequence[bool]) -> bool:
    kind, *rest = statement
    if kind == "telling-truth":
        return roles[rest[0]]
    if kind == "lying":
        return not roles[rest[0]]
    values = [_truth(part, roles) for part in rest]
    if kind == "not":
        return not values[0]
    if kind == "and":
        return all(values)
    if kind == "or":
        return any(values)
    return values[0] == values[1] if kind == "<=>" else (not values[0] or values[1])


_NUM_PARTS = {"not": (1, 1), "and": (1, 50), "or": (1, 50), "->": (2, 2), "<=>": (2, 2)}


def _check(statement: Any, num_people: int, *, depth: int) -> None:
    if depth > 50 or not isinstance(statement, list | tuple) or len(statement) < 2:
        raise ValueError(f"not a statement: {str(statement)[:80]}")
    kind, *rest = statement
    if kind in ("telling-truth", "lying"):
        if rest[1:] or type(rest[0]) is not int or not 0 <= rest[0] < num_people:
            raise ValueError(f"not a person: {str(statement)[:80]}")
        return
    least, most = _NUM_PARTS.get(kind, (1, 0)) if isinstance(kind, str) else (1, 0)
    if not least <= len(rest) <= most:
        raise ValueError(f"not a statement: {str(statement)[:80]}")
    for part in rest:
        _check(part, num_people, depth=depth + 1)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold().replace("\u2019", "'")


class _Claims:
    """Reads an answer word by word and keeps what it says of whom."""

    def __init__(self, names: Sequence[str], roles: tuple[str, str]):
        self.said: Assignment = {}
        self._names = {_folded(name): name for name in names}
        self._roles = {_folded(role) + end: role == roles[0] for role in roles for end in ("", "s")}
        self._waiting: list[str] = []
        self._listed: bool | None = None
        """The role of a list such as "Knights: Zoey, Leo"."""
        self._heading: bool | None = None
        """A role that has no name before it, so that a list has to follow."""
        words = sorted([*self._names, *self._roles], key=len, reverse=True)
        known = "|".join(re.escape(word) for word in words)
        self._token = re.compile(
            rf"(?<![^\W_])(?:{known})(?![^\W_])|[^\W\d_]+|[:=;.\n\uff1a\u3002\uff1b]"
        )
        self._chinese = re.compile(rf"{known}|[^\W\d_]|[:=;.\n\uff1a\u3002\uff1b]")

    def tokens(self, text: str) -> list[str]:
        folded = _folded(text).replace("\u662f", " \u662f ")
        has_han = any("\u4e00" <= letter <= "\u9fff" for letter in "".join(self._names))
        return (self._chinese if has_han else self._token).findall(folded)

    def read(self, token: str) -> None:
        if self._heading is not None and token not in _COLON:
            raise NoAnswer("a role is given to nobody")
        if token in self._names:
            self._name(self._names[token])
        elif token in self._roles:
            self._role(self._roles[token])
        elif token in _HEDGES:
            raise NoAnswer(f"{token!r} leaves open who is what")
        elif token in _COLON:
            if self._heading is not None:
                self._listed, self._heading = self._heading, None
        elif token in _BREAK:
            self._break(token)
        elif token not in _FILLERS and (self._waiting or self._listed is not None):
            raise NoAnswer(f"{token[:30]!r} stands where a role should")

    def finish(self) -> None:
        self.read(".")

    def _name(self, name: str) -> None:
        if self._listed is not None:
            self._say(name, self._listed)
        else:
            self._waiting.append(name)

    def _role(self, role: bool) -> None:
        for name in self._waiting:
            self._say(name, role)
        self._heading = None if self._waiting else role
        self._waiting, self._listed = [], None

    def _break(self, token: str) -> None:
        if token == "\n" and self._waiting:
            return  # a table may be broken up
        if self._waiting:
            raise NoAnswer(f"no role is given to {self._waiting[0]}")
        self._listed = None

    def _say(self, name: str, role: bool) -> None:
        if name in self.said:
            raise NoAnswer(f"{name} is mentioned twice")
        self.said[name] = role
