import pytest

from aha.evals.suites import load_suite
from aha.evals.suites.judging import rate_prompt, read_rating, share_of_wins
from aha.evals.suites.turns import joined
from tests.evals.suites.fake_judge import judge_that_says
from tests.evals.suites.samples import SHAPES, write


def load(tmp_path, name, answer, shape=0):
    judge = None if answer is None else judge_that_says(answer)
    return load_suite(name, data=write(tmp_path / "r.jsonl", SHAPES[name][shape]), judge=judge)


def graded(suite, reply):
    problem = suite.task.problems("heldout")[0]
    verdict = suite.task.score(problem, reply)
    return verdict, suite.figures(problem, reply, verdict) if suite.figures else {}


@pytest.mark.parametrize("name", ["simpleqa", "mt-bench", "arena-hard", "alpacaeval"])
def test_without_a_judge_nothing_is_graded(tmp_path, name):
    suite = load(tmp_path, name, None)
    assert suite.needs_judge
    verdict, _ = graded(suite, "A reply.")
    assert verdict.kind == "error" and "--judge" in verdict.reason


@pytest.mark.parametrize(
    ("said", "kind", "score"),
    [
        ('{"analysis": "same", "correctness": "correct"}', "correct", 1.0),
        ('{"analysis": "other", "correctness": "incorrect"}', "wrong", 0.0),
        ("I cannot tell.", "error", 0.0),
    ],
)
def test_simpleqa(tmp_path, said, kind, score):
    suite = load(tmp_path, "simpleqa", said)
    verdict, _ = graded(suite, "<think>\nsecret\n</think>\nJane Austen wrote it.")
    assert (verdict.kind, verdict.score) == (kind, score)


def test_a_judge_reads_the_summary_only(tmp_path):
    judge = judge_that_says("[[7]]")
    suite = load_suite(
        "mt-bench", data=write(tmp_path / "r.jsonl", SHAPES["mt-bench"][0]), judge=judge
    )
    problem = suite.task.problems("heldout")[0]
    thought = "<think>\nsecret\n</think>\n"
    verdict = suite.task.score(problem, joined([f"{thought}It is 4.", f"{thought}It is 5."]))
    first, second = judge.writer.asked
    assert "It is 4." in first and "It is 5." not in first
    assert "It is 4." in second and second.index("It is 4.") < second.index("It is 5.")
    assert "secret" not in first + second
    assert "<reference-" in first and "\n4\n" in first and "\n6\n" not in first
    assert "\n6\n" in second and "\n4\n" not in second
    assert verdict.score == pytest.approx(6 / 9) and verdict.is_correct
    assert problem.question == "What is 2 + 2?"
    assert list(problem.meta["turns"]) == ["What is 2 + 2?", "And 3 + 3?"]
    assert suite.metric == "rating"
    figures = suite.figures(problem, "", verdict)
    assert figures == {"rating": pytest.approx(7.0), "rating_turn_1": 7.0, "rating_turn_2": 7.0}


def test_marks(tmp_path):
    assert [read_rating(t) for t in ("[[8]]", "a [[2]] b [[ 9.5 ]] c")] == [8.0, 9.5]
    assert [read_rating(t) for t in ("", "8", "[[0]]", "[[11]]", "[[x]]")] == [None] * 5
    assert "<reference-" not in rate_prompt([("q", "r")])
    both = joined(["So.", "Well."])
    for reply, said, kind, rating, turns in (
        (both, "[[3]]", "wrong", 3.0, (3.0, 3.0)),
        ("So.", "[[9]]", "wrong", 5.0, (9.0, 1.0)),  # the second turn was never answered
        ("<think>\nnever ends", "[[9]]", "unparseable", 1.0, (1.0, 1.0)),
    ):
        verdict, figures = graded(load(tmp_path, "mt-bench", said), reply)
        assert verdict.kind == kind
        assert figures["rating"] == pytest.approx(rating)
        assert (figures["rating_turn_1"], figures["rating_turn_2"]) == turns
    verdict, figures = graded(load(tmp_path, "mt-bench", "no mark"), both)
    assert (verdict.kind, figures) == ("error", {})


@pytest.mark.parametrize(
    ("opinions", "share"),
    [([2, 1], 1.0), ([0], 0.5), ([1, -1], 0.5), ([2, -1], 0.75), ([-2, 0], 0.125), ([-1, -2], 0.0)],
)
def test_share_of_wins(opinions, share):
    assert share_of_wins(opinions) == share


def prefers(text):
    """A judge for whom the reply with `text` is clearly better, wherever it stands."""

    def say(prompt):
        first = prompt.index("<answer_a-") < prompt.index(text) < prompt.index("<answer_b-")
        return "[[A>>B]]" if first else "[[B>>A]]"

    return say


@pytest.mark.parametrize(("name", "shape"), [("arena-hard", 1), ("alpacaeval", 0)])
def test_pairs_are_judged_in_both_orders(tmp_path, name, shape):
    judge = judge_that_says(prefers("Frost sings."))
    suite = load_suite(name, data=write(tmp_path / "r.jsonl", SHAPES[name][shape]), judge=judge)
    assert suite.metric == "win_rate" and suite.needs_judge
    problem = suite.task.problems("heldout")[0]
    assert (problem.question, problem.gold) == ("Write a haiku.", "Snow falls.")
    verdict, figures = graded(suite, "<think>\nhm\n</think>\nFrost sings.")
    assert verdict.is_correct and verdict.score == 1.0
    assert figures == {"win_rate": 1.0, "length_difference": 1.0}
    first, second = judge.writer.asked
    assert first.index("Frost") < first.index("Snow") and second.index("Snow") < second.index("Fro")


def test_a_judge_that_likes_the_first_place_gives_no_advantage(tmp_path):
    verdict, figures = graded(load(tmp_path, "arena-hard", "[[A>B]]", 1), "Frost sings. " * 9)
    assert (verdict.kind, verdict.score) == ("wrong", 0.5)
    assert figures == {"win_rate": 0.5, "length_difference": 9 * 13 - 1 - 11}


def test_without_a_baseline_replies_are_marked(tmp_path):
    suite = load(tmp_path, "arena-hard", "[[10]]", 0)
    assert suite.metric == "rating"
    verdict, figures = graded(suite, "Frost sings.")
    assert (verdict.score, figures) == (1.0, {"rating": 10.0})
    assert load(tmp_path, "arena-hard", "[[10]]", 2).task.problems("heldout")[0].question == (
        "Write a haiku."
    )
