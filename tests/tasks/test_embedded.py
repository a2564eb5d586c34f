"""The embedded tasks prove themselves, and their problems are what they say."""

import itertools
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aha.tasks.embedded.arithmetic import Chain, Step
from aha.tasks.embedded.countdown import Puzzle, all_guesses
from aha.tasks.embedded.logic import NAMES
from aha.tasks.embedded.splits import split_of
from aha.tasks.registry import load_task, task_names, validate_task
from aha.tasks.task import SPLITS

CHECKABLE = ["arithmetic", "arithmetic-5", "countdown", "logic"]


def every_problem(name):
    task = load_task(name)
    return [problem for split in SPLITS for problem in task.problems(split)]


def answered(text):
    return f"<think></think><answer>{text}</answer>"


@pytest.mark.parametrize("name", task_names())
def test_every_row_of_every_task_is_sound(name):
    """Gold scores full marks; empty, echoed, garbage, cut-off, many-answer text scores nothing."""
    assert validate_task(load_task(name)) == []


@pytest.mark.parametrize(("name", "operands"), [("arithmetic", {3, 4}), ("arithmetic-5", {5})])
def test_arithmetic_is_right_and_stays_in_range(name, operands):
    seen = set()
    for problem in every_problem(name):
        expression = re.search(r"\d+( [+-] \d+)+", problem.question)[0]
        numbers = list(map(int, re.findall(r"\d+", expression)))
        signs = [1, *(1 if op == "+" else -1 for op in re.findall(r"[+-]", expression))]
        partial = [
            sum(s * n for s, n in zip(signs[:i], numbers, strict=False))
            for i in range(1, len(numbers) + 1)
        ]
        assert all(0 <= value <= 99 for value in partial), problem
        assert problem.gold == str(partial[-1])
        seen.add(len(numbers))
    assert seen == operands


def test_arithmetic_wants_the_number_and_nothing_near_it():
    task = load_task("arithmetic")
    problem = task.problems("heldout")[0]
    value = int(problem.gold)
    assert task.score(problem, answered(f" {value}.0 ")).is_correct
    for wrong in (value + 1, value - 10, -value - 1, f"{value} {value}", f"= {value}"):
        assert not task.score(problem, answered(wrong)).is_correct


chains = st.builds(
    Chain,
    st.integers(0, 99),
    st.lists(st.tuples(st.sampled_from("+-"), st.integers(0, 49)), min_size=1, max_size=5).map(
        tuple
    ),
)


@given(chain=chains)
def test_the_steps_of_a_chain_lead_to_its_value(chain):
    signs = [chain.first, *(n if op == "+" else -n for op, n in chain.rest)]
    assert chain.value == sum(signs)
    for before, after in zip(chain.steps(), chain.steps()[1:], strict=False):
        assert before.value == after.left


@given(step=st.builds(Step, st.integers(0, 99), st.sampled_from("+-"), st.integers(0, 49)))
def test_the_parts_of_a_step_reach_the_same_value(step):
    parts = step.parts()
    assert parts[0].left == step.left
    assert parts[-1].value == step.value
    for before, after in itertools.pairwise(parts):
        assert before.value == after.left
    assert [part.right for part in parts if part.right] == [
        n for n in (step.right - step.right % 10, step.right % 10) if n
    ]


@given(chain=chains)
def test_a_chain_is_trained_on_only_if_no_chain_inside_it_is_kept_back(chain):
    pieces = re.findall(r"[+-]|\d+", chain.text)
    inner = [
        " ".join(pieces[start:end])
        for start in range(0, len(pieces), 2)
        for end in range(start + 5, len(pieces) + 1, 2)
    ]
    own = split_of(chain.text)
    expected = own if own != "train" else None
    if own == "train" and all(split_of(text) == "train" for text in inner):
        expected = "train"
    assert chain.split() == expected


def test_countdown_puzzles_have_the_solution_they_name():
    for problem in every_problem("countdown"):
        numbers, target = problem.meta["numbers"], problem.meta["target"]
        used = list(map(int, re.findall(r"\d+", problem.gold)))
        assert sorted(used) == sorted(numbers)
        assert _value(problem.gold) == target
        asked = list(map(int, re.findall(r"\d+", problem.question)))
        assert asked == [*numbers, target]


def _value(expression: str) -> Fraction:
    """`( a op b ) op c`, by hand."""
    a, op1, b, op2, c = re.fullmatch(
        r"\( (\d+) ([-+*]) (\d+) \) ([-+*]) (\d+)", expression
    ).groups()
    apply = {"+": lambda x, y: x + y, "-": lambda x, y: x - y, "*": lambda x, y: x * y}
    return apply[op2](apply[op1](int(a), int(b)), int(c))


def test_countdown_accepts_any_way_to_the_target_and_no_other():
    task = load_task("countdown")
    for problem in task.problems("heldout")[:20]:
        numbers, target = problem.meta["numbers"], problem.meta["target"]
        for guess in all_guesses(tuple(sorted(numbers))):
            assert guess.value == _value(guess.expression)
            verdict = task.score(problem, answered(guess.expression))
            assert verdict.is_correct == (guess.value == target)


def test_a_puzzle_is_the_same_in_any_order_of_its_numbers():
    guess = all_guesses((3, 7, 19))[0]
    assert Puzzle((3, 7, 19), guess).key == Puzzle((19, 3, 7), guess).key


def test_logic_answers_follow_from_the_clues():
    names = "|".join(name for group in NAMES.values() for name in group)
    taller = re.compile(rf"({names}) (?:is (taller|shorter) than|比) ({names})(?: (高|矮))?")
    for problem in every_problem("logic"):
        above = []
        for a, english, b, chinese in taller.findall(problem.question):
            is_taller = english == "taller" or chinese == "高"
            above.append((a, b) if is_taller else (b, a))
        assert len(above) == 3
        tall, short = {a for a, _ in above}, {b for _, b in above}
        wants_tallest = "tallest" in problem.question or "最高" in problem.question
        (expected,) = tall - short if wants_tallest else short - tall
        assert problem.gold == expected


def test_smalltalk_has_nothing_to_check():
    task = load_task("smalltalk")
    assert not task.checkable
    assert not task.score(task.problems("train")[0], "Hello.").is_scored


@pytest.mark.parametrize("name", CHECKABLE)
@given(text=st.text(max_size=200))
def test_any_text_gets_a_verdict(name, text):
    task = load_task(name)
    problem = task.problems("validation")[0]
    for response in (text, answered(text)):
        assert task.score(problem, response).is_scored
