"""Grid puzzles (zebra, Einstein's riddle): who lives where, with what.

A grid is {category: [value of place 1, value of place 2, ...]}, each value once. An answer gives
the whole grid: JSON (by place, by category, or rows under a header), a table with a header, or one
line a place ("House 1: red, cat"). It is right when it equals the gold grid or, without one, when
all constraints hold: ("same", a, b), ("different", a, b), ("left", a, b) for directly left,
("before", a, b) for somewhere left, ("next", a, b), ("apart", a, b, distance), ("at", a, place),
("not_at", a, place), with a and b as (category, value) and places from 1.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aha.rewards.logic.reply import NoAnswer, answer_of
from aha.rewards.verdict import Verdict

MAX_CELLS = 400

Grid = dict[str, list[str]]

_PLACE = re.compile(r"\s*(?:[^\W\d_]+\s*)?#?(\d{1,2})\s*")
_FENCE = re.compile(r"```[a-z]*\n?|```")


def verify(
    prediction: str,
    *,
    categories: Mapping[str, Sequence[str]],
    constraints: Sequence[Sequence[Any]] | None = None,
    gold: Mapping[str, Sequence[str]] | None = None,
) -> Verdict:
    """Whether a reply's grid is right. categories: their values, in any order."""
    try:
        values = _checked(categories)
        rules = None if constraints is None else [_rule(rule, values) for rule in constraints]
        expected = None if gold is None else _checked(gold)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        return Verdict.error(f"the puzzle cannot be read: {error}")
    if (expected is None) == (rules is None):
        return Verdict.error("give constraints or a gold grid")
    try:
        grid = parse_grid(answer_of(prediction), values)
    except NoAnswer as problem:
        return Verdict.unparseable(str(problem))
    found = json.dumps(grid, ensure_ascii=False)
    if expected is not None:
        return Verdict.correct(found) if grid == expected else Verdict.wrong(found, "not the gold")
    for index, rule in enumerate(rules or (), start=1):
        if not rule(grid):
            return Verdict.wrong(found, f"constraint {index} does not hold")
    return Verdict.correct(found, "all constraints hold")


def parse_grid(text: str, categories: Mapping[str, Sequence[str]]) -> Grid:
    """The grid in an answer. Raises NoAnswer when it is not whole, or says something twice."""
    cells = _Cells(categories)
    text = _FENCE.sub("", text).strip()
    if text[:1] in ("{", "["):
        _read_json(text, cells)
    elif any(line.count("|") > 1 for line in text.splitlines()):
        _read_table(text, cells)
    else:
        _read_lines(text, cells)
    return cells.grid()


def _checked(categories: Mapping[str, Sequence[str]]) -> Grid:
    grid = {_folded(name): [_folded(value) for value in row] for name, row in categories.items()}
    sizes = {len(row) for row in grid.values()}
    if len(sizes) != 1 or not 1 <= len(grid) * max(sizes) <= MAX_CELLS:
        raise ValueError("categories are empty, too large or not of one size")
    if any(len(set(row)) != len(row) for row in grid.values()):
        raise ValueError("a category has a value twice")
    return grid


def _folded(text: Any) -> str:
    return " ".join(str(text).casefold().replace("_", " ").strip("*` \t").split())


def _rule(rule: Sequence[Any], values: Grid) -> Callable[[Grid], bool]:
    """A constraint as a function of a grid. Raises ValueError for what is none."""
    kind, first, *rest = rule
    one = _thing(first, values)
    if kind in ("at", "not_at"):
        place = int(rest[0]) - 1
        return lambda grid: (_place(grid, one) == place) == (kind == "at")
    other = _thing(rest[0], values)
    distance = int(rest[1]) if kind == "apart" else 0
    tests: dict[str, Callable[[int], bool]] = {
        "same": lambda gap: gap == 0,
        "different": lambda gap: gap != 0,
        "left": lambda gap: gap == 1,
        "before": lambda gap: gap > 0,
        "next": lambda gap: abs(gap) == 1,
        "apart": lambda gap: abs(gap) == distance,
    }
    if kind not in tests:
        raise ValueError(f"unknown constraint {kind!r}")
    test = tests[kind]
    return lambda grid: test(_place(grid, other) - _place(grid, one))


def _thing(thing: Sequence[str], values: Grid) -> tuple[str, str]:
    category, value = map(_folded, thing)
    if value not in values[category]:
        raise ValueError(f"{value!r} is no {category}")
    return category, value


def _place(grid: Grid, thing: tuple[str, str]) -> int:
    return grid[thing[0]].index(thing[1])


class _Cells:
    """What an answer has said so far."""

    def __init__(self, categories: Mapping[str, Sequence[str]]):
        self.values = _checked(categories)
        self.size = len(next(iter(self.values.values())))
        self._said: dict[tuple[str, int], str] = {}
        places = [(value, name) for name, row in self.values.items() for value in row]
        self.category_of = dict(places)
        self.ambiguous = {v for v, name in places if self.category_of[v] != name}

    def say(self, category: str, place: int, value: Any) -> None:
        category, value = _folded(category), _folded(value)
        if category not in self.values:
            raise NoAnswer(f"unknown category {category[:30]!r}")
        if not 1 <= place <= self.size:
            raise NoAnswer(f"there is no place {place}")
        if value not in self.values[category]:
            raise NoAnswer(f"{value[:30]!r} is no {category}")
        if (category, place) in self._said:
            raise NoAnswer(f"{category} of place {place} is given twice")
        self._said[category, place] = value

    def grid(self) -> Grid:
        grid: Grid = {}
        for category in self.values:
            row = [self._said.get((category, place), "") for place in range(1, self.size + 1)]
            if "" in row:
                raise NoAnswer(f"{category} of place {row.index('') + 1} is missing")
            if len(set(row)) < len(row):
                raise NoAnswer(f"a {category} is given to two places")
            grid[category] = row
        return grid


def _number(text: Any) -> int:
    match = _PLACE.fullmatch(str(text).strip("* "))
    if match is None:
        raise NoAnswer(f"{str(text)[:30]!r} names no place")
    return int(match[1])


def _read_json(text: str, cells: _Cells) -> None:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise NoAnswer("the answer is not JSON") from None
    if isinstance(data, dict) and len(data) == 1 and _folded(next(iter(data))) == "solution":
        data = next(iter(data.values()))
    if isinstance(data, dict) and {"header", "rows"} <= data.keys():
        _read_rows([data["header"], *_listed(data["rows"])], cells)
    elif isinstance(data, list):
        for place, row in enumerate(data, start=1):
            _read_object(place, row, cells)
    elif isinstance(data, dict):
        for key, row in data.items():
            if _folded(key) in cells.values:
                for place, value in enumerate(_listed(row), start=1):
                    cells.say(key, place, value)
            else:
                _read_object(_number(key), row, cells)
    else:
        raise NoAnswer("the answer is not an object")


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise NoAnswer("a list is missing")
    return value


def _read_object(place: int, row: Any, cells: _Cells) -> None:
    if not isinstance(row, dict):
        raise NoAnswer(f"place {place} is not an object")
    for key, value in row.items():
        if _folded(key) in ("house", "place", "position") and _folded(key) not in cells.values:
            place = _number(value)
    for key, value in row.items():
        if _folded(key) not in ("house", "place", "position") or _folded(key) in cells.values:
            cells.say(key, place, value)


def _read_table(text: str, cells: _Cells) -> None:
    rows = [line.strip().strip("|").split("|") for line in text.splitlines() if "|" in line]
    _read_rows([row for row in rows if not all(set(cell) <= set(" :-") for cell in row)], cells)


def _read_rows(rows: Sequence[Any], cells: _Cells) -> None:
    """A header, then one row a place whose first cell is the place."""
    header = _listed(rows[0]) if rows else []
    for row in rows[1:]:
        if len(_listed(row)) != len(header) or not header:
            raise NoAnswer("a row of the table is not as long as its header")
        for category, value in zip(header[1:], row[1:], strict=True):
            cells.say(category, _number(row[0]), value)


_LINE = re.compile(r"[\s*(-]*(?:[^\W\d_]+[ \t]+)?#?(\d{1,2})[\s*]*[:.)=\uff1a-][\s*]*(.+)")


def _read_lines(text: str, cells: _Cells) -> None:
    """House 1: red, cat; or House 1: color = red, pet = cat."""
    for line in filter(str.strip, text.splitlines()):
        match = _LINE.fullmatch(line)
        if match is None:
            raise NoAnswer(f"{line.strip()[:40]!r} is not a line of a grid")
        for part in re.split(r"[,;\uff0c]", match[2].strip().rstrip(".")):
            category, sign, value = part.rpartition("=") if "=" in part else part.rpartition(":")
            if not sign:
                if _folded(value) in cells.ambiguous:
                    raise NoAnswer(f"{value.strip()[:30]!r} may be of two categories")
                category = cells.category_of.get(_folded(value), "")
            cells.say(category, int(match[1]), value)
