"""Tests that are made, and kept only where they tell right from wrong."""

import ast
import random

import pytest

from aha.rewards import sandbox
from aha.rewards.code.generate import (
    agreed_output,
    filter_tests,
    inputs_from_model,
    inputs_from_program,
    inputs_near,
)
from aha.rewards.code.mutate import mutate_input, mutate_operators

REASON = sandbox.is_available()
needs_isolation = pytest.mark.skipif(REASON is not None, reason=f"no isolation here: {REASON}")
RIGHT = ["print(abs(int(input())))", "n = int(input())\nprint(n if n > 0 else -n)"]
WRONG = ["print(int(input()))", "print(int(input()) ** 2)"]


def test_mutants_differ_in_one_operator_each():
    source = (
        "def f(a: 'x | y', b) -> 'int | None':\n    return a + b if a < b and a != -1 else a * b"
    )
    mutants = mutate_operators(source)
    assert len(mutants) == 5  # + < and != *; not the annotations, not the sign of a literal
    assert len(set(mutants)) == 5 and ast.unparse(ast.parse(source)) not in mutants
    assert sum("a - b" in mutant for mutant in mutants) == 1
    assert mutate_operators("x = 1") == []


def test_mutants_leave_the_main_guard_alone():
    source = "def f(a):\n    return a + 1\nif __name__ == '__main__':\n    f(1)"
    assert len(mutate_operators(source)) == 1


def test_inputs_near_given_ones():
    inputs = inputs_near(["3 5\n1 2 3"], num_inputs=20, seed=1)
    assert len(set(inputs)) == 20 and "3 5\n1 2 3" not in inputs
    assert inputs == inputs_near(["3 5\n1 2 3"], num_inputs=20, seed=1)
    assert inputs_near([], num_inputs=3) == []
    assert mutate_input("", random.Random(0)) == ""


@needs_isolation
def test_both_phases_of_the_filter():
    report = filter_tests(["3", "-3", "1", "0", "x"], correct=RIGHT, wrong=WRONG)
    assert [(run.input, run.output.strip()) for run in report.tests.runs] == [
        ("3", "3"),
        ("-3", "3"),
    ]
    assert (report.num_candidates, report.num_disagreed, report.num_weak) == (5, 1, 2)
    assert (report.num_caught, report.num_wrong) == (2, 2)


@needs_isolation
def test_right_programs_that_disagree_have_no_answer():
    assert agreed_output("5", ["print(5)", "print(5.0)"], 2.0) == "5\n"
    assert agreed_output("5", ["print(5)", "print(6)"], 2.0) is None
    assert agreed_output("5", ["print(5)", "1 / 0"], 2.0) is None
    with pytest.raises(ValueError, match="right program"):
        filter_tests(["1"], correct=[])


@needs_isolation
def test_mutants_stand_in_for_wrong_programs():
    report = filter_tests(
        ["2 3", "0 0"], correct=["a, b = map(int, input().split())\nprint(a + b)"]
    )
    assert report.num_wrong == 1
    assert [run.input for run in report.tests.runs] == ["2 3"]


@needs_isolation
def test_generators_write_inputs():
    generator = (
        "import random, sys\nrandom.seed(int(sys.argv[1]))\nif sys.argv[1] == '2': 1 / 0\n"
        "print(random.randint(1, 10 ** 9))"
    )
    inputs = inputs_from_program(generator, num_inputs=4)
    assert len(inputs) == 3 and inputs == inputs_from_program(generator, num_inputs=4)
    replies = iter(["I cannot.", f"```python\n{generator}\n```"])
    asked = []

    def ask(prompt):
        asked.append(prompt)
        return next(replies)

    assert inputs_from_model(ask, "Print the number.", num_inputs=4) == inputs
    assert len(asked) == 2 and "Print the number." in asked[0]
