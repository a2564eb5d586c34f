"""The table `suites` of a recipe: which stages it reaches, and what it leaves alone."""

import pytest

from aha.errors import UserError
from aha.recipes.run import plan


def planned(recipe, *overrides):
    return plan(recipe, preset="tiny", overrides=["ranks=1", *overrides])


def test_without_suites_stages_are_what_they_were():
    for stage in planned("zero").stages:
        assert "suites" not in stage.config.table()


def test_every_stage_that_trains_answers_is_measured_and_later_stages_follow():
    plain, todo = planned("r1"), planned("r1", 'suites.names=["logic"]', "suites.every=5")
    measured = [s.name for s in todo.stages if getattr(s.config, "suites", None)]
    assert measured == ["zero", "dev1", "dev2", "dev3", "r1"]
    by_name = {stage.name: stage for stage in todo.stages}
    assert by_name["dev2"].inputs["model"] is by_name["dev1"]
    assert by_name["evaluate"].inputs["r1"] is by_name["r1"]
    assert [s.name for s in plain.stages] == [s.name for s in todo.stages]
    pairs = zip(plain.stages, todo.stages, strict=True)
    changed = {one.name for one, other in pairs if one.identity != other.identity}
    assert changed == {s.name for s in plain.stages} - {"general"}


def test_a_suite_s_file_is_an_input(tmp_path):
    file = tmp_path / "own.jsonl"
    rest = "".join(f'{{"question": "{n} + 1 = ?", "answer": "{n + 1}"}}\n' for n in range(2, 5))
    ids = []
    for text in ("2", "3"):
        file.write_text(f'{{"question": "1 + 1 = ?", "answer": "{text}"}}\n{rest}')
        (zero, *_) = planned("zero", f'suites.names=["{file}"]').stages
        assert f"suite {file}" in zero.inputs
        ids.append(zero.identity)
    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    ("recipe", "names", "message"),
    [
        ("zero", "arithmetik", "unknown suite"),
        ("base", "logic", "no stage of this recipe"),
    ],
)
def test_mistakes_end_before_the_start(recipe, names, message):
    with pytest.raises(UserError, match=message):
        planned(recipe, f'suites.names=["{names}"]')


def test_missing_data_ends_before_the_start(tmp_path):
    with pytest.raises(UserError, match="gsm8k"):
        planned("zero", 'suites.names=["gsm8k"]', f"suites.data={tmp_path}")


def test_only_suites_that_rules_grade_can_be_measured(tmp_path):
    (tmp_path / "arena_hard.jsonl").write_text('{"id": "1", "question": "Write a poem."}\n')
    with pytest.raises(UserError, match="graded by a model"):
        planned("zero", 'suites.names=["arena-hard"]', f"suites.data={tmp_path}/arena_hard.jsonl")
