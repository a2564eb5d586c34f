"""Embedded tasks and files of one's own as suites."""

from aha.evals.suites import load_suite
from aha.tasks.registry import load_task
from aha.tasks.task import SPLITS
from tests.evals.suites.samples import SHAPES, write


def test_an_embedded_task_takes_answers_in_every_form():
    name = "arithmetic"
    suite = load_suite(name)
    task = load_task(name)
    problems = suite.task.problems("heldout")
    assert [p.id for p in problems] == [p.id for p in task.problems("heldout")]
    assert (suite.name, suite.protocol.template) == (name, "r1-zero")
    problem = next(p for p in problems if p.gold)
    gold = problem.gold
    for reply in (
        f"<think>x</think><answer>{gold}</answer>",
        f"<think>\nx\n</think>\n\nThe answer is \\boxed{{{gold}}}.",
        f"The answer is \\boxed{{{gold}}}.",
    ):
        assert suite.task.score(problem, reply).is_correct, reply
    for reply in ("", gold + " perhaps, or not", f"<think>\\boxed{{{gold}}}", "<answer></answer>"):
        assert suite.task.score(problem, reply).kind in ("unparseable", "wrong"), reply


def test_a_file_gives_its_held_out_problems_and_rows_all(tmp_path):
    rows = [{"question": f"{n} + {n} = ?", "answer": str(2 * n)} for n in range(60)]
    file = write(tmp_path / "sums.jsonl", rows)
    suite = load_suite(str(file))
    task = load_task(str(file))
    heldout = suite.task.problems("heldout")
    assert [p.id for p in heldout] == [p.id for p in task.problems("heldout")]
    assert 0 < len(heldout) < 60 == sum(len(task.problems(split)) for split in SPLITS)
    assert suite.description.startswith(f"{len(heldout)} held-out problems of 60")
    assert suite.task.score(heldout[0], f"So \\boxed{{{heldout[0].gold}}}").is_correct
    assert len(load_suite("rows", data=file).task.problems("heldout")) == 60


def test_rows_are_judged_each_by_its_own_verifier(tmp_path):
    rows = [
        {"id": "m", "question": "6 * 7", "answer": "42"},
        {"id": "c", "question": "Which?", "options": ["one", "two"], "answer": "two"},
        {"id": "e", "question": "Say it.", "answer": "Hello  you", "verifier": "exact"},
        *SHAPES["leetcode"][0],
        *SHAPES["countdown"][0],
    ]
    suite = load_suite("rows", data=write(tmp_path / "mixed.jsonl", rows))
    by_id = {p.id.removeprefix("rows/"): p for p in suite.task.problems("heldout")}

    def kind(name, reply):
        return suite.task.score(by_id[name], reply).kind

    assert (kind("m", "It is \\boxed{42.0}"), kind("m", "\\boxed{41}")) == ("correct", "wrong")
    assert (kind("c", "Answer: B"), kind("c", "Answer: A")) == ("correct", "wrong")
    assert (kind("e", "<think>x</think>hello you"), kind("e", "hello")) == ("correct", "wrong")


def test_a_python_file_keeps_its_own_score(tmp_path):
    file = tmp_path / "long.py"
    file.write_text(
        "def problems():\n"
        "    return [{'question': f'q{n}', 'answer': 'x'} for n in range(9)]\n"
        "def score(problem, response):\n"
        "    return 'yes' in response\n"
    )
    suite = load_suite(str(file))
    problem = suite.task.problems("heldout")[0]
    assert suite.task.score(problem, "oh yes").is_correct
    assert suite.task.score(problem, "no").kind == "wrong"
