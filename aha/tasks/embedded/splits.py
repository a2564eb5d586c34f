"""Splits by hash: a problem's canonical key decides where it may be used."""

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from aha.tasks.task import Problem, Split

NUM_BUCKETS = 20
SPLIT_SIZES: dict[Split, int] = {"train": 4096, "validation": 256, "heldout": 512}
DRAWS_PER_PROBLEM = 100


def split_of(key: str) -> Split:
    """1 in 20 keys is held out, 1 in 20 is for validation, the rest may be trained on."""
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    bucket = int.from_bytes(digest, "big") % NUM_BUCKETS
    return {0: "heldout", 1: "validation"}.get(bucket, "train")  # type: ignore[return-value]


def stream(*names: object) -> random.Random:
    """A named random stream: the same names give the same numbers on every machine."""
    return random.Random("/".join(str(name) for name in names))


@dataclass(frozen=True, slots=True)
class Drawn:
    """A random problem, its canonical key and where it may be used (None: nowhere)."""

    key: str
    split: Split | None
    problem: Problem


@lru_cache(maxsize=64)
def collect_problems(
    task: str, split: Split, draw: Callable[[random.Random], Drawn]
) -> Sequence[Problem]:
    """The first distinct problems of a task's stream that fall into a split."""
    rng = stream("problems", task, split)
    found: dict[str, Problem] = {}
    draws_left = DRAWS_PER_PROBLEM * SPLIT_SIZES[split]
    while len(found) < SPLIT_SIZES[split] and draws_left:
        draws_left -= 1
        drawn = draw(rng)
        if drawn.split == split:
            found.setdefault(drawn.key, drawn.problem)
    return tuple(
        replace(problem, id=f"{task}/{split}/{index:06d}")
        for index, problem in enumerate(found.values())
    )
