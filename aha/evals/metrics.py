"""What an evaluation reports: pass@k, cons@k, and how sure one may be of a mean. No torch here.

pass@k: Chen et al., arXiv 2107.03374, equation 1. cons@k, the majority vote: arXiv 2203.11171, as
DeepSeek-R1 (2501.12948) reports it. G-Pass@k: Liu et al., 2412.13147. Standard errors and paired
differences: Miller, "Adding Error Bars to Evals", 2411.00640.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

THRESHOLD_SLACK = 1e-9
"""0.55 * 100 is 55.00000000000001 in floats, and asks for 55 right samples, not 56."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, its standard error, and the number of independent values (or clusters) behind it."""

    value: float
    stderr: float  # 0.0 when n is 1: nothing is known of the spread
    n: int


@dataclass(frozen=True, slots=True)
class Difference:
    """What one model is better by on the same problems."""

    value: float
    stderr: float
    p_value: float  # two-sided; of no difference at all
    n: int  # clusters


def pass_at_k(num_samples: int, num_correct: int, k: int) -> float:
    """Chance that one or more of k samples, drawn without replacement, are right; exact.

    Equation 1: 1 - C(n - c, k) / C(n, k). Raises ValueError unless 0 <= c <= n and 1 <= k <= n.
    """
    _check_counts(num_samples, num_correct, k)
    subsets = math.comb(num_samples, k)
    return (subsets - math.comb(num_samples - num_correct, k)) / subsets


def g_pass_at_k(num_samples: int, num_correct: int, k: int, threshold: float) -> float:
    """Chance that `threshold` of k samples drawn without replacement are right, or more; exact.

    The hypergeometric tail from ceil(threshold * k), arXiv 2412.13147. A threshold of 0 means its
    limit, one right sample, which makes it pass@k; 1 asks for all k. Raises ValueError unless
    0 <= threshold <= 1, 0 <= c <= n and 1 <= k <= n.
    """
    _check_counts(num_samples, num_correct, k)
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"threshold is {threshold}, not in 0..1")
    fewest = max(1, math.ceil(threshold * k - THRESHOLD_SLACK))
    return _at_least(num_samples, num_correct, k, fewest) / math.comb(num_samples, k)


def mg_pass_at_k(num_samples: int, num_correct: int, k: int) -> float:
    """Mean of G-Pass@k over the thresholds above one half: the area under it, times 2.

    mG-Pass@k of arXiv 2412.13147: 2 / k times the sum over i = ceil(k / 2) + 1 .. k of G-Pass@k at
    i / k. The sum has floor(k / 2) terms, so with an odd k even a model that is always right gets
    (k - 1) / k, and with k = 1 it is 0.
    """
    _check_counts(num_samples, num_correct, k)
    ways = sum(
        _at_least(num_samples, num_correct, k, fewest) for fewest in range((k + 1) // 2 + 1, k + 1)
    )
    return 2 * ways / (k * math.comb(num_samples, k))


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


def classes(answers: Sequence[str | None], same: Callable[[str, str], bool]) -> list[int | None]:
    """The class of each answer, for votes: 0, 1, ... in order of appearance; None stays None.

    An answer joins the first class whose first member it is the `same` as, which makes classes even
    of a relation that is not transitive. Equal strings are never compared twice.
    """
    members: list[str] = []
    known: dict[str, int] = {}
    for answer in answers:
        if answer is None or answer in known:
            continue
        found = (index for index, member in enumerate(members) if same(member, answer))
        known[answer] = next(found, len(members))
        if known[answer] == len(members):
            members.append(answer)
    return [None if answer is None else known[answer] for answer in answers]


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


def quotient_and_stderr(
    numerators: Sequence[float], denominators: Sequence[float], *, clusters: Sequence[Hashable]
) -> Estimate:
    """sum(numerators) / sum(denominators), as where instructions count and not prompts.

    The standard error is that of the linearised quotient (the delta method), clustered.
    """
    value = math.fsum(numerators) / math.fsum(denominators)
    mean = math.fsum(denominators) / len(denominators)
    residuals = [(x - value * y) / mean for x, y in zip(numerators, denominators, strict=True)]
    return Estimate(value, clustered_stderr(residuals, clusters), len(set(clusters)))


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


def paired_difference(
    a: Sequence[float], b: Sequence[float], *, clusters: Sequence[Hashable] | None = None
) -> Difference:
    """Mean of a - b over values that belong together, its standard error and its p-value.

    The paired analysis of arXiv 2411.00640: what both models find hard cancels, so the error is
    smaller than that of two means apart. Differs from the paper: Student's t with one degree of
    freedom fewer than clusters in place of the normal distribution, which is too sure of itself for
    the 30 problems of AIME. Where all clusters differ by the same amount there is no spread to
    judge by, and the p-value is that of the exact sign test: 1 without a difference, else
    2^(1 - n).
    """
    differences = [x - y for x, y in zip(a, b, strict=True)]
    mean = mean_and_stderr(differences, clusters=clusters)
    scale = max(map(abs, differences))
    if mean.stderr > 1e-12 * scale:
        p_value = t_tails(mean.value / mean.stderr, mean.n - 1)
    else:
        p_value = 1.0 if scale == 0.0 else 2.0 ** (1 - mean.n)
    return Difference(mean.value, mean.stderr, p_value, mean.n)


def t_tails(t: float, degrees: int) -> float:
    """Chance that Student's t is further from 0 than `t`, on either side.

    The regularised incomplete beta function I_x(degrees / 2, 1 / 2) at
    x = degrees / (degrees + t^2), NIST DLMF 8.17.
    """
    if degrees < 1:
        raise ValueError(f"degrees is {degrees}, less than 1")
    x = degrees / (degrees + t * t)
    return min(1.0, _incomplete_beta(x, degrees / 2, 0.5))


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


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), without overflow."""
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    small = math.exp(x)
    return small / (1.0 + small)


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


def _at_least(num_samples: int, num_correct: int, k: int, fewest: int) -> int:
    """How many subsets of k hold `fewest` right samples or more."""
    wrong = num_samples - num_correct
    return sum(
        math.comb(num_correct, right) * math.comb(wrong, k - right)
        for right in range(fewest, min(num_correct, k) + 1)
    )


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """I_x(a, b) for 0 <= x <= 1, by the continued fraction that converges fast on its side."""
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _incomplete_beta(1.0 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(log_front + a * math.log(x) + b * math.log1p(-x)) / a
    return front / _beta_fraction(x, a, b)


def _beta_fraction(x: float, a: float, b: float, terms: int = 200) -> float:
    """1 + d1 / (1 + d2 / (1 + ...)) of DLMF 8.17.22, from the inside out."""
    value = 1.0
    for m in range(terms, 0, -1):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        value = 1.0 + even / (1.0 + odd / value)
    return 1.0 - (a + b) * x / ((a + 1) * value)


def _check_counts(num_samples: int, num_correct: int, k: int) -> None:
    if not 0 <= num_correct <= num_samples:
        raise ValueError(f"num_correct is {num_correct}, not in 0..{num_samples}")
    _check_k(k, num_samples)


def _check_k(k: int, num_samples: int) -> None:
    if not 1 <= k <= num_samples:
        raise ValueError(f"k is {k}, not in 1..{num_samples}")
