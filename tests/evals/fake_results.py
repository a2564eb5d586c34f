"""Results of evaluations without a model: what each sample said is chosen by the test."""

import dataclasses

from aha.evals.figures import figures_of
from aha.evals.result import ProblemResult, Result, SampleResult

SETTINGS = {
    "template": "r1-zero",
    "instruction": "Put the answer into a box.",
    "temperature": 0.6,
    "top_p": 0.95,
    "max_new_tokens": 512,
    "samples": 4,
    "seed": 0,
    "num_problems": 2,
}


def sample(mark, *, answer="", text=None, tokens=40, figures=None):
    """A response: `1` right, `0` wrong with an answer, `-` without one, `u` not scored."""
    verdict = {"1": "correct", "0": "wrong", "-": "unparseable", "u": "timeout"}[mark]
    answer = answer or {"1": "42", "0": "41"}.get(mark)
    said = f"<think>Six times seven. Wait, check that: {answer}.</think>The answer is {answer}."
    return SampleResult(
        text=said if text is None else text,
        finish_reason="length" if mark == "-" else "stop",
        length_tokens=tokens,
        verdict=verdict,
        score=float(mark == "1"),
        extracted=answer,
        reason="" if mark == "1" else "not the gold answer",
        figures=figures or {},
    )


def problem(number, marks, **changes):
    """One problem with a response for each character of `marks`."""
    row = {
        "id": f"p/{number:03d}",
        "question": f"What is 6 x 7, asked for the {number}th time?",
        "gold": "42",
        "prompt": f"User: What is 6 x 7, asked for the {number}th time? Assistant: <think>",
        "samples": tuple(map(sample, marks)),
    }
    return ProblemResult(**{**row, **changes})


def result(marks, *, name="small-a", problems=None, settings=None, **changes):
    """A result whose figures are those of its samples; `marks` has a string for each problem."""
    problems = problems or tuple(problem(number, m) for number, m in enumerate(marks))
    samples = max(len(p.samples) for p in problems)
    counted = {"samples": samples, "num_problems": len(problems)}
    metric = changes.get("metric", "pass@1")
    made = Result(
        suite="gsm8k",
        metric=metric,
        model={"name": name, "reference": f"models/{name}", "sha256": None},
        settings={**SETTINGS, **counted, **(settings or {})},
        problems_sha256="a" * 64,
        prompts_sha256="b" * 64,
        engine={"name": "aha", "version": "0.3", "dtype": "float32"},
        versions={"python": "3.11", "aha-rl": "0.3", "math-verify": "0.8"},
        metrics=figures_of(problems, main=metric),
        problems=tuple(problems),
    )
    return dataclasses.replace(made, **changes)
