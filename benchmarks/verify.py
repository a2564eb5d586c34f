"""Answers judged a second: the verifier pool against math-verify called one answer at a time.

The answers are generated: numbers, fractions, roots, polynomials, sets, intervals, letters and
whole solutions, right and wrong; in the mixed set some are hostile (towers of powers, huge
factorials, deep LaTeX). Ours is `aha.rewards.math` in a pool of two workers with a time limit;
theirs is `math_verify.parse` and `verify` in one process with its own time-outs, which use signals.
Both have the same limit for an answer and take turns; figures are medians over the rounds.

    python benchmarks/verify.py [--answers 300] [--hostile 6] [--rounds 3] [--timeout 2]
"""

import argparse
import random
import statistics
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

if __package__ in (None, ""):  # started as a file: make `benchmarks` and `aha` importable
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import RESULTS, Worker, machine, publish, wait_for_turn

MODULE = "benchmarks.verify"
LIMIT = 2.0
"""Times that ours shall be faster."""
WORKERS = 2
SIDES = ("aha", "math-verify")
SETS = ("plain", "mixed")


class Answer(NamedTuple):
    """One reply with what it should be, and whether it is right."""

    gold: str
    prediction: str
    right: bool


def main() -> int:
    arguments = parse()
    if arguments.worker:
        work(arguments)
        return 0
    publish("verify", summary(arguments, measure(arguments)), dry=arguments.dry)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--answers", type=int, default=300, help="plain ones in a round")
    parser.add_argument("--hostile", type=int, default=6, help="beside them in the mixed set")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=2.0, help="seconds for one answer")
    parser.add_argument("--dry", action="store_true", help="print, write no result")
    parser.add_argument("--worker", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--set", choices=SETS, default="plain", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    return parser.parse_args()


def plain_answers(count: int, seed: int = 0) -> list[Answer]:
    """Everyday answers, half of them wrong."""
    rng = random.Random(f"answers/{seed}")
    return [_answer(rng, n % 2 == 0) for n in range(count)]


def hostile_answers(count: int) -> list[Answer]:
    """Answers that some verifiers work on for minutes; none is right."""
    texts = (
        "$9^{9^{9^{9}}}$",
        "$\\frac{(10^{7})!}{(10^{7}-3)!}$",
        "$" + "\\frac{1}{1+" * 60 + "x" + "}" * 60 + "$",
        "$\\sum_{k=1}^{10^{9}} \\frac{1}{k^{3}+k}$",
        "$\\int_0^{1} \\frac{x^{7}\\ln(1+x^{2})}{\\sqrt{1+x^{5}}} dx$",
        "$(x+y+z)^{400} - (x+y+z+1)^{400}$",
    )
    return [
        Answer("\\frac{x+1}{2}", f"The answer is {texts[n % len(texts)]}.", False)
        for n in range(count)
    ]


def answers_of(arguments: argparse.Namespace, which: str) -> list[Answer]:
    """The set of that name, in an order drawn once."""
    answers = plain_answers(arguments.answers)
    if which == "mixed":
        answers += hostile_answers(arguments.hostile)
    random.Random("order").shuffle(answers)
    return answers


def measure(arguments: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Answers a second by set and side, one figure a round."""
    speeds: dict[str, dict[str, list[float]]] = {}
    for which in SETS:
        count = len(answers_of(arguments, which))
        options = [
            *("--answers", str(arguments.answers), "--hostile", str(arguments.hostile)),
            *("--timeout", str(arguments.timeout), "--set", which),
        ]
        workers = {side: Worker(MODULE, *options, "--worker", side, threads=1) for side in SIDES}
        found = speeds.setdefault(which, {side: [] for side in SIDES})
        for _ in range(arguments.rounds):
            for side, worker in workers.items():
                found[side].append(count / worker.seconds())
        for worker in workers.values():
            worker.stop()
    return speeds


def summary(
    arguments: argparse.Namespace, speeds: dict[str, dict[str, list[float]]]
) -> dict[str, Any]:
    medians = {
        which: {s: statistics.median(v) for s, v in by.items()} for which, by in speeds.items()
    }
    ratios = {which: by["aha"] / by["math-verify"] for which, by in medians.items()}
    return {
        "ratios": {
            "verify_vs_math_verify": round(ratios["mixed"], 2),
            "verify_plain_vs_math_verify": round(ratios["plain"], 2),
            **sandbox_ratios(),
        },
        "limits": {"verify_vs_math_verify": LIMIT, "verify_plain_vs_math_verify": LIMIT},
        "answers_per_second": {
            which: {side: round(value, 1) for side, value in by.items()}
            for which, by in medians.items()
        },
        "agreement": agreement(arguments),
        "rounds": {
            which: {side: [round(value, 1) for value in values] for side, values in by.items()}
            for which, by in speeds.items()
        },
        "workload": {
            "plain_answers": arguments.answers,
            "hostile_answers": arguments.hostile,
            "timeout_seconds": arguments.timeout,
            "workers": WORKERS,
        },
        "machine": machine("math-verify", "sympy"),
    }


def sandbox_ratios() -> dict[str, float]:
    """Those of benchmarks/sandbox.py, where it has been run: one file says all of the verifiers."""
    import json

    path = RESULTS / "sandbox.json"
    return dict(json.loads(path.read_text())["ratios"]) if path.is_file() else {}


def agreement(arguments: argparse.Namespace) -> dict[str, float]:
    """Share of plain answers on which a side's verdict is the right one."""
    answers = answers_of(arguments, "plain")
    shares = {}
    for side in SIDES:
        judge = judge_of(side, arguments.timeout)
        verdicts = judge(answers)
        good = sum(v == answer.right for v, answer in zip(verdicts, answers, strict=True))
        shares[side] = round(good / len(answers), 4)
    return shares


def work(arguments: argparse.Namespace) -> None:
    """Warm up on some plain answers, then judge the whole set at every turn."""
    answers = answers_of(arguments, arguments.set)
    judge = judge_of(arguments.worker, arguments.timeout)
    judge(plain_answers(20, seed=1))
    while True:
        wait_for_turn()
        assert len(judge(answers)) == len(answers)


def judge_of(side: str, timeout_seconds: float) -> Callable[[list[Answer]], list[bool]]:
    """A function from answers to whether each is right."""
    return our_judge(timeout_seconds) if side == "aha" else their_judge(timeout_seconds)


def our_judge(timeout_seconds: float) -> Callable[[list[Answer]], list[bool]]:
    from aha.rewards.service import Call, VerifierPool

    pool = VerifierPool(num_workers=WORKERS, timeout_seconds=timeout_seconds)

    def judge(answers: list[Answer]) -> list[bool]:
        calls = (Call("aha.rewards.math:verify_here", (a.prediction, a.gold)) for a in answers)
        return [verdict.is_correct for verdict in pool.map(calls)]

    return judge


def their_judge(timeout_seconds: float) -> Callable[[list[Answer]], list[bool]]:
    import logging

    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)
    whole_seconds = max(1, round(timeout_seconds))

    def one(answer: Answer) -> bool:
        gold = parse(f"${answer.gold}$", parsing_timeout=whole_seconds)
        found = parse(answer.prediction, parsing_timeout=whole_seconds)
        return bool(verify(gold, found, timeout_seconds=whole_seconds))

    return lambda answers: [one(answer) for answer in answers]


def _answer(rng: random.Random, right: bool) -> Answer:
    kind = rng.choice(KINDS)
    gold, same, other = kind(rng)
    text = same if right else other
    said = rng.choice(("${}$", "The answer is ${}$.", "So we get $\\boxed{{{}}}$.", SOLUTION))
    return Answer(gold, said.format(text), right)


SOLUTION = (
    "First, note that the terms cancel in pairs, so $2 + 3 = 5$ of them are left.\n\n"
    "Therefore $x = 17$ is not possible, and what remains is easy to add up.\n\n"
    * 6
    + "The final answer is $\\boxed{{{}}}$."
)


def _number(rng: random.Random) -> tuple[str, str, str]:
    value = rng.randint(1_000, 99_999)
    return str(value), f"{value:,}", str(value + rng.randint(1, 9))


def _fraction(rng: random.Random) -> tuple[str, str, str]:
    value, factor = Fraction(rng.randint(1, 40), rng.randint(2, 40)), rng.randint(2, 5)
    same = f"\\frac{{{value.numerator * factor}}}{{{value.denominator * factor}}}"
    gold = f"\\frac{{{value.numerator}}}{{{value.denominator}}}"
    return gold, same, f"\\frac{{{value.numerator + 1}}}{{{value.denominator}}}"


def _root(rng: random.Random) -> tuple[str, str, str]:
    factor, radicand = rng.randint(2, 9), rng.choice((2, 3, 5, 6, 7))
    gold = f"{factor}\\sqrt{{{radicand}}}"
    return gold, f"\\sqrt{{{factor * factor * radicand}}}", f"\\sqrt{{{factor * radicand}}}"


def _polynomial(rng: random.Random) -> tuple[str, str, str]:
    a, b = rng.randint(2, 9), rng.randint(2, 9)
    return f"x^2+{a + b}x+{a * b}", f"(x+{a})(x+{b})", f"(x+{a})(x+{b + 1})"


def _set(rng: random.Random) -> tuple[str, str, str]:
    values = rng.sample(range(1, 30), 3)
    gold, same = (", ".join(map(str, v)) for v in (values, values[::-1]))
    return f"\\{{{gold}\\}}", f"\\{{{same}\\}}", f"\\{{{values[0]}, {values[1]}\\}}"


def _interval(rng: random.Random) -> tuple[str, str, str]:
    low, high = rng.randint(-9, 0), rng.randint(1, 9)
    return f"({low}, {high}]", f"\\left({low}, {high}\\right]", f"({low}, {high})"


def _angle(rng: random.Random) -> tuple[str, str, str]:
    parts = rng.randint(2, 12)
    return f"\\frac{{\\pi}}{{{parts}}}", f"\\pi/{parts}", f"\\frac{{\\pi}}{{{parts + 1}}}"


KINDS = (_number, _fraction, _root, _polynomial, _set, _interval, _angle)

if __name__ == "__main__":
    sys.exit(main())
