"""Makes tests for a problem, and keeps those that tell right programs from wrong ones.

Two phases, as DeepSeek-R1's data of code problems was made (arXiv 2501.12948, supplementary B.3):
a model writes candidate tests, then (1) a test on which right programs disagree is dropped, since
its answer is not known or the input breaks the problem's rules, and (2) a test that no wrong
program fails is dropped, since it shows nothing. Differs from the paper: inputs also come from
generators and from small changes of given inputs, and where no wrong programs are given, right
ones with one changed operator take their place.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from aha.rewards.code.cases import CodeTests, Run
from aha.rewards.code.compare import same_output
from aha.rewards.code.extract import extract_program
from aha.rewards.code.mutate import mutate_input, mutate_operators
from aha.rewards.sandbox import Limits, run_python

GENERATOR_PROMPT = """\
Write a Python program that prints one random valid input for this problem. It is called with a \
seed as its only argument and must import random and call random.seed(int(sys.argv[1])). Small \
seeds give small inputs, large seeds edge cases and large inputs. Answer with one Python code \
block.

{problem}
"""
RUN_SECONDS = 5.0
MOST_INPUT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterReport:
    """The tests that stayed, and how many went in each phase."""

    tests: CodeTests
    num_candidates: int
    num_disagreed: int
    """Right programs disagreed, crashed or took too long."""
    num_weak: int
    """No wrong program failed."""
    num_caught: int
    """Wrong programs that at least one kept test fails."""
    num_wrong: int


def inputs_from_program(
    generator: str, *, num_inputs: int, timeout_seconds: float = RUN_SECONDS
) -> list[str]:
    """Inputs that a generator program prints, called in the sandbox with the seeds 1, 2, ...

    Runs that fail give no input.
    """
    limits = Limits(timeout_seconds=timeout_seconds, output_bytes=MOST_INPUT_BYTES)
    inputs = []
    for seed in range(1, num_inputs + 1):
        came = run_python(generator, argv=[str(seed)], limits=limits, prelude=True)
        if came.status == "ok" and came.stdout.strip():
            inputs.append(came.stdout.decode("utf-8", errors="replace"))
    return list(dict.fromkeys(inputs))


def inputs_from_model(
    ask: Callable[[str], str], problem: str, *, num_inputs: int, num_tries: int = 3
) -> list[str]:
    """Inputs of a generator that a language model writes; `ask` gives its reply to a prompt.

    Empty when no reply in `num_tries` held a generator that works.
    """
    for _ in range(num_tries):
        generator = extract_program(ask(GENERATOR_PROMPT.format(problem=problem)), "python")
        inputs = inputs_from_program(generator, num_inputs=num_inputs) if generator else []
        if inputs:
            return inputs
    return []


def inputs_near(given: Sequence[str], *, num_inputs: int, seed: int = 0) -> list[str]:
    """New inputs, each a given one with one to three small changes."""
    rng = random.Random(f"inputs/{seed}")
    found: dict[str, None] = {}
    for _ in range(10 * num_inputs if given else 0):
        text = rng.choice(given)
        for _ in range(rng.randint(1, 3)):
            text = mutate_input(text, rng)
        if text not in given:
            found[text] = None
        if len(found) == num_inputs:
            break
    return list(found)


def filter_tests(
    inputs: Iterable[str],
    *,
    correct: Sequence[str],
    wrong: Sequence[str] = (),
    timeout_seconds: float = RUN_SECONDS,
) -> FilterReport:
    """The two phases over candidate inputs, with Python programs known to be right and wrong.

    The expected output of a kept test is what the right programs print. Raises ValueError without
    a right program.
    """
    if not correct:
        raise ValueError("the two-phase filter needs at least one right program")
    wrong = list(wrong) or [mutant for program in correct for mutant in mutate_operators(program)]
    candidates = list(dict.fromkeys(inputs))
    agreed = [
        Run(text, output)
        for text in candidates
        if (output := agreed_output(text, correct, timeout_seconds)) is not None
    ]
    kept, caught = [], set[int]()
    for test in agreed:
        failing = {
            number
            for number, program in enumerate(wrong)
            if not _passes(program, test, timeout_seconds)
        }
        if failing:
            kept.append(test)
            caught |= failing
    return FilterReport(
        tests=CodeTests(runs=tuple(kept)),
        num_candidates=len(candidates),
        num_disagreed=len(candidates) - len(agreed),
        num_weak=len(agreed) - len(kept),
        num_caught=len(caught),
        num_wrong=len(wrong),
    )


def agreed_output(text: str, programs: Sequence[str], timeout_seconds: float) -> str | None:
    """What all programs print for an input; None when one fails or they disagree."""
    agreed: str | None = None
    for program in programs:
        output = _output(program, text, timeout_seconds)
        if output is None or (agreed is not None and not same_output(output, agreed)):
            return None
        agreed = output if agreed is None else agreed
    return agreed


def _output(program: str, text: str, timeout_seconds: float) -> str | None:
    limits = Limits(timeout_seconds=timeout_seconds)
    came = run_python(program, stdin=text.encode(errors="replace"), limits=limits, prelude=True)
    return came.stdout.decode("utf-8", errors="replace") if came.status == "ok" else None


def _passes(program: str, test: Run, timeout_seconds: float) -> bool:
    output = _output(program, test.input, timeout_seconds)
    return output is not None and same_output(output, test.output)
