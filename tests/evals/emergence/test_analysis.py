"""The figures against numbers worked out by hand."""

import json

import pytest

from aha.evals.emergence import BEHAVIOURS, observe, observe_all, summarise, within_problems
from aha.evals.emergence.observe import Observed, thinking
from aha.evals.metrics import paired_difference
from aha.trainers.scoring import NOT_JUDGED


def response(problem, *, correct, reflection=0, length=10, first_right=None, after=None):
    return Observed(
        problem=problem,
        correct=correct,
        truncated=False,
        length_tokens=length,
        reflection=reflection,
        behaviours=dict.fromkeys(BEHAVIOURS, 0),
        difficulty=None,
        first_right=first_right,
        tokens_after=after,
        by_chance=None,
    )


def confounded() -> list[Observed]:
    """Hard problems reflect more and fail more; inside each problem reflection changes nothing."""
    group = []
    for number in range(6):
        hard = number % 2
        right = [True, False, False, False] if hard else [True, True, True, False]
        reflecting = 3 if hard else 1
        for reflects, times in ((1, reflecting), (0, 4 - reflecting)):
            for correct in right * times:
                group.append(response(f"p{number}", correct=correct, reflection=reflects))
    return group


def test_the_difference_inside_problems_takes_difficulty_out():
    table = summarise([confounded()])
    given = table["given"]["reflection"]
    assert given["with"]["value"] == pytest.approx(3 * (9 * 1 / 3 + 3) / 48)  # 18 of 48
    assert given["without"]["value"] == pytest.approx(30 / 48)
    assert given["within"]["value"] == 0.0 and given["within"]["n"] == 6


def test_problems_are_compared_inside_one_step_only():
    early = [response(f"p{i}", correct=False, reflection=0) for i in range(8)]
    late = [response(f"p{i}", correct=True, reflection=1) for i in range(8)]
    assert within_problems([early, late], "reflection") is None
    together = within_problems([early + late], "reflection")
    expected = paired_difference([1.0] * 8, [0.0] * 8, clusters=[f"p{i}" for i in range(8)])
    assert together == expected and together.value == 1.0


def test_few_problems_give_no_difference():
    group = [response(f"p{i}", correct=c, reflection=c) for i in range(4) for c in (0, 1)]
    assert within_problems([group], "reflection") is None


def test_length_is_by_the_share_of_right_samples_at_the_same_step():
    step = [response("a", correct=True, length=4), response("a", correct=True, length=6)]
    step += [response("b", correct=True, length=10), response("b", correct=False, length=30)]
    later = [response("a", correct=False, length=50), response("a", correct=False, length=70)]
    rows = summarise([step, later])["length_by_pass_rate"]
    assert [(row["from"], row["to"], row["length_tokens"]["value"]) for row in rows] == [
        (0.0, 0.25, 60.0),
        (0.5, 0.75, 20.0),
        (1.0, 1.0, 5.0),
    ]
    assert rows[1]["wrong_tokens"]["value"] == 30.0 and rows[2]["wrong_tokens"] is None


def test_overthinking_is_of_right_responses_that_state_the_answer():
    group = [
        response("a", correct=True, first_right=0.5, after=20.0, length=80),
        response("b", correct=True),
        response("c", correct=False, first_right=0.9, after=1.0),
    ]
    table = summarise([group])["first_right"]
    assert table["stated_by_right"]["value"] == 0.5
    assert table["stated_by_wrong"]["value"] == 1.0
    assert table["position"]["value"] == 0.5
    assert table["tokens_after"]["value"] == 20.0 and table["share_after"]["value"] == 0.25


ROW = {
    "problem_id": "arithmetic/heldout/000003",
    "gold": "42",
    "text": "<think> First 57 - 28 = 29. Then 29 + 13 = 42. Wait, check: 42 - 13 = 29, want 29: "
    "right.</think><answer> 42</answer>",
    "verdict": "correct",
    "reason": "",
    "finish_reason": "stop",
    "length_tokens": 60,
}


def test_a_sample_row_is_observed():
    seen = observe(ROW, other_gold="29")
    assert seen is not None and seen.correct and seen.by_chance and not seen.truncated
    assert seen.reflection == 2  # Wait, check
    assert dict(seen.behaviours) == {
        "verification": 1,
        "backtracking": 0,
        "sub_goal": 1,
        "backward_chaining": 0,
    }
    assert seen.difficulty in (3.0, 4.0)
    thought = thinking(ROW["text"])
    end = thought.index("= 42") + 4
    assert seen.first_right == end / len(thought)
    assert seen.tokens_after == pytest.approx((len(thought) - end) * 60 / len(ROW["text"]))


@pytest.mark.parametrize(
    "change", [{"verdict": "timeout"}, {"verdict": "error"}, {"reason": NOT_JUDGED.reason}]
)
def test_rows_that_nobody_judged_are_left_out(change):
    assert observe(ROW | change) is None
    assert observe_all([ROW | change, ROW])[0].correct


def test_the_thought_of_a_prompt_that_opened_it_ends_at_its_tag():
    assert thinking("one two</think> three") == "one two"


def test_the_table_is_json_and_empty_groups_have_one():
    table = summarise([confounded()])
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    assert summarise([[], []]) == {"responses": 0}
