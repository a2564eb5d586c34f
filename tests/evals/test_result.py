"""The file of an evaluation: what is written comes back, and what is none is refused."""

import json

import pytest

from aha.errors import UserError
from aha.evals.result import load_result, save_result, timing_path
from tests.evals.evaluations import problem, result, sampled


def test_a_result_comes_back_as_it_was(tmp_path):
    written = result(
        problem(0, sampled("correct", "1", figures={"loose": 1.0}), sampled("error", reason="x")),
        problem(1, sampled("wrong", "\u00e9 \\frac{1}{2}", finish_reason="length")),
    )
    path = tmp_path / "new" / "r.json"
    save_result(path, written)
    assert load_result(path) == written
    first = path.read_bytes()
    save_result(path, load_result(path))
    assert path.read_bytes() == first
    assert [file.name for file in path.parent.iterdir()] == ["r.json"]
    assert timing_path(path).name == "r.timing.json"


def test_responses_without_a_verdict_are_known(tmp_path):
    kinds = ("correct", "wrong", "unparseable", "timeout", "error")
    one = problem(0, *map(sampled, kinds))
    assert [sample.verdict for sample in one.scored] == ["correct", "wrong", "unparseable"]
    assert result(one).correct(one) == one.num_correct == 1
    assert result(one).main.value == 0.5


def test_half_a_character_in_a_question_is_no_reason_to_lose_a_result(tmp_path):
    save_result(tmp_path / "r.json", result(problem(0, sampled("wrong", "\ud800"))))
    (sample,) = load_result(tmp_path / "r.json").problems[0].samples
    assert sample.extracted == "?"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "written in result format 2; this is format 1"),
        ({"kind": "scaling"}, "is no result of an evaluation"),
        ({"problems": [{"id": "x"}]}, "is damaged"),
        ({"metrics": {"pass@1": 3}}, "is damaged"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path, change, message):
    path = tmp_path / "r.json"
    save_result(path, result(problem(0, sampled("correct", "1"))))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=message) as refused:
        load_result(path)
    assert refused.value.hint


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "\x00", '"text"'])
def test_what_is_no_result_is_the_users_error(tmp_path, text):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(UserError, match=r"cannot be read|no result"):
        load_result(tmp_path / "r.json")
    with pytest.raises(UserError, match="cannot be read"):
        load_result(tmp_path / "none.json")
