"""A user's own task: every mistake in a file has one line that names it."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aha
from aha.errors import UserError
from aha.rewards.verdict import Verdict
from aha.tasks.files import FileTask, as_verdict
from aha.tasks.registry import load_task, validate_task
from aha.tasks.sources.python import split_problems
from aha.tasks.task import SPLITS, Problem


@pytest.fixture
def write(tmp_path):
    def write(name: str, content: str | bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def rows_of(count):
    return [{"question": f"{n} + {n} = ?", "answer": 2 * n} for n in range(count)]


def jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def problems_of(task):
    return [p for split in SPLITS for p in task.problems(split)]


def answered(text):
    return f"<think></think><answer>{text}</answer>"


def test_a_jsonl_file_is_a_task(write):
    task = load_task(write("sums.jsonl", "\ufeff" + jsonl(rows_of(60)) + "\n\r\n  \n"))
    assert task.name == "sums"
    assert [len(task.problems(split)) for split in SPLITS] == [54, 3, 3]
    assert validate_task(task) == []
    problem = task.problems("heldout")[0]
    assert problem.id.startswith("sums/")
    assert task.score(problem, answered(problem.gold + ".0")).is_correct
    assert not task.score(problem, answered(int(problem.gold) + 1)).is_correct


def test_answers_that_are_not_numbers_are_compared_as_text(write):
    rows = [{"question": f"Capital {n}?", "answer": name} for n, name in enumerate("ABCDE")]
    task = load_task(write("text.jsonl", jsonl([*rows, {"question": "?", "answer": "New  York"}])))
    problem = next(p for p in problems_of(task) if p.question == "?")
    assert task.score(problem, answered(" new york ")).is_correct
    assert not task.score(problem, answered("york")).is_correct


def test_all_keys_of_a_row_arrive():
    row = {
        "question": "q",
        "gold": 1.5,
        "id": 7,
        "language": "zh",
        "split": "heldout",
        "meta": {"level": 3},
    }
    filler = [
        {"question": "a", "answer": "1", "split": "train", "id": None, "meta": None},
        {"question": "b", "answer": "1", "split": "validation"},
    ]
    (problem,) = split_problems("own", [row, *filler], "own.jsonl")["heldout"]
    assert problem == Problem(
        id="own/7", question="q", gold="1.5", language="zh", meta={"level": 3}
    )


@pytest.mark.parametrize(
    ("name", "content", "message", "hint"),
    [
        ("empty.jsonl", "", "holds no problems", '"question"'),
        ("blank.jsonl", "\n \n", "holds no problems", '"question"'),
        ("bad.jsonl", '{"question": "a", "answer": 1}\n\n{oops}', "line 3: ", '"question"'),
        ("nan.jsonl", '{"question": "a", "answer": NaN}', "line 1: NaN is not JSON", '"question"'),
        ("list.jsonl", "[1, 2]", "line 1: not an object", '"question"'),
        ("binary.jsonl", b"\xff\xfe\x00", "cannot read", "UTF-8"),
        ("key.jsonl", '{"question": "a", "anwser": 1}', "unknown key 'anwser'", "'answer'"),
        ("key2.jsonl", '{"question": "a", "xyz": 1}', "unknown key 'xyz'", "known: question"),
        ("noanswer.jsonl", '{"question": "a"}', "line 1: no answer", '"question"'),
        ("null.jsonl", '{"question": "a", "answer": null}', "no answer", '"question"'),
        ("void.jsonl", '{"question": " ", "answer": 1}', "no question", '"question"'),
        ("object.jsonl", '{"question": "a", "answer": {}}', "no answer", '"question"'),
        ("few.jsonl", jsonl(rows_of(2)), "2 problems and none for train", "at least three"),
        (
            "split.jsonl",
            '{"question": "a", "answer": 1, "split": "tset"}',
            "unknown split 'tset'",
            "train, validation, heldout",
        ),
        (
            "language.jsonl",
            '{"question": "a", "answer": 1, "language": 5}',
            "language is 5",
            '"en"',
        ),
        ("meta.jsonl", '{"question": "a", "answer": 1, "meta": [1]}', "meta is", "object"),
        ("half.jsonl", '{"question": "\\ud83d", "answer": 1}', "half a character", "UTF-8"),
        (
            "twice.jsonl",
            jsonl([*rows_of(9), {"question": "3 + 3  = ?", "answer": 7}]),
            "line 10: the question was asked before with the answer '6'",
            "one answer",
        ),
        (
            "ids.jsonl",
            jsonl([{"question": q, "answer": 1, "id": "x"} for q in "abc"]),
            "two problems have the id 'ids/x'",
            "leave `id` out",
        ),
        (
            "explicit.jsonl",
            jsonl([{"question": q, "answer": 1, "split": "heldout"} for q in "abcd"]),
            "4 problems and none for train",
            "`split`",
        ),
        ("nothing.py", "x = 1", "defines no problems", "`problems`"),
        ("syntax.py", "problems = [", "SyntaxError", "try `python"),
        ("import.py", "import nothing_like_this", "No module named", "try `python"),
        ("exit.py", "raise SystemExit(3)", "SystemExit: 3", "try `python"),
        ("raises.py", "def problems(): raise ValueError('no data')", "no data", None),
        ("rows.py", "problems = [1, 2, 3]", "problem 1: not a row", '"question"'),
        ("score.py", f"problems = {rows_of(3)}; score = 5", "`score` is not a function", None),
        (
            "class.py",
            "import aha\nclass Mine(aha.Task): name = 'mine'\ntask = Mine",
            "`task` is a class",
            "task = Mine()",
        ),
        (
            "noname.py",
            "import aha\nclass Mine(aha.Task): pass\ntask = Mine()",
            "`task` has no name",
            "name =",
        ),
        (
            "taken.py",
            f"import aha\nproblems = {rows_of(3)}\n@aha.reward\ndef format(p, r): return 1",
            "a reward part 'format' already",
            "rename",
        ),
        (
            "weight.py",
            f"import aha\nproblems = {rows_of(3)}\n@aha.reward(weight='1')\ndef f(p, r): return 1",
            "the weight of a reward is '1'",
            "0.5",
        ),
        ("task.txt", "", "cannot tell what task file", ".py or .jsonl"),
    ],
)
def test_a_bad_file_is_named_with_what_to_do(write, name, content, message, hint):
    path = write(name, content)
    with pytest.raises(UserError) as info:
        load_task(path)
    assert message in info.value.message
    assert name in info.value.message or "reward" in info.value.message
    if hint is not None:
        assert hint in info.value.hint


def test_a_file_that_is_not_there(tmp_path):
    for name in ("gone.jsonl", "gone.py"):
        with pytest.raises(UserError, match="no task file"):
            load_task(str(tmp_path / name))


def test_the_mistake_in_a_row_is_found_after_many_good_ones(write):
    path = write("long.jsonl", jsonl(rows_of(500)) + '{"question": 5}\n')
    with pytest.raises(UserError, match=r"long\.jsonl, line 501: no answer"):
        load_task(path)


def test_equal_questions_are_one_problem():
    rows = [*rows_of(20), *rows_of(20), {"question": " 3 +  3 = ?", "answer": "6"}]
    splits = split_problems("sums", rows, "sums.jsonl")
    questions = Counter(p.question for split in SPLITS for p in splits[split])
    assert len(questions) == 20
    assert set(questions.values()) == {1}


@given(count=st.integers(3, 200), salt=st.integers(0, 10**6))
def test_splits_of_any_size_are_disjoint_full_and_stable(count, salt):
    rows = [{"question": f"{salt} and {n}", "answer": n} for n in range(count)]
    splits = split_problems("x", rows, "x")
    again = split_problems("x", rows[::-1], "x")
    ids = [p.id for split in SPLITS for p in splits[split]]
    assert sorted(ids) == sorted(p.id for split in SPLITS for p in again[split])
    assert len(set(ids)) == count
    for split in SPLITS:
        assert splits[split]
        assert {p.id for p in splits[split]} == {p.id for p in again[split]}
    share = -(-count // 20)
    assert len(splits["heldout"]) == len(splits["validation"]) == share


def test_rows_that_name_their_split_stay_there():
    rows = [{**row, "split": "heldout"} for row in rows_of(5)]
    rows += [{"question": f"open {n}", "answer": n} for n in range(40)]
    splits = split_problems("x", rows, "x")
    assert {p.question for p in splits["heldout"]} > {row["question"] for row in rows[:5]}
    assert [len(splits[split]) for split in SPLITS] == [36, 2, 7]


PYTHON_TASK = """
import aha

def problems():
    for n in range(40):
        yield {"question": f"{n} ?", "answer": str(n)}

def score(problem, response):
    return float(problem.gold in response) / 2

@aha.reward(weight=0.25)
def short(problem, response):
    return len(response) < 20

same = short
"""


def test_a_python_file_is_a_task(write):
    task = load_task(write("half.py", PYTHON_TASK))
    assert [(r.name, r.weight) for r in task.rewards] == [("short", 0.25)]
    problem = task.problems("train")[0]
    verdict = task.score(problem, f"it is {problem.gold}")
    assert (verdict.kind, verdict.score, verdict.reason) == ("wrong", 0.5, "score() = 0.5")
    assert task.rewards[0](problem, "ok") == 1.0


def test_a_task_object_of_a_file_is_taken_as_it_is(write):
    code = PYTHON_TASK.replace("def problems():\n", "def make():\n") + (
        "\nclass Own(aha.Task):\n"
        "    name = 'own'\n"
        "    def problems(self, split): return [aha.Problem(id=split, question='q', gold='1')]\n"
        "    def score(self, problem, response): return aha.Verdict.correct('1')\n"
        "task = Own()\n"
    )
    task = load_task(write("own.py", code))
    assert (task.name, task.problems("train")[0].id) == ("own", "train")


def test_problem_objects_are_rows_too(write):
    code = (
        "import aha\n"
        "problems = [aha.Problem(id=f'p{n}', question=f'q{n}', gold='1') for n in range(3)]\n"
    )
    task = load_task(write("objects.py", code))
    assert sorted(p.id for p in problems_of(task)) == ["p0", "p1", "p2"]


def test_a_changed_file_is_read_anew(write):
    path = write("sums.jsonl", jsonl(rows_of(5)))
    assert len(problems_of(load_task(path))) == 5
    write("sums.jsonl", jsonl(rows_of(8)))
    assert len(problems_of(load_task(path))) == 8


@pytest.mark.parametrize(
    ("result", "kind", "score"),
    [
        (True, "correct", 1.0),
        (False, "wrong", 0.0),
        (1, "correct", 1.0),
        (0.25, "wrong", 0.25),
        (Verdict.unparseable("no tags"), "unparseable", 0.0),
    ],
)
def test_what_a_score_may_return(result, kind, score):
    verdict = as_verdict(result)
    assert (verdict.kind, verdict.score) == (kind, score)


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (None, "score() returned None, not a bool"),
        ("yes", "score() returned 'yes', not a bool"),
        (float("nan"), "score() returned nan, not a bool"),
        (1.5, "score() returned 1.5, which is not between 0 and 1"),
        (-1, "score() returned -1.0, which is not between 0 and 1"),
        (10**400, "score() raised OverflowError"),
        (ZeroDivisionError("by zero"), "score() raised ZeroDivisionError: by zero"),
        (RecursionError("deep"), "score() raised RecursionError: deep"),
    ],
)
def test_a_score_that_fails_is_a_verdict_and_no_crash(result, reason):
    def score(problem, response):
        if isinstance(result, Exception):
            raise result
        return result

    problem = Problem(id="1", question="q", gold="1")
    verdict = FileTask("x", {"train": [problem]}, score=score).score(problem, "text")
    assert verdict.kind == "error"
    assert verdict.reason.startswith(reason)


def test_the_names_of_the_package_are_these():
    from aha.rewards.user import reward
    from aha.tasks.task import Task

    assert aha.Task is Task
    assert aha.reward is reward
    assert aha.Problem is Problem
    assert aha.Verdict is Verdict
