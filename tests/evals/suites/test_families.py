"""What families do beyond comparing with the gold answer."""

import base64
import pickle
import zlib

import pytest

from aha.errors import UserError
from aha.evals.suites import load_suite, prompts
from aha.evals.suites.code import _hidden_tests
from aha.evals.suites.graders import same_math
from aha.evals.suites.reply import answer_line, tagged, visible
from tests.evals.suites.samples import GPQA, IFEVAL, PROGRAM, SHAPES, hidden, write


def load(tmp_path, name, rows):
    return load_suite(name, data=write(tmp_path / "r.jsonl", rows))


def problems(suite):
    return suite.task.problems("heldout")


def test_visible():
    assert visible("<think>\na\n</think>\n\nb") == "b"
    assert visible("<think>a</think><answer>b</answer>") == "b"
    assert visible("plain") == "plain"
    assert visible("<think>\nnever ends") == ""


def test_answer_line():
    assert answer_line("Answer: 3\nno\n**Answer:** 4\n") == "4"
    assert answer_line("Final answer: x y") == "x y"
    assert answer_line("<think>Answer: 3</think>\nSo") is None
    assert answer_line("Answer:") is None


def test_tagged():
    assert tagged("<answer>3</answer>") == "<answer>3</answer>"
    assert tagged("<think>\na\n</think>\nSo \\boxed{3}.") == ("<think></think><answer>3</answer>")
    assert tagged("So \\boxed{3}.") == "<think></think><answer>3</answer>"
    assert tagged("perhaps 3 or 4 of them") == "perhaps 3 or 4 of them"
    assert tagged("<think>\n\\boxed{3}") == ""


def test_the_instruction_stands_behind_or_around_the_question():
    suite = load_suite.__globals__["Protocol"]
    assert suite(instruction="Box it.").ask("1 + 1?") == "1 + 1?\nBox it."
    assert suite(instruction="Read:\n{question}\nEnd.").ask("a {b}") == "Read:\na {b}\nEnd."
    assert suite().ask("1 + 1?") == "1 + 1?"
    assert prompts.MATH.startswith("Please reason step by step, and put your final answer within")


def test_math_wants_a_marked_answer_and_says_what_it_would_take_otherwise(tmp_path):
    suite = load(tmp_path, "gsm8k", SHAPES["gsm8k"][0])
    problem = problems(suite)[1]
    for reply, kind, lenient in (
        ("So \\boxed{42}", "correct", 1.0),
        ("The answer is 42.", "correct", 1.0),
        ("It takes 6 x 7 = 42", "unparseable", 1.0),
        ("It takes 6 x 7 = 43", "unparseable", 0.0),
        ("42 it is, \\boxed{43}", "wrong", 0.0),
    ):
        verdict = suite.task.score(problem, reply)
        assert verdict.kind == kind, reply
        assert suite.figures(problem, reply, verdict) == {"lenient": lenient}, reply


def test_answers_vote_by_value():
    assert same_math("1/2", "\\frac{1}{2}") and same_math("0.5", "1/2")
    assert not same_math("1/2", "1/3") and not same_math("a", "b")
    assert same_math("x+1", "1+x")


def test_olympiadbench_lists_and_tolerances(tmp_path):
    rows = [
        {"id": 1, "question": "Roots of x^2 = 4", "final_answer": ["2", "-2"]},
        {"id": 2, "question": "How long?", "final_answer": ["10.5"], "error": "0.2"},
        {"id": 3, "question": "How far?", "final_answer": ["$3$"], "error": "nonsense"},
    ]
    suite = load(tmp_path, "olympiadbench", rows)
    roots, length, far = problems(suite)
    assert suite.task.score(roots, "\\boxed{-2, 2}").is_correct
    assert not suite.task.score(roots, "\\boxed{2}").is_correct
    assert suite.task.score(length, "\\boxed{10.6}").is_correct
    assert not suite.task.score(length, "\\boxed{10.8}").is_correct
    assert far.gold == "3" and suite.task.score(far, "\\boxed{3}").is_correct


def test_gpqa_shuffles_options_by_the_question_alone(tmp_path):
    first = problems(load(tmp_path, "gpqa-diamond", GPQA))
    again = problems(load(tmp_path, "gpqa-diamond", GPQA[::-1]))[::-1]
    assert [(p.question, p.gold) for p in first] == [(p.question, p.gold) for p in again]
    assert len({p.gold for p in first}) >= 3
    for problem, row in zip(first, GPQA, strict=True):
        right = problem.meta["options"]["ABCD".index(problem.gold)]
        assert right == row["Correct Answer"]
        assert sorted(problem.meta["options"]) == sorted(["X", "Y", "Z", right])
    assert first[0].id == "gpqa-diamond/rec0"


def test_choices_up_to_the_tenth_and_letters_that_are_no_option(tmp_path):
    suite = load(tmp_path, "mmlu-pro", SHAPES["mmlu-pro"][0])
    (problem,) = problems(suite)
    assert problem.gold == "J" and "J) 9" in problem.question
    assert suite.task.score(problem, "Answer: J").is_correct
    assert suite.task.score(problem, "Answer: K").kind == "unparseable"
    assert suite.task.score(problem, "A or J").kind == "unparseable"
    assert suite.protocol.ask("Q").endswith("\n\nQ")


def test_mmlu_redux_keeps_sound_questions_only(tmp_path):
    suite = load(tmp_path, "mmlu-redux", SHAPES["mmlu-redux"][0])
    assert len(problems(suite)) == 1 and suite.task.notes == ("1 of 2 rows are left out",)


def test_c_eval_is_chinese(tmp_path):
    (problem,) = problems(load(tmp_path, "c-eval", SHAPES["c-eval"][0]))
    assert (problem.language, problem.gold) == ("zh", "B")
    assert problem.question.endswith("A) 1\nB) 2\nC) 3\nD) 5")


@pytest.mark.parametrize(
    ("reply", "kinds"),
    [
        ("Answer: False", "cuuu"),
        ("answer: **false**.", "cuuu"),
        ("Answer: (B)", "wcww"),
        ("So B it is.", "ucuu"),
        ("Answer: a, b, c", "wucw"),
        ("Answer: } ]", "wuwc"),
        ("\\boxed{False}", "cuww"),
    ],
)
def test_bbh(tmp_path, reply, kinds):
    suite = load(tmp_path, "bbh", SHAPES["bbh"][0])
    found = [suite.task.score(p, reply).kind[0] for p in problems(suite)]
    same = "".join(k if k == "c" else "-" for k in found)
    assert same == "".join(k if k == "c" else "-" for k in kinds), found


def test_olymmath_takes_the_rows_of_its_language(tmp_path):
    rows = [{**row, "lang": lang, "id": lang} for lang in ("en", "zh")
            for row in SHAPES["gsm8k"][0][:1]]  # fmt: skip
    assert [p.id for p in problems(load(tmp_path, "olymmath", rows))] == ["olymmath/en"]
    zh = load(tmp_path, "olymmath-zh", rows)
    assert [p.id for p in problems(zh)] == ["olymmath-zh/zh"]
    assert zh.protocol.instruction == prompts.MATH_ZH


def test_livecodebench_window_and_hidden_tests(tmp_path):
    rows = SHAPES["livecodebench"][1]
    (problem,) = problems(load(tmp_path, "livecodebench", rows))
    assert problem.id == "livecodebench/1"
    assert [t["input"] for t in problem.meta["tests"]] == ["1 2", "5 -7"]
    suite = load(tmp_path, "livecodebench-all", rows)
    stdin, functional = problems(suite)
    assert suite.task.score(stdin, PROGRAM).is_correct
    assert suite.task.score(stdin, PROGRAM.replace("a + b", "a - b")).kind == "wrong"
    assert "Begin with this code:" in functional.question
    method = "```python\nclass Solution:\n    def add(self, a, b):\n        return a {} b\n```"
    assert suite.task.score(functional, method.format("+")).is_correct
    assert not suite.task.score(functional, method.format("-")).is_correct


class Evil:
    def __reduce__(self):
        return (print, ("this must not run",))


def test_a_pickle_in_the_data_runs_nothing(tmp_path, capsys):
    evil = base64.b64encode(zlib.compress(pickle.dumps(Evil()))).decode()
    with pytest.raises(ValueError, match="cannot be read"):
        _hidden_tests(evil)
    row = {**SHAPES["livecodebench"][1][0], "private_test_cases": evil}
    with pytest.raises(UserError, match="not a row of the suite 'livecodebench'"):
        load(tmp_path, "livecodebench", [row])
    assert "must not run" not in capsys.readouterr().out
    assert _hidden_tests(hidden([{"input": "1"}])) == [{"input": "1"}]


def test_codeforces_leaves_out_what_needs_a_checker(tmp_path):
    suite = load(tmp_path, "codeforces", SHAPES["codeforces"][1])
    (problem,) = problems(suite)
    assert problem.question == "Sum\n\nPrint the sum.\n\nTwo numbers.\n\nOne number."
    assert suite.task.score(problem, PROGRAM).is_correct


def test_humaneval_gives_the_program_the_prompt_s_imports(tmp_path):
    suite = load(tmp_path, "humaneval", SHAPES["humaneval"][0])
    (problem,) = problems(suite)
    body = "def total(xs: List[int]) -> int:\n    return {}(xs)"
    assert suite.task.score(problem, f"```python\n{body.format('sum')}\n```").is_correct
    assert suite.task.score(problem, f"```python\n{body.format('max')}\n```").kind == "wrong"


def test_ifeval_figures(tmp_path):
    rows = [{**IFEVAL[0], "prompt": "p", "key": n} for n in range(2)]
    suite = load(tmp_path, "ifeval", rows)
    problem = problems(suite)[0]
    assert problem.id == "ifeval/0" and suite.metric == "prompt_strict"
    for reply, kind, values in (
        ("<think>\na, b\n</think>\nhello my friend", "correct", (1, 1, 2, 2, 2)),
        ("Sure, so:\nhello my friend", "wrong", (0, 1, 1, 2, 2)),
        ("a, b", "wrong", (0, 0, 0, 0, 2)),
        ("<think>\nnever ends", "unparseable", (0, 0, 0, 0, 2)),
    ):
        verdict = suite.task.score(problem, reply)
        assert verdict.kind == kind, reply
        assert tuple(suite.figures(problem, reply, verdict).values()) == values, reply
    assert "punctuation:no_comma" in suite.task.score(problem, "a, b c d").reason
    with pytest.raises(UserError, match="unknown instruction 'x:y'"):
        load(tmp_path, "ifeval", [{**IFEVAL[0], "instruction_id_list": ["x:y"], "kwargs": [{}]}])


def test_puzzles_take_any_right_answer(tmp_path):
    suite = load(tmp_path, "countdown", SHAPES["countdown"][0])
    problem = problems(suite)[0]
    assert suite.task.score(problem, "Answer: 30 + 93 - 100").is_correct
    assert not suite.task.score(problem, "Answer: 23").is_correct
    suite = load(tmp_path, "sudoku", [{"question": "1000000000000000", "answer": None}])
    with_answer = load(tmp_path, "sudoku", SHAPES["sudoku"][1])
    assert problems(with_answer)[0].question.startswith("Solve this 4x4 sudoku")
    assert suite.task.score(problems(suite)[0], "Answer: 1234341221434321").is_correct
    suite = load(tmp_path, "knights-and-knaves", SHAPES["knights-and-knaves"][1])
    other = "Answer:\n(1) Zoey is a knave\n(2) Oliver is a knight"
    assert suite.task.score(problems(suite)[0], other).is_correct
