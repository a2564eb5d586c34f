"""A user's own code runs in worker processes: it may hang, crash or be slow to import."""

import time

import pytest

from aha.errors import UserError
from aha.tasks.isolated import IsolatedTask
from aha.tasks.registry import check_gold, load_task, validate_task
from aha.tasks.sources.measured import MeasuredTask, Selection
from aha.tasks.task import Problem

FILE = """
import dataclasses, os, time
import aha
from aha.chat import parse_response

timeout_seconds = 0.5
time.sleep({import_seconds})


@dataclasses.dataclass
class Level:
    number: int


problems = [
    dict(question=f"{{n}} + 1 = ?", answer=n + 1, meta={{"level": Level(n)}}) for n in range(20)
]


def score(problem, response):
    if "loop" in response:
        while True:
            pass
    if "crash" in response:
        os._exit(4)
    if "raise" in response:
        raise LookupError("no table")
    if parse_response(response).answer != problem.gold:
        return False
    return aha.Verdict.correct(problem.gold, f"level {{problem.meta['level'].number}}")


@aha.reward(weight=0.5)
def short(problem, response):
    if "hang in the reward" in response:
        time.sleep(60)
    return 1.0 if len(response) < 100 else 0.0
"""


@pytest.fixture
def load(tmp_path):
    def load(text=FILE, name="own.py", **values):
        path = tmp_path / name
        path.write_text(text.format(**({"import_seconds": 0} | values)))
        return load_task(str(path))

    return load


def test_a_good_judgement_is_the_one_of_the_file(load):
    task = load()
    assert isinstance(task, IsolatedTask)
    assert (task.isolated, task.timeout_seconds) == (True, 0.5)
    problem = task.problems("train")[0]
    response = f"<think></think><answer>{problem.gold}</answer>"
    judgement = task.judge(problem, response)
    assert judgement.verdict == task.score(problem, response)
    assert judgement.verdict.reason == f"level {problem.meta['level'].number}"
    assert judgement.parts == {"short": 1.0}
    (reward,) = task.rewards
    assert (reward.name, reward.weight) == ("short", 0.5)
    assert reward(problem, "x" * 100) == 0.0
    assert reward.evaluate(problem, "x") == (1.0, "")


@pytest.mark.parametrize(
    ("response", "kind", "reason"),
    [
        ("loop", "timeout", "no verdict within 0.5 s"),
        ("crash", "error", "the verifier's process ended with exit status 4"),
        ("raise", "error", "score() raised LookupError: no table"),
        ("hang in the reward", "timeout", "no verdict within 0.5 s"),
    ],
)
def test_code_that_fails_is_a_verdict_and_the_next_judgement_is_right(load, response, kind, reason):
    task = load()
    problem = task.problems("train")[0]
    started = time.monotonic()
    judgement = task.judge(problem, response)
    assert time.monotonic() - started < 30
    assert (judgement.verdict.kind, judgement.verdict.reason) == (kind, reason)
    right = f"<think></think><answer>{problem.gold}</answer>"
    assert task.judge(problem, right).verdict.is_correct


def test_a_file_may_take_long_to_import(load):
    task = load(import_seconds=0.8)  # more than its timeout_seconds
    assert task.score(task.problems("train")[0], "x").kind == "wrong"


def test_a_file_without_code_of_its_own_is_not_run_again(load):
    task = load("problems = [dict(question=f'{{n}} + 1', answer=n + 1) for n in range(9)]")
    assert not isinstance(task, IsolatedTask)
    assert task.isolated  # its verifiers may wait for workers
    assert validate_task(task) == []


def test_a_task_object_is_judged_apart_and_keeps_its_choice_of_problems(load):
    task = load(
        "import aha\n"
        "class Own(aha.Task):\n"
        "    name = 'mine'\n"
        "    def problems(self, split):\n"
        "        meta = {{'pass_rate': 0.5}}\n"
        "        return [aha.Problem(id=split, question=split, gold='1', meta=meta)]\n"
        "    def score(self, problem, response):\n"
        "        raise LookupError(f'of {{problem.id}}')\n"
        "task = Own()\n"
    )
    chosen = MeasuredTask(task, Selection(low=0.1))
    (problem,) = chosen.problems("train")
    for one in (task, chosen):
        assert one.isolated and one.name == "mine"
        assert one.judge(problem, "x").verdict.reason == "score() raised LookupError: of train"


def test_a_file_that_changes_while_a_run_is_on_is_noticed(load, tmp_path):
    task = load()
    path = tmp_path / "own.py"
    path.write_text(path.read_text() + "\n\n")
    verdict = task.score(task.problems("train")[0], "x")
    assert verdict.kind == "error"
    assert "has changed since it was read" in verdict.reason


def test_meta_that_cannot_be_sent_is_the_users_mistake(load):
    task = load()
    problem = Problem(id="p", question="q", gold="1", meta={"f": lambda: 0})
    with pytest.raises(UserError, match="p: its meta cannot be sent") as caught:
        task.score(problem, "x")
    assert "texts, numbers" in caught.value.hint


@pytest.mark.parametrize("value", ["'5'", "0", "-1", "True", "None", "float('nan')"])
def test_a_limit_is_a_number_above_0(load, value):
    with pytest.raises(UserError, match="timeout_seconds is"):
        load(
            f"timeout_seconds = {value}\n"
            "problems = [dict(question=str(n), answer=n) for n in range(9)]\n"
            "def score(problem, response): return False\n"
        )


def test_a_score_that_always_hangs_stops_before_a_run(load):
    task = load(
        "timeout_seconds = 0.3\n"
        "problems = [dict(question=str(n), answer=n) for n in range(9)]\n"
        "def score(problem, response):\n    while True: pass\n"
    )
    started = time.monotonic()
    with pytest.raises(UserError, match=r"timeout \(no verdict within 0.3 s\)"):
        check_gold(task)
    assert time.monotonic() - started < 30
