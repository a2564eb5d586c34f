"""From easy to hard: training problems in bands of measured difficulty.

A problem's difficulty is the share of a model's samples that solved it (`meta["pass_rate"]`,
measured by `aha.data.pass_rate`). The order is a function of the seed, the epoch and the problems,
so a place in it is all that a resumed run needs.
"""

import random
from collections.abc import Sequence

from aha.tasks.sources.measured import PASS_RATE
from aha.tasks.task import Problem


def easy_to_hard(problems: Sequence[Problem], bands: int, rng: random.Random) -> list[Problem]:
    """All problems, the band of the highest pass rates first, shuffled within each band.

    Bands divide the range of pass rates evenly: of 4, the first are those solved more than 3 times
    in 4. Problems without a pass rate come last.
    """
    order = list(problems)
    rng.shuffle(order)
    return sorted(order, key=lambda problem: band_of(problem, bands))


def band_of(problem: Problem, bands: int) -> int:
    """0 for the easiest; `bands` for a problem that was not measured."""
    rate = problem.meta.get(PASS_RATE)
    if not isinstance(rate, int | float):
        return bands
    return min(bands - 1, int((1.0 - rate) * bands))
