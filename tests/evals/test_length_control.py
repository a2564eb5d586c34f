"""The length-controlled win rate against simulated judges whose liking of length is known."""

import math
import random

import pytest

from aha.evals.figures import without_length
from aha.evals.length_control import RIDGE, fit, length_controlled
from aha.evals.metrics import sigmoid


def judged(merit, slope, *, num=4_000, longer=1.0, seed=0):
    """Wins of replies that are `longer` on average, by a judge with these coefficients."""
    rng = random.Random(seed)
    differences = [rng.gauss(longer, 1.0) for _ in range(num)]
    spread = math.sqrt(sum(d * d for d in differences) / num)
    wins = [
        float(rng.random() < sigmoid(merit + slope * math.tanh(d / spread))) for d in differences
    ]
    return wins, differences


def test_what_length_has_won_is_taken_out():
    wins, differences = judged(0.0, 2.0)
    assert sum(wins) / len(wins) > 0.65
    found = length_controlled(wins, differences, clusters=range(len(wins)))
    assert found.value == pytest.approx(0.5, abs=3 * found.stderr) and found.stderr < 0.02
    assert found.n == len(wins)


def test_without_an_effect_of_length_it_is_the_win_rate():
    wins, differences = judged(1.0, 0.0, longer=0.0)
    found = length_controlled(wins, differences, clusters=range(len(wins)))
    plain = sum(wins) / len(wins)
    assert found.value == pytest.approx(plain, abs=0.005)
    assert found.stderr == pytest.approx(math.sqrt(plain * (1 - plain) / len(wins)), rel=0.05)


def test_the_error_is_that_of_repeated_experiments():
    values = []
    for seed in range(200):
        wins, differences = judged(0.4, 1.0, num=200, seed=seed)
        found = length_controlled(wins, differences, clusters=range(200))
        values.append((found.value, found.stderr))
    mean = sum(v for v, _ in values) / 200
    spread = math.sqrt(sum((v - mean) ** 2 for v, _ in values) / 199)
    assert sum(e for _, e in values) / 200 == pytest.approx(spread, rel=0.2)


def test_samples_of_one_problem_are_no_new_problems():
    wins, differences = judged(0.4, 1.0, num=100)
    once = length_controlled(wins, differences, clusters=range(100))
    twice = length_controlled(wins * 2, differences * 2, clusters=[*range(100)] * 2)
    assert twice.n == 100
    assert twice.stderr == pytest.approx(once.stderr, rel=0.01)


@pytest.mark.parametrize(
    ("wins", "differences"),
    [
        ([1.0] * 30, [1.0, -2.0] * 15),  # nothing but wins
        ([1.0, 0.0, 1.0] * 30, [400.0] * 90),  # always longer by as much
        ([1.0, 0.0, 1.0] * 30, [390.0, 400.0, 410.0] * 30),  # never near the baseline's length
    ],
)
def test_where_the_data_do_not_say_there_is_no_figure(wins, differences):
    assert length_controlled(wins, differences, clusters=range(len(wins))) is None


def test_lengths_without_a_difference_leave_the_win_rate():
    assert length_controlled(
        [1.0, 0.0] * 15, [0.0] * 30, clusters=range(30)
    ).value == pytest.approx(0.5)


def test_empty_replies_stay_losses_and_say_nothing_of_length():
    wins, differences = judged(2.0, 0.0, num=800, longer=0.0)
    rows = [
        (str(i), {"win_rate": win, "longer": d})
        for i, (win, d) in enumerate(zip(wins, differences, strict=True))
    ]
    rows += [(f"empty {i}", {"win_rate": 0.0}) for i in range(200)]
    found = without_length("win_rate", "longer")(rows)
    raw = sum(row["win_rate"] for _, row in rows) / len(rows)
    assert found.value == pytest.approx(raw, abs=0.01) and found.n == 1_000
    assert found.stderr == pytest.approx(math.sqrt(raw * (1 - raw) / 1_000), rel=0.1)


def test_the_coefficients_are_where_the_penalised_likelihood_is_flat():
    wins, lengths = [1.0, 0.0, 1.0, 0.5, 0.0], [0.9, -0.2, 0.1, 0.4, -0.8]
    merit, slope = fit(wins, lengths)
    rests = [w - sigmoid(merit + slope * x) for w, x in zip(wins, lengths, strict=True)]
    assert sum(rests) == pytest.approx(RIDGE * merit, abs=1e-9)
    assert sum(r * x for r, x in zip(rests, lengths, strict=True)) == pytest.approx(RIDGE * slope)


def test_a_few_problems_say_nothing_however_often_they_are_asked():
    wins, differences = judged(0.4, 1.0, num=190)
    assert length_controlled(wins, differences, clusters=[*range(19)] * 10) is None
