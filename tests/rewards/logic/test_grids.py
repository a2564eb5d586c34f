"""Zebra puzzles, sudoku, the 24 game."""

import json
import random
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aha.rewards.logic import (
    verify_countdown_reply,
    verify_puzzle,
    verify_sudoku,
    verify_zebra,
)

CATEGORIES = {
    "name": ["Ann", "Bob", "Cleo"],
    "color": ["red", "dark green", "blue"],
    "pet": ["cat", "dog", "fish"],
}
GRID = {
    "name": ["Bob", "Ann", "Cleo"],
    "color": ["red", "blue", "dark green"],
    "pet": ["dog", "cat", "fish"],
}
CONSTRAINTS = [
    ("at", ("name", "Bob"), 1),
    ("same", ("name", "Ann"), ("color", "blue")),
    ("left", ("color", "red"), ("color", "blue")),
    ("next", ("pet", "cat"), ("pet", "dog")),
    ("before", ("pet", "dog"), ("pet", "cat")),
    ("different", ("name", "Cleo"), ("pet", "cat")),
    ("not_at", ("pet", "fish"), 1),
    ("apart", ("name", "Bob"), ("pet", "fish"), 2),
]


def by_house(grid):
    return {
        f"House {i + 1}": {category: row[i] for category, row in grid.items()} for i in range(3)
    }


def as_table(grid):
    rows = [
        ["House", *grid],
        ["---"] * 4,
        *([i + 1, *(r[i] for r in grid.values())] for i in range(3)),
    ]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


FORMS = [
    lambda g: json.dumps(by_house(g)),
    lambda g: json.dumps({"solution": by_house(g)}),
    lambda g: json.dumps(g),
    lambda g: json.dumps([{"house": i + 1, **row} for i, row in enumerate(by_house(g).values())]),
    lambda g: json.dumps({"header": ["House", *g],
                          "rows": [[str(i + 1), *(r[i] for r in g.values())] for i in range(3)]}),
    as_table,
    lambda g: "\n".join(f"House {i + 1}: " + ", ".join(r[i] for r in g.values()) for i in range(3)),
    lambda g: "\n".join(f"- **{i + 1}.** " + "; ".join(f"{c} = {r[i]}" for c, r in g.items())
                        for i in range(3)),
    lambda g: "<think>hm</think><answer>```json\n" + json.dumps(g) + "\n```</answer>",
    lambda g: as_table(g).upper(),
]  # fmt: skip


class TestZebra:
    @pytest.mark.parametrize("form", FORMS)
    def test_every_form_of_answer(self, form):
        for rules in ({"gold": GRID}, {"constraints": CONSTRAINTS}):
            verdict = verify_zebra(form(GRID), categories=CATEGORIES, **rules)
            assert verdict.is_correct, verdict
            for category in CATEGORIES:
                swapped = GRID | {category: GRID[category][::-1]}
                verdict = verify_zebra(form(swapped), categories=CATEGORIES, **rules)
                assert verdict.kind == "wrong", (category, rules)

    def test_the_constraints_have_one_solution_and_it_alone_is_right(self):
        right = []
        for names in permutations(CATEGORIES["name"]):
            for colors in permutations(CATEGORIES["color"]):
                for pets in permutations(CATEGORIES["pet"]):
                    grid = {"name": names, "color": colors, "pet": pets}
                    verdict = verify_zebra(
                        json.dumps(grid), categories=CATEGORIES, constraints=CONSTRAINTS
                    )
                    if verdict.is_correct:
                        right.append({name: list(row) for name, row in grid.items()})
        assert right == [GRID]

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            ("", "the answer is empty"),
            ("{}", "name of place 1 is missing"),
            ("[" * 100_000, "too long"),
            ("[" * 9_000, "not JSON"),
            ("{", "not JSON"),
            ("[1, 2, 3]", "place 1 is not an object"),
            ("House 1: red", "place 1 is missing"),
            ("Ann lives in the red house.", "not a line"),
            ("House 1: red, red", "given twice"),
            ("House 9: red", "there is no place 9"),
            ("House 1: purple", "unknown category"),
            ("House 1: pet = red", "is no pet"),
            (json.dumps(GRID | {"pet": ["cat", "cat", "dog"]}), "given to two places"),
            (json.dumps(GRID | {"pet": "cat dog fish"}), "a list is missing"),
            (as_table(GRID) + "\n" + as_table(GRID), "names no place"),
            ("| House | pet |\n| 1 | cat | dog |", "as long as its header"),
        ],
    )
    def test_answers_that_are_not_read(self, answer, reason):
        verdict = verify_zebra(answer, categories=CATEGORIES, gold=GRID)
        assert verdict.kind == "unparseable"
        assert reason in verdict.reason

    def test_a_value_of_two_categories_needs_its_category(self):
        categories = {"shirt": ["red", "blue"], "car": ["blue", "red"]}
        gold = {"shirt": ["red", "blue"], "car": ["blue", "red"]}
        bare = verify_zebra("1: red, blue\n2: blue, red", categories=categories, gold=gold)
        assert "two categories" in bare.reason
        named = "1: shirt: red, car: blue\n2: shirt: blue, car: red"
        assert verify_zebra(named, categories=categories, gold=gold).is_correct

    @pytest.mark.parametrize(
        "puzzle",
        [
            {"categories": {}, "gold": {}},
            {"categories": {"a": ["x"], "b": []}, "gold": {"a": ["x"]}},
            {"categories": {"a": ["x", "x"]}, "gold": {"a": ["x", "x"]}},
            {"categories": CATEGORIES},
            {"categories": CATEGORIES, "constraints": [("near", ("pet", "cat"), ("pet", "dog"))]},
            {"categories": CATEGORIES, "constraints": [("at", ("pet", "cow"), 1)]},
            {"categories": CATEGORIES, "constraints": [("at", ("car", "cat"), 1)]},
            {"categories": CATEGORIES, "constraints": [()]},
            {"categories": None, "gold": GRID},
        ],
    )
    def test_a_broken_puzzle_is_an_error(self, puzzle):
        assert verify_zebra(json.dumps(GRID), **puzzle).kind == "error"


def sudoku(size, seed):
    """A full grid: the cyclic one with digits, rows and columns of a band exchanged."""
    rng, box = random.Random(seed), {4: 2, 9: 3}[size]
    digits, order = rng.sample(range(1, size + 1), size), []
    for band in rng.sample(range(box), box):
        order += [band * box + row for row in rng.sample(range(box), box)]
    rows = [[digits[(box * (r % box) + r // box + c) % size] for c in order] for r in order]
    return "".join(str(digit) for row in rows for digit in row)


class TestSudoku:
    @pytest.mark.parametrize("size", [4, 9])
    def test_gold_scores_and_a_changed_digit_does_not(self, size):
        for seed in range(10):
            rng, full = random.Random(seed), sudoku(size, seed)
            puzzle = "".join(digit if rng.random() < 0.4 else "0" for digit in full)
            rows = [full[i : i + size] for i in range(0, size * size, size)]
            for text in (full, "\n".join(rows), "\n".join(" | ".join(row) for row in rows),
                         json.dumps([list(map(int, row)) for row in rows]),
                         f"<answer>{full}</answer>"):  # fmt: skip
                assert verify_sudoku(text, puzzle=puzzle).is_correct
            place = rng.randrange(size * size)
            other = str(int(full[place]) % size + 1)
            changed = full[:place] + other + full[place + 1 :]
            assert verify_sudoku(changed, puzzle=puzzle).kind == "wrong"

    def test_any_solution_is_right_but_clues_stay(self):
        empty = "." * 16
        assert verify_sudoku("1234341221434321", puzzle=empty).is_correct
        assert (
            verify_sudoku("1234341221434321", puzzle="2" + empty[1:]).reason == "a clue is changed"
        )
        assert "row 1" in verify_sudoku("1134341221434321", puzzle=empty).reason
        assert "box 1" in verify_sudoku("1234234134124123", puzzle=empty).reason

    @pytest.mark.parametrize(
        "text", ["", "123", "0" * 16, "5" * 16, "x" * 16, "\uff11" * 16, "1" * 17]
    )
    def test_answers_that_are_not_read(self, text):
        assert verify_sudoku(text, puzzle="0" * 16).kind == "unparseable"

    @pytest.mark.parametrize("puzzle", ["", "0", "0" * 15, "5" * 16, "x" * 16])
    def test_a_broken_puzzle_is_an_error(self, puzzle):
        assert verify_sudoku("1234341221434321", puzzle=puzzle).kind == "error"


class TestCountdown:
    @pytest.mark.parametrize(
        "text",
        [
            "8 / (3 - 8 / 3)",
            "<think>8 * 3 = 24</think><answer>8 / (3 - 8 / 3) = 24</answer>",
            "I try 8 * 3 first.\n\nAnswer: 8 / (3 - 8 / 3)",
            "The answer is: $8 \\div (3 - 8 \\div 3)$.",
            "\\boxed{8 / (3 - 8 / 3)}",
            "`8/(3-8/3)`",
        ],
    )
    def test_right(self, text):
        assert verify_countdown_reply(text, numbers=[3, 3, 8, 8]).is_correct

    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("8 * 3", "wrong"),
            ("8 * 3 + 8 * 3 - 24", "wrong"),
            ("8 * 3 * (8 - 3)", "wrong"),
            ("24", "wrong"),
            ("99**98**97", "unparseable"),
            ("__import__('os')", "unparseable"),
            ("(" * 400, "unparseable"),
            ("8 / (3 - 8 / 3) or 24", "unparseable"),
            ("\\boxed{8 / (3 - 8 / 3)} \\boxed{24}", "unparseable"),
            ("9" * 1_000_000, "unparseable"),
            ("", "unparseable"),
        ],
    )
    def test_not_right(self, text, kind):
        assert verify_countdown_reply(text, numbers=[3, 3, 8, 8]).kind == kind

    def test_a_broken_puzzle_is_an_error(self):
        assert verify_countdown_reply("1", numbers=["a"]).kind == "error"
        assert verify_countdown_reply("1", numbers=[1], target="x").kind == "error"


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=200) | st.text('{}[]":,|-\n1 23HousecatBbred=;.<answer>/', max_size=200))
def test_any_reply_is_judged(text):
    assert verify_zebra(text, categories=CATEGORIES, gold=GRID).is_scored
    assert verify_sudoku(text, puzzle="0" * 16).is_scored
    assert verify_countdown_reply(text, numbers=[1, 2, 3]).is_scored


@pytest.mark.parametrize(
    ("kind", "reply", "row"),
    [
        ("knights_knaves", "Ann: knight", {"names": ["Ann"], "answer": "Ann is a knight"}),
        ("zebra", json.dumps(GRID), {"categories": CATEGORIES, "grid": GRID}),
        ("countdown", "1 + 2", {"nums": [1, 2], "target": 3}),
        ("sudoku", "1234341221434321", {"puzzle": "0" * 16}),
    ],
)
def test_a_row_says_what_a_verifier_needs(kind, reply, row):
    assert verify_puzzle(reply, kind, row).is_correct
    assert verify_puzzle("", kind, row).kind == "unparseable"
    assert verify_puzzle(reply, kind, {}).kind == "error"
    assert verify_puzzle(reply, kind, dict.fromkeys(row, 7)).kind == "error"
    assert verify_puzzle(reply, "chess", row).kind == "error"
