"""What every suite has to have, and that it loads rows of its shapes."""

import time

import pytest

from aha.errors import UserError
from aha.evals.suites import load_suite, suite_names
from aha.evals.suites.registry import SUITES
from tests.evals.suites.samples import SHAPES, write

LOADED = [(name, i) for name, shapes in SHAPES.items() for i in range(len(shapes))]
BY_OPTION = ("gpqa-diamond", "mmlu", "mmlu-pro", "mmlu-redux", "aqua", "c-eval", "bbh")
PUZZLES = ("countdown", "knights-and-knaves", "sudoku")


def load(tmp_path, name, rows):
    return load_suite(name, data=write(tmp_path / "rows.jsonl", rows))


def gold_reply(name, problem):
    """A whole response that gives the gold answer as the suite asks for it."""
    if name in (*BY_OPTION, *PUZZLES):
        return f"<think>\nA or B?\n</think>\n\nSo it is.\nAnswer: {problem.gold}"
    if "```" in problem.gold:
        return f"<think>\nhm\n</think>\n\n{problem.gold}"
    return f"<think>\nperhaps 17\n</think>\n\nSo $\\boxed{{{problem.gold}}}$."


def test_every_suite_has_rows_here():
    assert set(SHAPES) == set(SUITES) == set(suite_names())
    assert list(suite_names()) == sorted(suite_names())


@pytest.mark.parametrize("name", SHAPES)
def test_every_suite_says_what_it_is(name):
    entry = SUITES[name]
    assert entry.description and "\n" not in entry.description and len(entry.description) < 90
    assert entry.licence
    assert entry.source == ("--data FILE.jsonl" if name == "rows" else f"hub:{entry.hub}")
    assert entry.grade or entry.judged
    protocol = entry.protocol
    assert (protocol.temperature, protocol.top_p, protocol.max_new_tokens) == (0.6, 0.95, 32_768)
    assert 1 <= protocol.samples <= 64
    assert protocol.ask("1 + 1 = ?").count("1 + 1 = ?") == 1


def test_the_paper_s_k():
    stated = {name: e.protocol.samples for name, e in SUITES.items() if e.paper_samples}
    assert stated == {
        "aime-2024": 64, "aime-2025": 64, "gpqa-diamond": 64, "math-500": 16, "codeforces": 16,
        "livecodebench": 8,
    }  # fmt: skip


@pytest.mark.parametrize(("name", "shape"), LOADED)
def test_it_loads_rows_of_its_shapes(tmp_path, name, shape):
    suite = load(tmp_path, name, SHAPES[name][shape])
    problems = suite.task.problems("heldout")
    assert problems and suite.name == name
    assert not suite.task.problems("train") and not suite.task.problems("validation")
    assert all(p.question.strip() and p.id.startswith(f"{name}/") for p in problems)
    assert len({problem.id for problem in problems}) == len(problems)
    assert suite.needs_judge == (SUITES[name].grade is None)


GRADED = [
    (name, shape)
    for name, shape in LOADED
    if SUITES[name].grade and name not in ("ifeval", "xstest", "harmbench")
]


@pytest.mark.parametrize(("name", "shape"), GRADED)
def test_the_gold_answer_is_right_and_others_are_not(tmp_path, name, shape):
    suite = load(tmp_path, name, SHAPES[name][shape])
    for problem in suite.task.problems("heldout"):
        if problem.gold:
            verdict = suite.task.score(problem, gold_reply(name, problem))
            assert verdict.is_correct, (problem.gold, verdict)
        unfinished = f"<think>\n\\boxed{{{problem.gold}}}\nAnswer: {problem.gold}"
        for reply in ("", "I do not know.", unfinished):
            verdict = suite.task.score(problem, reply)
            assert verdict.kind in ("wrong", "unparseable"), (reply, verdict)
            assert verdict.score == 0.0


def test_a_folder_is_searched_for_the_suite_s_file(tmp_path):
    write(tmp_path / "aime24_test.jsonl", SHAPES["aime-2024"][0])
    write(tmp_path / "gsm8k.jsonl", SHAPES["gsm8k"][0])
    assert len(load_suite("aime-2024", data=tmp_path).task.problems("heldout")) == 2
    assert load_suite("gsm8k", data=tmp_path).task.problems("heldout")[0].id == "gsm8k/a"
    with pytest.raises(UserError, match="no file of the suite 'amc'") as caught:
        load_suite("amc", data=tmp_path)
    assert "amc.jsonl" in caught.value.hint and "--data" in caught.value.hint


@pytest.mark.parametrize("spelling", ["AIME_2024", "aime2024", "Aime-2024"])
def test_spelling_does_not_matter(tmp_path, spelling):
    data = write(tmp_path / "rows.jsonl", SHAPES["aime-2024"][0])
    assert load_suite(spelling, data=data).name == "aime-2024"


@pytest.mark.parametrize("name", ["aime-2024", "mmlu-redux", "bbh", "ifeval", "mt-bench"])
def test_without_data_and_without_the_library_the_hint_names_both_ways(name, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(UserError) as caught:
        load_suite(name)
    assert name in caught.value.message
    assert "--data" in caught.value.hint and f"hub:{SUITES[name].hub}" in caught.value.hint
    assert "aha-rl[hub]" in caught.value.hint


def test_rows_need_a_file():
    with pytest.raises(UserError, match="needs a file") as caught:
        load_suite("rows")
    assert "--data" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("ifeval", [{"question": "q", "answer": "a"}], "no column 'instruction_id_list'"),
        ("math-500", [{"question": "q"}], "no answer"),
        ("math-500", [{"question": "q", "answer": None}], "holds no problem"),
        (
            "mmlu",
            [{"question": "q", "choices": ["1", "2"], "answer": "E"}],
            "none of its 2 options",
        ),
        ("codeforces", [{"question": "q", "answer": "a"}], "no tests"),
        ("gsm8k", [{"question": "q", "anwser": "a"}], "no answer; unknown key 'anwser'"),
        ("bbh", [["q"]], "not an object"),
        ("math-500", [], "holds no problem"),
    ],
)
def test_rows_of_another_shape_are_the_user_s_error(tmp_path, name, rows, message):
    with pytest.raises(UserError) as caught:
        load(tmp_path, name, rows)
    assert message in caught.value.message
    assert caught.value.hint


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="no data file"):
        load_suite("gsm8k", data=tmp_path / "absent.jsonl")
    (tmp_path / "rows.txt").write_text("{}")
    with pytest.raises(UserError, match="cannot tell what"):
        load_suite("gsm8k", data=tmp_path / "rows.txt")


def test_unknown_names():
    with pytest.raises(UserError, match="unknown suite 'math-50'") as caught:
        load_suite("math-50")
    assert caught.value.hint == "did you mean 'math-500'?"
    with pytest.raises(UserError, match="unknown suite") as caught:
        load_suite("zzz")
    assert "gsm8k" in caught.value.hint


def test_equal_ids_get_numbers(tmp_path):
    rows = [{"id": "a", "question": q, "answer": "1"} for q in ("p", "q", "r")]
    ids = [p.id for p in load(tmp_path, "gsm8k", rows).task.problems("heldout")]
    assert ids == ["gsm8k/a", "gsm8k/a#2", "gsm8k/a#3"]


def test_left_out_rows_are_told(tmp_path):
    suite = load(tmp_path, "mbpp", SHAPES["mbpp"][0])
    assert [p.id for p in suite.task.problems("heldout")] == ["mbpp/11", "mbpp/12"]
    assert suite.task.notes == ("1 of 3 rows are left out",)


HOSTILE = [
    "\n",
    " ",
    "answer",
    "Answer:\n",
    "**",
    "\\boxed{",
    "\\text{",
    "$",
    "(A) ",
    "```",
    "((",
    "1/",
]


@pytest.mark.parametrize("name", ["gsm8k", "mmlu", "bbh", "ifeval", "xstest", *PUZZLES])
def test_grading_time_is_bounded_on_hostile_replies(tmp_path, name):
    suite = load(tmp_path, name, SHAPES[name][0])
    problems = suite.task.problems("heldout")
    start = time.perf_counter()
    for piece in HOSTILE:
        reply = piece * (100_000 // len(piece))
        for problem in problems:
            verdict = suite.task.score(problem, reply)
            assert verdict.is_scored
            if suite.figures:
                suite.figures(problem, reply, verdict)
    assert time.perf_counter() - start < 20.0
