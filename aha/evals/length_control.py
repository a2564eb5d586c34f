"""Win rates as they would be with replies as long as the baseline's (AlpacaEval 2, 2404.04475).

Judges like long replies. A logistic regression explains each win by the model and by how much
longer its reply was; the length-controlled win rate is what is left at no difference.

Differs from the paper: its regression also has the difficulty of each instruction, fitted over the
replies of all models of its leaderboard; here is one model, so what is easy is not taken out. And
where replies are nearly all longer, or nearly all shorter, than the baseline's, or nearly all win,
nothing says what they would earn at its length: then there is no figure.
"""

import math
from collections.abc import Hashable, Sequence

from aha.evals.metrics import Estimate, sigmoid

RIDGE = 1e-6
"""Penalty on both coefficients, so that Newton's steps are finite where every reply wins."""
LARGEST_ERROR = 0.75
"""Of the merit, on the scale of log-odds, that a win rate is still worth reporting with."""
MAX_STEPS, CLOSE = 50, 1e-10
FEWEST = 20
"""Problems from which on two coefficients are worth fitting."""


def length_controlled(
    wins: Sequence[float], differences: Sequence[float], *, clusters: Sequence[Hashable]
) -> Estimate | None:
    """The length-controlled win rate with its standard error; None where the data do not say.

    wins: 0 to 1. differences: how much longer the reply was than the baseline's, in any unit.
    """
    if len(set(clusters)) < FEWEST:
        return None
    mean = math.fsum(differences) / len(differences)
    spread = math.sqrt(math.fsum((d - mean) ** 2 for d in differences) / len(differences)) or 1.0
    lengths = [math.tanh(d / spread) for d in differences]
    merit, slope = fit(wins, lengths)
    scores: dict[Hashable, tuple[float, float]] = {}
    for win, x, cluster in zip(wins, lengths, clusters, strict=True):
        rest = win - sigmoid(merit + slope * x)
        a, b = scores.get(cluster, (0.0, 0.0))
        scores[cluster] = (a + rest, b + rest * x)
    aa, ab, bb = information(lengths, merit, slope)
    determinant = aa * bb - ab * ab
    if bb > LARGEST_ERROR**2 * determinant:  # the variance of the merit is bb / determinant
        return None
    influence = [(bb * a - ab * b) / determinant for a, b in scores.values()]
    variance = math.fsum(i * i for i in influence) * len(scores) / (len(scores) - 1)
    value = sigmoid(merit)
    return Estimate(value, value * (1 - value) * math.sqrt(variance), len(scores))


def fit(wins: Sequence[float], lengths: Sequence[float]) -> tuple[float, float]:
    """The two coefficients of the regression, by Newton's method."""
    merit = slope = 0.0
    for _ in range(MAX_STEPS):
        rests = [w - sigmoid(merit + slope * x) for w, x in zip(wins, lengths, strict=True)]
        a = math.fsum(rests) - RIDGE * merit
        b = math.fsum(r * x for r, x in zip(rests, lengths, strict=True)) - RIDGE * slope
        aa, ab, bb = information(lengths, merit, slope)
        determinant = aa * bb - ab * ab
        step = ((bb * a - ab * b) / determinant, (aa * b - ab * a) / determinant)
        merit, slope = merit + step[0], slope + step[1]
        if max(map(abs, step)) < CLOSE:
            break
    return merit, slope


def information(lengths: Sequence[float], merit: float, slope: float) -> tuple[float, float, float]:
    """Minus the second derivatives of the penalised log-likelihood."""
    chances = [sigmoid(merit + slope * x) for x in lengths]
    weights = [p * (1 - p) for p in chances]
    aa = math.fsum(weights) + RIDGE
    ab = math.fsum(w * x for w, x in zip(weights, lengths, strict=True))
    bb = math.fsum(w * x * x for w, x in zip(weights, lengths, strict=True)) + RIDGE
    return aa, ab, bb
