"""Published rows become problems: question, gold answer, options, tests, language, split."""

import json

import pytest

from aha.errors import UserError
from aha.tasks.registry import load_task
from aha.tasks.sources.answers import gold_of_text, last_boxed, letter_of, options_of
from aha.tasks.sources.fields import Fields, row_of
from aha.tasks.sources.readers import SourceRow

GSM8K = "She sells 3 * 4 = <<3*4=12>>12.\n#### 1,012"
MATH = r"So the answer is $\boxed{\frac{1}{2}}$, not \boxed{3"


def problem_of(row, **columns):
    verifier = columns.pop("verifier", None)
    return row_of("own", SourceRow("here", row), Fields(columns, verifier)).problem


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        (GSM8K, "1,012"),
        (r"thus \boxed{\frac{1}{2}} and \boxed{ x^{2} }.", "x^{2}"),
        (r"\fbox{7}", "7"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        ("5", "5"),
        (" New York ", "New York"),
        ("#### heading\nand more", "#### heading\nand more"),
    ],
)
def test_the_gold_of_a_text(text, gold):
    assert gold_of_text(text) == gold


def test_a_box_that_never_closes_is_none():
    assert last_boxed(MATH) is None
    assert last_boxed("\\boxed{" * 100_000) is None


@pytest.mark.parametrize("question", ["question", "problem", "prompt", "query", "input"])
@pytest.mark.parametrize(
    "answer", ["answer", "final_answer", "gold", "target", "label", "solution"]
)
def test_common_names_of_columns(question, answer):
    problem = problem_of({question: "2 + 3 = ?", answer: "5", "source": "book"})
    assert (problem.question, problem.gold) == ("2 + 3 = ?", "5")
    assert problem.meta == {"source": "book"}


def test_a_short_answer_wins_over_the_solution():
    row = {"problem": "q", "solution": r"long \boxed{9}", "answer": "8", "level": 3}
    problem = problem_of(row)
    assert (problem.gold, problem.meta["level"]) == ("8", 3)
    assert problem_of({"problem": "q", "solution": r"long \boxed{9}"}).gold == "9"


def test_columns_can_be_named_also_inside_objects():
    row = {"a": "first", "b": "second", "c": {"truth": 7}}
    problem = problem_of(row, question="b", answer="c.truth")
    assert (problem.question, problem.gold) == ("second", "7")
    with pytest.raises(UserError, match="here: no column 'd'") as info:
        problem_of(row, question="d")
    assert info.value.hint == "columns: a, b, c"


def test_messages_context_and_input_belong_to_the_question():
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 3?"}]
    row = {"prompt": chat, "reward_model": {"ground_truth": "5"}}
    assert problem_of(row).question == "Be brief.\n\n2 + 3?"
    assert problem_of(row).gold == "5"
    row = {"instruction": "Add.", "input": "2 and 3", "context": "Sums.", "answer": 5}
    assert problem_of(row).question == "Sums.\n\nAdd.\n\n2 and 3"


OPTIONS = ["red", "green", "blue"]


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (OPTIONS, "B"),
        (OPTIONS, 1),
        (OPTIONS, "1"),
        (OPTIONS, "green"),
        (OPTIONS, "(B)"),
        (OPTIONS, "B) green"),
        (json.dumps(OPTIONS), "B"),
        (["A)red", "B)green", "C)blue"], "B"),
        (dict(zip("ABC", OPTIONS, strict=True)), "B"),
        ({"text": OPTIONS, "label": ["1", "2", "3"]}, "2"),
    ],
)
def test_options_are_part_of_the_question_and_the_gold_is_a_letter(options, answer):
    problem = problem_of({"question": "Grass?", "choices": options, "answer": answer})
    assert problem.question == "Grass?\nA) red\nB) green\nC) blue"
    assert problem.gold == "B"
    assert problem.meta["verifier"] == "choice" and problem.meta["options"] == OPTIONS


def test_an_answer_that_is_no_option_is_named():
    with pytest.raises(UserError, match="here: the answer 'yellow' is none of its 3 options"):
        problem_of({"question": "q", "options": OPTIONS, "answer": "yellow"})
    assert letter_of(3, OPTIONS) is None and letter_of("D", OPTIONS) is None
    assert options_of(["only one"]) is None and options_of("not json") is None


def test_programs_with_tests():
    mbpp = {
        "text_": 1,
        "question": "Write add.",
        "code": "def add(a, b):\n    return a + b",
        "test_list": ["assert add(1, 2) == 3", "assert add(0, 0) == 0"],
        "test_setup_code": "",
    }
    problem = problem_of(mbpp)
    assert problem.meta["verifier"] == "code" and problem.meta["tests"] == mbpp["test_list"]
    assert problem.question.endswith("pass these tests:\n\n" + "\n".join(mbpp["test_list"]))
    assert problem.gold == f"```\n{mbpp['code']}\n```"
    with_setup = problem_of({**mbpp, "test_setup_code": "x = 1"})
    assert with_setup.meta["tests"]["functional"].startswith("x = 1\nassert add(1, 2)")


def test_humaneval_continues_the_question():
    row = {
        "prompt": "def one():\n",
        "canonical_solution": "    return 1\n",
        "test": "def check(candidate):\n    assert candidate() == 1\n",
        "entry_point": "one",
        "language": "python",
    }
    problem = problem_of(row)
    assert problem.gold == "```\ndef one():\n    return 1\n```"
    assert problem.meta["tests"]["functional"].endswith("check(one)\n")
    assert (problem.language, problem.meta["program_language"]) == ("en", "python")


def test_programs_without_a_reference_have_no_gold():
    row = {"question": "q", "answer": None, "tests": json.dumps([{"input": "1", "output": "2"}])}
    assert problem_of(row).gold == ""
    assert problem_of(row).meta["tests"] == [{"input": "1", "output": "2"}]


def test_countdown_needs_no_words_and_takes_a_solution_as_gold():
    row = {"nums": [3, 4, 5], "target": 35, "solution": "(3 + 4) * 5", "answer": "35"}
    problem = problem_of(row)
    assert problem.meta["verifier"] == "countdown" and problem.gold == "(3 + 4) * 5"
    assert "3, 4, 5" in problem.question and "35" in problem.question
    assert problem_of({"nums": [3, 4, 5], "target": 35}).gold == ""


def test_knights_and_knaves_are_known_by_their_answer():
    problem = problem_of({"question": "Who?", "answer": "(1) Zoe is a knight\n(2) Tim is a knave"})
    assert problem.meta["verifier"] == "knights_knaves"


def test_a_verifier_can_be_set_for_a_row_or_for_all():
    row = {"question": "q", "answer": "#### 5", "verifier": "exact"}
    assert problem_of(row).meta == {"verifier": "exact"} and problem_of(row).gold == "#### 5"
    assert problem_of(row, verifier="number").meta == {"verifier": "number"}
    with pytest.raises(UserError, match="here: unknown verifier 'maths'") as info:
        problem_of({**row, "verifier": "maths"})
    assert info.value.hint == "did you mean 'math'?"


@pytest.mark.parametrize(
    ("row", "language"),
    [
        ({"question": "What is 2?"}, "en"),
        ({"question": "九加八等于多少？x"}, "zh"),
        ({"question": "九加八等于多少？", "lang": "en"}, "en"),
        ({"question": "Combien ?", "language": "fr-FR"}, "fr"),
    ],
)
def test_the_language_is_given_or_seen(row, language):
    assert problem_of({**row, "answer": "1"}).language == language


def test_a_slip_of_the_pen_is_named():
    with pytest.raises(UserError, match="here: unknown key 'spilt'") as info:
        problem_of({"question": "q", "answer": "1", "spilt": "train"})
    assert info.value.hint == "did you mean 'split'?"


def answered(text):
    return f"<think></think><answer>{text}</answer>"


def test_each_row_is_judged_by_its_verifier(tmp_path):
    rows = [
        {"question": "exact?", "answer": "a b", "verifier": "exact"},
        {"question": "number?", "answer": "1000", "verifier": "number"},
        {"question": "countdown?", "numbers": [2, 3], "target": 6},
        {"question": "choice?", "options": OPTIONS, "answer": "blue"},
    ]
    (tmp_path / "mixed.json").write_text(json.dumps({"data": rows}))
    task = load_task(str(tmp_path / "mixed.json"))
    right = {"exact?": "A  b", "number?": "1,000.0", "countdown?": "3 * 2", "choice?": "C"}
    wrong = {"exact?": "ab", "number?": "1001", "countdown?": "3 + 2", "choice?": "B"}
    for split in ("train", "validation", "heldout"):
        for problem in task.problems(split):
            key = problem.question.partition("\n")[0]
            assert task.score(problem, answered(right[key])).is_correct, key
            verdict = task.score(problem, answered(wrong[key]))
            assert verdict.kind == "wrong" and verdict.score == 0, key
            assert not task.score(problem, right[key]).is_correct, "an answer without its tags"
