"""A task from anywhere: files of all kinds, the hub, options, and what is said when it fails."""

import json
import sys

import pytest

from aha.errors import UserError
from aha.tasks.registry import load_task
from aha.tasks.sources.load import questions_of
from aha.tasks.sources.reference import parse_reference, task_files
from aha.tasks.task import SPLITS


def rows_of(count, start=0):
    return [{"question": f"{n} + {n} = ?", "answer": 2 * n} for n in range(start, start + count)]


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def golds(task):
    return {p.question: p.gold for split in SPLITS for p in task.problems(split)}


def test_the_same_rows_from_every_kind_of_file(tmp_path):
    rows = rows_of(30)
    (tmp_path / "a.json").write_text(json.dumps(rows))
    write_jsonl(tmp_path / "a.jsonl", rows)
    (tmp_path / "a.py").write_text(f"problems = {rows!r}")
    (tmp_path / "t.toml").write_text('source = "a.jsonl"\nname = "a"\n')
    tasks = [load_task(str(tmp_path / name)) for name in ("a.json", "a.jsonl", "a.py", "t.toml")]
    for task in tasks:
        assert task.name == "a"
        assert [p.id for s in SPLITS for p in task.problems(s)] == [
            p.id for s in SPLITS for p in tasks[0].problems(s)
        ]


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [{**row, "choices": None, "nested": {"level": 2}} for row in rows_of(30)]
    path = tmp_path / "sums.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    task = load_task(str(path))
    assert golds(task)["7 + 7 = ?"] == "14"
    assert task.problems("train")[0].meta == {"nested": {"level": 2}}
    path.write_bytes(b"PAR1 but not really")
    with pytest.raises(UserError, match=r"cannot read .*sums\.parquet"):
        load_task(str(path))


def test_a_library_that_is_missing_is_named_with_its_extra(tmp_path, monkeypatch):
    (tmp_path / "x.parquet").write_bytes(b"")
    for module, reference, extra in (
        ("pyarrow", str(tmp_path / "x.parquet"), "aha-rl[hub]"),
        ("datasets", "hub:some/data", "aha-rl[hub]"),
        ("reasoning_gym", "gym:chain_sum", "aha-rl[gym]"),
    ):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(UserError, match="not installed") as info:
            load_task(reference)
        assert extra in info.value.hint


def test_a_json_file_of_splits(tmp_path):
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"train": rows_of(40), "test": rows_of(5, 100)}))
    task = load_task(str(path))
    assert [len(task.problems(s)) for s in SPLITS] == [38, 2, 5]
    assert task.problems("heldout")[0].question == "100 + 100 = ?"
    path.write_text(json.dumps({"train": [1]}))
    with pytest.raises(UserError, match=r"s\.json, train row 1: not an object"):
        load_task(str(path))
    path.write_text("5")
    with pytest.raises(UserError, match=r"s\.json: not a list of rows"):
        load_task(str(path))


def test_options_of_a_reference(tmp_path):
    rows = [{"stem": f"q{n}", "truth": f"#### {n}", "answer": "no"} for n in range(20)]
    path = write_jsonl(tmp_path / "odd.jsonl", rows)
    task = load_task(f"{path}?question=stem&answer=truth&verifier=number&name=mine")
    problem = task.problems("train")[0]
    assert task.name == "mine" and problem.id.startswith("mine/")
    assert problem.gold == problem.question[1:] and problem.meta["answer"] == "no"
    (tmp_path / "odd.toml").write_text(
        'source = "odd.jsonl"\nquestion = "stem"\nanswer = "truth"\nverifier = "number"\n'
    )
    assert golds(load_task(str(tmp_path / "odd.toml"))) == golds(task)


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ("?questoin=a", "unknown option 'questoin'", "did you mean 'question'?"),
        ("?x", "task ", "options follow"),
        ("?", "no option after the question mark", "options follow"),
        ("?name=a&name=b", "an option is given twice", "options follow"),
        ("?question=zzz", "line 1: no column 'zzz'", "columns: question, answer"),
        ("?verifier=zzz", "unknown verifier 'zzz'", "known: math"),
        ("?min_pass_rate=2", "min_pass_rate = '2'", "from 0 to 1"),
        ("?curriculum=-1", "curriculum = '-1'", "whole number"),
        ("?pass_rates=gone.jsonl", "no file of pass rates", "aha tasks measure"),
    ],
)
def test_a_bad_option_is_named(tmp_path, options, message, hint):
    path = write_jsonl(tmp_path / "rows.jsonl", rows_of(20))
    with pytest.raises(UserError) as info:
        load_task(path + options)
    assert message in info.value.message
    assert hint in info.value.hint


def test_a_question_mark_may_be_part_of_a_name(tmp_path):
    assert len(golds(load_task(write_jsonl(tmp_path / "what?.jsonl", rows_of(20))))) == 20


def test_the_files_that_a_task_depends_on(tmp_path):
    data = write_jsonl(tmp_path / "rows.jsonl", rows_of(5))
    toml = tmp_path / "t.toml"
    toml.write_text('source = "rows.jsonl"\n')
    assert [str(path) for path in task_files(str(toml))] == [str(toml), data]
    assert [str(path) for path in task_files(f"countdown?pass_rates={data}")] == [data]
    assert [str(path) for path in task_files(f"{data}?name=x")] == [data]
    assert task_files("arithmetic") == task_files("gym:chain_sum?seed=1") == []


def test_a_toml_file_without_a_source(tmp_path):
    path = tmp_path / "t.toml"
    for text, message in (("x = 1", "names no source"), ("x =", "cannot read")):
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            load_task(str(path))


def test_rows_without_an_answer_and_contradictions_are_left_out_of_large_files(tmp_path):
    rows = [*rows_of(300), {"question": "open?", "answer": None}]
    rows += [{"question": "3 + 3  = ?", "answer": 7}]
    task = load_task(write_jsonl(tmp_path / "big.jsonl", rows))
    assert len(golds(task)) == 299 and "3 + 3 = ?" not in golds(task)
    unanswered, contradictory = task.notes
    assert unanswered == "1 rows without an answer are left out"
    assert contradictory.startswith("1 questions with more than one answer are left out")
    assert contradictory.endswith("big.jsonl, line 4")


def test_what_is_held_out_in_one_place_is_trained_on_nowhere(tmp_path):
    rows = [{**row, "split": "train"} for row in rows_of(60)]
    rows += [{**row, "split": "test"} for row in rows_of(5)]
    task = load_task(write_jsonl(tmp_path / "both.jsonl", rows))
    assert {p.question for p in task.problems("heldout")} == {r["question"] for r in rows_of(5)}
    questions = [p.question for s in SPLITS for p in task.problems(s)]
    assert len(questions) == len(set(questions)) == 60


FAKE_DATASETS = """
def load_dataset(path, name=None, split=None):
    if path == "no/such":
        raise ConnectionError("no network\\nmore lines")
    rows = lambda first, count: [
        {"id": n, "problem": f"{first + n}?", "solution": f"\\\\boxed{{{first + n}}}", "c": name}
        for n in range(count)
    ]
    whole = {"train": rows(0, 40), "test": rows(100, 8)}
    if path == "odd/splits":
        whole["extra"] = rows(200, 3)
    return whole if split is None else whole[split]
"""


@pytest.fixture
def fake_datasets(tmp_path, monkeypatch):
    (tmp_path / "datasets.py").write_text(FAKE_DATASETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "datasets", raising=False)
    yield
    sys.modules.pop("datasets", None)


def test_hub_data_sets(fake_datasets):
    task = load_task("hub:owner/sums:main")
    assert task.name == "sums-main"
    assert [len(task.problems(s)) for s in SPLITS] == [38, 2, 8]
    assert golds(task)["100?"] == "100"
    assert task.problems("heldout")[0].id == "sums-main/test/0"
    assert task.problems("heldout")[0].meta == {"c": "main"}
    one = load_task("hub:owner/sums@test?verifier=number")
    assert one.name == "sums" and len(golds(one)) == 8 and len(one.problems("train")) == 6


@pytest.mark.parametrize(
    ("reference", "message", "hint"),
    [
        ("hub:", "does not name a data set", "hub:owner/name"),
        ("hub:no/such", "cannot be loaded: ConnectionError: no network", "network"),
        ("hub:odd/splits", "has a split 'extra'", "hub:odd/splits@extra"),
    ],
)
def test_hub_data_sets_that_cannot_be_had(fake_datasets, reference, message, hint):
    with pytest.raises(UserError) as info:
        load_task(reference)
    assert message in info.value.message and "more lines" not in info.value.message
    assert hint in info.value.hint


def test_questions_of_a_suite_need_no_answers(tmp_path):
    path = write_jsonl(tmp_path / "suite.jsonl", [{"prompt": "one"}, {"x": 1}, {"problem": "two"}])
    assert list(questions_of(path)) == ["one", "two"]
    assert list(questions_of(f"{write_jsonl(tmp_path / 'b.jsonl', [{'x': 'y'}])}?question=x")) == [
        "y"
    ]


def test_a_reference_is_taken_apart():
    reference = parse_reference("hub:a/b:c@d?question=x.y&answer=%23")
    assert reference.target == "hub:a/b:c@d"
    assert reference.options == {"question": "x.y", "answer": "#"}
    assert parse_reference("x" * 10_000).target == "x" * 10_000
