"""Comparison of two results: pairs by problem, and only what was taken in the same way."""

import dataclasses

import pytest

from aha.errors import UserError
from aha.evals.compare import compare, differences, problem_value, problem_values
from aha.evals.metrics import paired_difference
from aha.evals.result import load_result, save_result
from tests.evals.fake_results import problem, result, sample

A = ["1111", "1100", "1000", "0000", "1110", "11u1"]
B = ["1100", "1000", "1000", "1000", "0000", "1u11"]


def test_the_difference_is_that_of_the_problems_means():
    found = compare(result(A), result(B, name="small-b"))
    a, b = [1, 0.5, 0.25, 0, 0.75, 1], [0.5, 0.25, 0.25, 0.25, 0, 1]
    exact = paired_difference(a, b)
    assert found.metric == "pass@1"
    assert found.main.difference == exact
    assert (found.main.a, found.main.b) == (pytest.approx(3.5 / 6), pytest.approx(2.25 / 6))
    assert (found.wins, found.losses, found.ties) == (3, 1, 2)
    assert [(p.a, p.b) for p in found.problems] == list(zip(a, b, strict=True))
    assert found.unlike == ()


def test_the_other_side_has_the_other_sign():
    there, back = compare(result(A), result(B)), compare(result(B), result(A))
    assert there.main.difference.value == -back.main.difference.value
    assert there.main.difference.p_value == back.main.difference.p_value
    assert (there.wins, there.losses) == (back.losses, back.wins)


def test_a_result_equals_itself():
    found = compare(result(A), result(A))
    assert {f.difference.value for f in found.figures} == {0.0}
    assert {f.difference.p_value for f in found.figures} == {1.0}
    assert found.ties == len(A)


def test_every_figure_of_the_file_is_that_of_its_problems():
    one = result([marks for marks in A if "u" not in marks])
    for name, estimate in one.metrics.items():
        values = problem_values(one, name)
        assert len(values) == estimate.n == 5
        assert sum(values.values()) / 5 == pytest.approx(estimate.value), name


def test_of_pass_at_k_the_largest_is_compared():
    names = [figure.name for figure in compare(result(A), result(B)).figures]
    assert names[0] == "pass@1"
    assert "pass@4" in names and "cons@4" in names and "truncated" in names
    assert "pass@2" not in names and "cons@2" not in names


def test_a_vote_whose_equivalence_is_not_known_is_left_out():
    other = dict(result(A).metrics)
    other["cons@4"] = dataclasses.replace(other["cons@4"], value=other["cons@4"].value - 0.125)
    assert problem_values(result(A), "cons@4")
    assert problem_values(result(A, metrics=other), "cons@4") == {}
    names = [f.name for f in compare(result(A), result(A, metrics=other)).figures]
    assert "cons@4" not in names and "pass@4" in names


def test_a_problem_with_fewer_verdicts_than_k_has_no_figure_of_k():
    assert problem_value(problem(0, "11u0"), "pass@4") is None
    assert problem_value(problem(0, "11u0"), "pass@1") == pytest.approx(2 / 3)
    assert problem_value(problem(0, "uuuu"), "pass@1") is None
    assert problem_value(problem(0, "uuuu"), "unscored") == 1.0


def test_figures_of_a_suite_are_compared_in_pairs():
    def one(*values):
        problems = [
            problem(i, "", samples=(sample("1", figures={"prompt_loose": v}), sample("0")))
            for i, v in enumerate(values)
        ]
        return result(None, problems=tuple(problems), metric="prompt_strict")

    found = compare(one(1.0, 0.0, 1.0), one(0.0, 0.0, 0.0))
    figures = {figure.name: figure for figure in found.figures}
    assert found.metric == "prompt_strict"
    assert figures["prompt_strict"].a == figures["prompt_strict"].b == 0.5
    assert figures["prompt_loose"].difference == paired_difference([1, 0, 1], [0, 0, 0])


UNLIKE = {
    "suite": {"suite": "math-500"},
    "metric": {"metric": "pass@4"},
    "problems": {"problems_sha256": "c" * 64},
    "prompts": {"prompts_sha256": "c" * 64},
    "temperature": {"settings": {"temperature": 1.0}},
    "top_p": {"settings": {"top_p": 1.0}},
    "max_new_tokens": {"settings": {"max_new_tokens": 1024}},
    "samples": {"settings": {"samples": 8}},
    "judge": {"settings": {"judge": "endpoint:x#y"}},
    "grader aha-rl": {"versions": {"aha-rl": "0.4", "math-verify": "0.8"}},
}


def changed(change):
    base = result(A)
    if "settings" in change:
        change = {"settings": {**base.settings, **change["settings"]}}
    return dataclasses.replace(base, **change)


@pytest.mark.parametrize("name", UNLIKE)
def test_results_of_unlike_settings_are_refused_by_name(name):
    other = changed(UNLIKE[name])
    assert [one.name for one in differences(result(A), other)] == [name]
    with pytest.raises(UserError, match="cannot be compared") as error:
        compare(result(A), other)
    assert name in error.value.message and "--force" in error.value.hint
    assert [one.name for one in compare(result(A), other, force=True).unlike] == [name]


def test_each_model_may_bring_its_own_chat_template():
    """The messages are the same; a server does not even say what it makes of them."""
    a = changed({"settings": {"template": "chat"}})
    b = dataclasses.replace(a, prompts_sha256="c" * 64, engine={"name": "endpoint"})
    assert differences(a, b) == []
    other = dataclasses.replace(b, settings={**b.settings, "instruction": "Be brief."})
    assert [one.name for one in differences(a, other)] == ["instruction"]


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("prompts", "evaluate one of them again"),
        ("grader aha-rl", "--regrade"),
        ("samples", "the same way"),
    ],
)
def test_the_hint_says_what_would_make_them_alike(name, remedy):
    with pytest.raises(UserError) as error:
        compare(result(A), changed(UNLIKE[name]))
    assert remedy in error.value.hint


def test_all_differences_are_named_at_once():
    other = changed({"settings": {"temperature": 1.0, "samples": 8}, "suite": "gsm8k"})
    with pytest.raises(UserError) as error:
        compare(result(A), other)
    assert "temperature (0.6 against 1.0)" in error.value.message
    assert "samples (4 against 8)" in error.value.message


def test_seeds_and_other_packages_may_differ():
    other = changed({"settings": {"seed": 7}})
    other = dataclasses.replace(other, versions={**other.versions, "python": "3.12"})
    assert differences(result(A), other) == []


def test_only_shared_problems_count():
    a = result(None, problems=tuple(problem(i, "1100") for i in range(4)))
    b = result(None, problems=tuple(problem(i, "1000") for i in range(2, 7)))
    b = dataclasses.replace(b, problems_sha256="c" * 64)
    found = compare(a, b, force=True)
    assert [p.id for p in found.problems] == ["p/002", "p/003"]
    assert (found.only_a, found.only_b) == (2, 3)
    assert found.main.difference.n == 2


def test_the_same_id_of_another_question_is_not_shared():
    a = result(None, problems=(problem(0, "11"), problem(1, "11")))
    b = result(None, problems=(problem(0, "00", question="another"), problem(1, "00")))
    assert [p.id for p in compare(a, b).problems] == ["p/001"]


def test_nothing_shared_is_an_error():
    a, b = result(None, problems=(problem(0, "11"),)), result(None, problems=(problem(1, "11"),))
    with pytest.raises(UserError, match="share no problem"):
        compare(a, b)


def test_a_result_compares_the_same_from_its_file(tmp_path):
    a, b = result(A), result(B)
    save_result(tmp_path / "a.json", a)
    assert compare(load_result(tmp_path / "a.json"), b) == compare(a, b)
