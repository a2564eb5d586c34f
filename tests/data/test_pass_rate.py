"""Pass rates: measured, resumed after a kill, filtered by, and the order of a curriculum."""

import json
import random
from collections import Counter

import pytest

from aha.data.curriculum import band_of, easy_to_hard
from aha.data.pass_rate import PassRates, Sampling, measure
from aha.engine.engine import Engine
from aha.errors import UserError
from aha.tasks.registry import load_task
from aha.tasks.task import Problem
from aha.trainers.problems import ProblemStream
from tests.trainers.tiny import LetterTask, tiny_model, tiny_tokenizer

SAMPLING = Sampling(samples=16, max_new_tokens=3, template="none")


class Killed(BaseException):
    pass


def run(path, *, sampling=SAMPLING, kill_after=None, task=None, **options):
    def note(text):
        notes.append(text)
        if kill_after is not None and len(notes) == kill_after:
            raise Killed

    notes = []
    engine = Engine(tiny_model(), tiny_tokenizer(), seed=sampling.seed)
    task = task or LetterTask(num_problems=40)
    return measure(engine, task, sampling, path, model="tiny@0", note=note, **options), notes


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    path = tmp_path_factory.mktemp("rates") / "rates.jsonl"
    run(path)
    return path


def test_a_rate_is_the_share_of_right_samples(measured):
    rows = rows_of(measured)
    rates = [row["meta"]["pass_rate"] for row in rows]
    assert [row["id"] for row in rows] == [f"letters/{n}" for n in range(40)]
    assert all((rate * 16).is_integer() for rate in rates)
    assert len(set(rates)) > 2, "the tiny model finds some letters easier than others"
    assert rows[0]["meta"]["measured"]["model"] == "tiny@0" and rows[0]["split"] == "train"


@pytest.mark.parametrize("kill_after", [1, 2])
def test_a_kill_loses_and_doubles_no_problem(measured, tmp_path, kill_after):
    path = tmp_path / "rates.jsonl"
    with pytest.raises(Killed):
        run(path, kill_after=kill_after)
    assert len(rows_of(path)) == 16 * kill_after
    with open(path, "a", encoding="utf-8") as file:
        file.write('{"id": "letters/16", "torn')
    result, notes = run(path)
    assert notes[0] == f"{16 * kill_after} of 40 problems are measured already"
    assert path.read_bytes() == measured.read_bytes()
    assert len(result.rows) == 40
    _, notes = run(path)
    assert len(notes) == 1 and path.read_bytes() == measured.read_bytes()


def test_progress_says_how_much_is_left(tmp_path):
    _, notes = run(tmp_path / "rates.jsonl")
    assert [note.split(",")[0] for note in notes] == [f"{n}/40 problems" for n in (16, 32, 40)]
    assert notes[-1].endswith("0s left")


def test_more_problems_go_on_from_fewer(measured, tmp_path):
    path = tmp_path / "rates.jsonl"
    run(path, num_problems=5)
    assert len(rows_of(path)) == 5
    run(path)
    assert rows_of(path) == rows_of(measured)


@pytest.mark.parametrize(
    "options",
    [
        {"sampling": Sampling(samples=8, max_new_tokens=3, template="none")},
        {"sampling": Sampling(samples=16, max_new_tokens=3, template="none", seed=1)},
        {"task": LetterTask("others", 40)},
    ],
)
def test_another_measurement_is_not_mixed_in(measured, options):
    with pytest.raises(UserError, match="holds another measurement"):
        run(measured, **options)


def test_a_task_without_right_answers_has_no_rates(tmp_path):
    task = LetterTask()
    task.checkable = False
    with pytest.raises(UserError, match="no answers that can be checked"):
        run(tmp_path / "rates.jsonl", task=task)


def test_the_sentence():
    rows = [{"meta": {"pass_rate": rate}} for rate in (0.0, 0.0, 0.25, 1.0)]
    said = PassRates(rows).sentence()
    assert said == "4 problems: 50.0% never solved, 25.0% sometimes, 25.0% always"


def rated(path, rates, **more):
    rows = [
        {"question": f"q{n}", "answer": n, "split": "train", "meta": {"pass_rate": rate}, **more}
        for n, rate in enumerate(rates)
    ]
    rows += [{"question": s, "answer": "1", "split": s} for s in ("validation", "heldout")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_problems_are_chosen_by_their_rates(tmp_path):
    path = rated(tmp_path / "m.jsonl", [0.0, 0.1, 0.5, 0.9, 1.0, None])
    task = load_task(f"{path}?min_pass_rate=0.1&max_pass_rate=0.9")
    assert sorted(p.question for p in task.problems("train")) == ["q1", "q2", "q3"]
    assert [p.question for p in task.problems("heldout")] == ["heldout"]
    assert task.score(task.problems("train")[0], "nothing").kind == "unparseable"
    with pytest.raises(UserError, match="of 6 training problems of 'm' none has a pass rate"):
        load_task(f"{path}?min_pass_rate=0.2&max_pass_rate=0.4")


def test_rates_of_any_task_stand_in_a_file_beside_it(tmp_path):
    problems = load_task("countdown").problems("train")
    rows = [
        {"question": p.question, "meta": {"pass_rate": (n % 3) / 2}}
        for n, p in enumerate(problems[:30])
    ]
    path = tmp_path / "rates.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = load_task(f"countdown?pass_rates={path}&min_pass_rate=0.1&max_pass_rate=0.9")
    assert task.name == "countdown"
    assert [p.id for p in task.problems("train")] == [p.id for p in problems[1:30:3]]
    assert {p.meta["pass_rate"] for p in task.problems("train")} == {0.5}
    problem = task.problems("train")[0]
    assert task.score(problem, f"<think></think><answer>{problem.gold}</answer>").is_correct
    for text, message in (
        ('{"question": "q"}', "no pass rate"),
        (rows_with_rate(2), "pass_rate is 2"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=f"line 1: {message}"):
            load_task(f"countdown?pass_rates={path}")


def rows_with_rate(rate):
    return json.dumps({"question": "q", "meta": {"pass_rate": rate}})


def with_rate(rate):
    meta = {} if rate is None else {"pass_rate": rate}
    return Problem(id=str(rate), question="q", gold="1", meta=meta)


def test_bands_divide_the_range_evenly():
    bands = {rate: band_of(with_rate(rate), 4) for rate in (1.0, 0.76, 0.75, 0.5, 0.25, 0.0, None)}
    assert bands == {1.0: 0, 0.76: 0, 0.75: 1, 0.5: 2, 0.25: 3, 0.0: 3, None: 4}


def test_easy_bands_come_first_and_are_shuffled_inside():
    problems = [with_rate(n / 40) for n in range(40)]
    order = easy_to_hard(problems, 4, random.Random(0))
    bands = [band_of(problem, 4) for problem in order]
    assert bands == sorted(bands) and Counter(bands) == {0: 9, 1: 10, 2: 10, 3: 11}
    rates = [problem.meta["pass_rate"] for problem in order[:9]]
    assert rates != sorted(rates) and rates != sorted(rates, reverse=True)
    assert order == easy_to_hard(problems, 4, random.Random(0))
    assert order != easy_to_hard(problems, 4, random.Random(1))


def test_a_stream_with_a_curriculum_resumes_from_its_position(tmp_path):
    path = rated(tmp_path / "m.jsonl", [n / 20 for n in range(20)])

    def stream(position=0):
        return ProblemStream([load_task(f"{path}?curriculum=2")], seed=3, position=position)

    def rates(asked):
        return [item.problem.meta["pass_rate"] for item in asked]

    whole = rates(stream().take(40))
    assert all(rate > 0.5 for rate in whole[:9]) and all(rate <= 0.5 for rate in whole[9:20])
    assert sorted(whole[:20]) == sorted(whole[20:]) and whole[:20] != whole[20:]
    assert rates(stream(position=7).take(33)) == whole[7:]
