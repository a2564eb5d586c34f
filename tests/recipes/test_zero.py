"""The zero recipe's stages: what they are made of, and what makes them other stages."""

import pytest

from aha.errors import UserError
from aha.recipes.run import plan


@pytest.fixture
def model(tmp_path):
    """A folder that passes for a model."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def ids(model, *overrides, **options):
    made = plan("zero", model=str(model), overrides=["ranks=1", *overrides], **options)
    return [stage.id for stage in made.stages]


def test_training_then_evaluation_of_both_models(model):
    zero, evaluate = plan("zero", model=str(model)).stages
    assert (zero.name, evaluate.name) == ("zero", "evaluate")
    assert evaluate.inputs["model"] is zero
    assert evaluate.inputs["base"] is zero.inputs["model"]


def test_a_change_reaches_everything_downstream_and_nothing_upstream(model):
    before = ids(model)
    assert ids(model) == before
    zero, evaluate = ids(model, "evaluate.problems=3")
    assert zero == before[0] and evaluate != before[1]
    assert not set(ids(model, "seed=1")) & set(before)
    (model / "config.json").write_text("{ }")
    assert not set(ids(model)) & set(before)


def test_the_number_of_ranks_is_how_and_not_what(model):
    assert ids(model) == ids(model, "ranks=2")


def test_the_content_of_task_and_template_files_counts(model, in_tmp_path):
    task, template = in_tmp_path / "task.jsonl", in_tmp_path / "t.txt"
    rows = [f'{{"question": "2 + {n} = ?", "answer": "{2 + n}"}}\n' for n in range(40)]
    task.write_text("".join(rows))
    template.write_text("Q: {question} A:")
    options = {"task": ["task.jsonl"]}
    before = ids(model, "template=t.txt", **options)
    template.write_text("Q: {question}\nA:")
    changed = ids(model, "template=t.txt", **options)
    assert not set(changed) & set(before)
    task.write_text("".join(rows[1:]))
    assert not set(ids(model, "template=t.txt", **options)) & set(changed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": ["arithmetc"]}, "unknown task 'arithmetc'"),
        ({"task": ["nowhere.py"]}, "nowhere.py"),
        ({"overrides": ["template=r1zero"]}, "unknown template 'r1zero'"),
        ({"overrides": ["template=custom"]}, "unknown template 'custom'"),
        ({"overrides": ["evaluate.task=nothing"]}, "unknown task 'nothing'"),
    ],
)
def test_what_does_not_exist_is_said_before_anything_starts(model, in_tmp_path, options, message):
    with pytest.raises(UserError, match=message.replace(".", r"\.")) as caught:
        plan("zero", model=str(model), **options)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "message"),
    [("nowhere", "no model folder 'nowhere'"), (".", "has no config.json")],
)
def test_a_model_that_is_none(in_tmp_path, name, message):
    with pytest.raises(UserError, match=message) as caught:
        plan("zero", model=name)
    assert caught.value.hint
