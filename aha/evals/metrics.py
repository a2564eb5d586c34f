"""What an evaluation reports: pass@k, cons@k, and how sure one may be of a mean. No torch here.

pass@k: Chen et al., arXiv 2107.03374, equation 1. cons@k, the majority vote: arXiv 2203.11171, as
DeepSeek-R1 (2501.12948) reports it. Standard errors: Miller, "Adding Error Bars to Evals",
2411.00640.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, its standard error, and the number of independent values (or clusters) behind it."""

    value: float
    stderr: float  # 0.0 when n is 1: nothing is known of the spread
    n: int


def pass_at_k(num_samples: int, num_correct: int, k: int) -> float:
    """Chance that one or more of k samples, drawn without replacement, are right; exact.

    Equation 1: 1 - C(n - c, k) / C(n, k). Raises ValueError unless 0 <= c <= n and 1 <= k <= n.
    """
    if not 0 <= num_correct <= num_samples:
        raise ValueError(f"num_correct is {num_correct}, not in 0..{num_samples}")
    _check_k(k, num_samples)
    subsets = math.comb(num_samples, k)
    return (subsets - math.comb(num_samples - num_correct, k)) / subsets


def cons_at_k(answers: Sequence[object], *, gold: object, k: int) -> float:
    """Expected majority vote of k answers drawn without replacement: the chance that `gold` wins.

    Exact over all C(n, k) subsets: integers up to the last division. Answers are the same when they
    are ==. A tie for the most frequent answer counts as the fraction of the tied answers that are
    right. None is a sample without an answer; it takes a place among the k and abstains, because
    whoever takes the vote can see that it says nothing. A subset of nothing but None is wrong.
    """
    if gold is None:
        raise ValueError("gold is None, which stands for no answer")
    _check_k(k, len(answers))
    given = [answer for answer in answers if answer is not None]
    rivals = _count_equal([answer for answer in given if answer != gold])
    num_none = len(answers) - len(given)
    num_gold = len(given) - sum(rivals)
    shares = math.lcm(*range(1, len(rivals) + 2))  # turns every 1 / (1 + tied) into an integer
    won = 0
    for votes in range(1, min(num_gold, k) + 1):
        ways_T = _ways_by_tied(rivals, num_none, votes=votes, places=k - votes)
        shared = sum(ways * (shares // (1 + tied)) for tied, ways in enumerate(ways_T))
        won += math.comb(num_gold, votes) * shared
    return won / (shares * math.comb(len(answers), k))


def mean_and_stderr(
    values: Sequence[float], *, clusters: Sequence[Hashable] | None = None
) -> Estimate:
    """The mean with the standard error of independent values, or of values in `clusters`.

    With k samples a problem, name the problem of each value in `clusters`: the samples of a problem
    are not independent, and n is the number of problems.
    """
    if not values:
        raise ValueError("no values to take a mean of")
    units = range(len(values)) if clusters is None else clusters
    return Estimate(
        value=math.fsum(values) / len(values),
        stderr=clustered_stderr(values, units),
        n=len(set(units)),
    )


def clustered_stderr(values: Sequence[float], clusters: Sequence[Hashable]) -> float:
    """Standard error of the mean of `values` when those of one cluster go together.

    Differs from the paper: the factor C / (C - 1) for C clusters, with which it is the ordinary
    standard error when every cluster has one value, and that of the cluster means when all clusters
    are equally large. With one cluster it is 0.0.
    """
    mean = math.fsum(values) / len(values)
    sums: dict[Hashable, float] = {}
    for value, cluster in zip(values, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + (value - mean)
    if len(sums) < 2:
        return 0.0
    spread = math.fsum(deviation**2 for deviation in sums.values())
    return math.sqrt(spread * len(sums) / (len(sums) - 1)) / len(values)


def wilson_interval(
    num_samples: int, num_correct: int, *, z: float = 1.959964
) -> tuple[float, float]:
    """Wilson's interval of a proportion of independent samples; z = 1.96 is 95% confidence.

    Unlike mean +- z * stderr it stays in [0, 1] and has a width when none or all are right.
    """
    if num_samples < 1 or not 0 <= num_correct <= num_samples:
        raise ValueError(f"num_correct is {num_correct}, not in 0..{num_samples}, or no samples")
    p, n = num_correct / num_samples, num_samples
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if num_correct == 0 else centre - half
    high = 1.0 if num_correct == num_samples else centre + half
    return low, high


def _ways_by_tied(rivals: list[int], num_none: int, *, votes: int, places: int) -> list[int]:
    """Ways to fill `places` from rivals and None with no rival above `votes`, by rivals at `votes`.

    A product of polynomials whose powers count places: (1 + x)^num_none for None, and for a rival
    of size m the terms C(m, i) x^i, i <= votes. The term of i = votes leads one row on: row t of
    the table holds the ways with t rivals at `votes`.
    """
    table = [[math.comb(num_none, used) for used in range(places + 1)]]
    for size in rivals:
        below = [math.comb(size, taken) for taken in range(min(votes - 1, size, places) + 1)]
        grown = [_multiply(row, below) for row in table]
        if votes <= min(size, places):
            grown.append([0] * (places + 1))
            tie = math.comb(size, votes)
            for row, above in zip(table, grown[1:], strict=True):
                for used in range(places - votes + 1):
                    above[used + votes] += row[used] * tie
        table = grown
    return [row[places] for row in table]


def _multiply(row: list[int], factor: list[int]) -> list[int]:
    """The product of two polynomials, cut off at the length of `row`."""
    product = [0] * len(row)
    for power, coefficient in enumerate(row):
        if coefficient:
            for shift, times in enumerate(factor[: len(row) - power]):
                product[power + shift] += coefficient * times
    return product


def _count_equal(answers: list[object]) -> list[int]:
    """How often each different answer occurs, by == alone: an answer needs no hash."""
    kinds: list[object] = []
    counts: list[int] = []
    for answer in answers:
        if answer in kinds:
            counts[kinds.index(answer)] += 1
        else:
            kinds.append(answer)
            counts.append(1)
    return counts


def _check_k(k: int, num_samples: int) -> None:
    if not 1 <= k <= num_samples:
        raise ValueError(f"k is {k}, not in 1..{num_samples}")
