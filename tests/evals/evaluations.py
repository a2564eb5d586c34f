"""Small evaluations for tests: a task of letters, a tiny model, and results made by hand."""

from aha.evals.metrics import Estimate
from aha.evals.plan import EvalConfig
from aha.evals.result import ProblemResult, Result, SampleResult
from aha.pipeline.progress import Progress
from tests.trainers.tiny import tiny_folder

SILENT = Progress(enabled=False)
TASK = """
import time

import aha

LETTERS = "abcdefgh"
NUM_PROBLEMS, SECONDS = {num_problems}, {seconds}


class Letters(aha.Task):
    name = "letters"

    def problems(self, split):
        return [
            aha.Problem(id=f"letters/{{i}}", question=f"{{LETTERS[i % 8]}} {{i % 6}}", gold="a")
            for i in range(NUM_PROBLEMS)
        ]

    def score(self, problem, response):
        time.sleep(SECONDS)
        first = response.replace("<think></think><answer>", "").split("<")[0].split()[:1]
        if first and first[0] in {right!r}:
            return aha.Verdict.correct(first[0])
        return aha.Verdict.wrong(first[0] if first else "", "none of the right letters")


task = Letters()
"""


def letters_file(folder, *, num_problems=6, seconds=0.0, right="abcd", name="letters.py"):
    """A task whose first word has to be one of `right`; judging takes `seconds`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = TASK.format(num_problems=num_problems, seconds=seconds, right=right)
    (folder / name).write_text(text)
    return folder / name


def tiny_eval(folder, **values):
    """A config for a tiny model on the letters, both written into `folder`."""
    if not (folder / "model").exists():
        tiny_folder(folder / "model")
    if not (folder / "letters.py").exists():
        letters_file(folder)
    defaults = {
        "model": str(folder / "model"),
        "suite": str(folder / "letters.py"),
        "template": "none",
        "samples": 4,
        "max_new_tokens": 6,
        "temperature": 1.0,
        "top_p": 1.0,
        "ranks": 1,
    }
    return EvalConfig(**defaults | values)


def sampled(verdict, extracted=None, **values):
    """One response with a verdict: right, wrong, no answer, or no verdict at all."""
    defaults = {
        "text": f"it is {extracted}",
        "finish_reason": "stop",
        "length_tokens": 10,
        "score": float(verdict == "correct"),
    }
    return SampleResult(verdict=verdict, extracted=extracted, **defaults | values)


def problem(number, *samples):
    return ProblemResult(id=f"p/{number}", question=f"q{number}", gold="1", samples=tuple(samples))


def result(*problems, **values):
    """A result around problems made by hand."""
    defaults = {
        "suite": "letters",
        "metric": "pass@1",
        "model": {"name": "m", "reference": "m", "sha256": "0"},
        "settings": {"samples": 2, "seed": 0, "temperature": 0.6, "top_p": 0.95},
        "problems_sha256": "1",
        "prompts_sha256": "2",
        "engine": {"name": "aha", "version": "0", "dtype": "float32"},
        "versions": {"python": "3"},
        "metrics": {"pass@1": Estimate(0.5, 0.1, 2)},
        "source": {"suite": "letters", "data": None},
    }
    return Result(problems=tuple(problems), **defaults | values)
