"""Where the right answer first stands as a result."""

import pytest

from aha.evals.emergence import first_right
from aha.tasks.registry import load_task

CHECKED = " First 57 - 28 = 29. Then 29 + 13 = 42. Wait, check: 42 - 10 = 32, 32 - 3 = 29, right."


@pytest.mark.parametrize(
    ("thought", "gold", "ends_with"),
    [
        (CHECKED, "42", "29 + 13 = 42"),
        (CHECKED, "29", "57 - 28 = 29"),
        (" 29, 43.", "43", " 29, 43"),
        ("Try 20 - 18 = 2, 2 + 8 = 10, want 10: right.", "( 20 - 18 ) + 8", "2 + 8 = 10"),
        ("Maybe Leo. But Ann is taller than Leo. Maybe Ann.", "Ann", "Leo. Maybe Ann"),
        ("也许是 小芳。", "小芳", "小芳"),
        ("So the total is 1,200 dollars.", "1200", "1,200"),
        ("It is $45.50 now", "45.5", "$45.50"),
        ("\\boxed{B}", "B", "{B"),
    ],
)
def test_the_first_place_is_found(thought, gold, ends_with):
    end = first_right(thought, gold)
    assert end is not None and thought[:end].endswith(ends_with)


@pytest.mark.parametrize(
    ("thought", "gold"),
    [
        ("We have 42 + 3 = 45.", "42"),  # an operand is no result
        ("x = 42 / 2 = 21", "42"),  # nor is the beginning of one
        ("want 57: wrong", "57"),
        ("Anna said so. Maybe Annabel.", "Ann"),
        ("", "7"),
        ("maybe", ""),
    ],
)
def test_what_is_no_result_is_not_taken(thought, gold):
    assert first_right(thought, gold) is None


def test_gold_solutions_of_the_embedded_tasks_are_placed():
    for name in ("arithmetic", "countdown", "logic"):
        problem = load_task(name).problems("heldout")[0]
        said = {"arithmetic": "Then 1 + 1 = {}.", "countdown": "Try 1 + 1 = {}."}.get(
            name, "Maybe {}."
        )
        shown = problem.meta.get("target", problem.gold)
        assert first_right(said.format(shown), problem.gold) is not None
