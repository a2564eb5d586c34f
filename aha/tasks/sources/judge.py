"""The judgement on a response to a problem of a data set, by the verifier of its row."""

from typing import Any

from aha.errors import UserError, nearest
from aha.rewards.accuracy import verify_answer
from aha.rewards.answer import grade_row
from aha.rewards.verdict import Verdict
from aha.tasks.files import compare
from aha.tasks.task import Problem

VERIFIERS = ("math", "exact", "number", "choice", "code", "knights_knaves", "countdown")


def check_verifier(name: Any, where: str) -> None:
    """Raises UserError for a verifier that there is not."""
    if name not in VERIFIERS:
        near = nearest(str(name), VERIFIERS)
        hint = f"did you mean {near!r}?" if near else f"known: {', '.join(VERIFIERS)}"
        raise UserError(f"{where}: unknown verifier {name!r}", hint=hint)


def judge(problem: Problem, response: str) -> Verdict:
    """Judge the one answer block of a response by `problem.meta["verifier"]`.

    Without one the gold answer decides, as in `aha verify`. It may wait for other processes.
    """
    return verify_answer(response, lambda answer: _judge_answer(problem, answer))


def _judge_answer(problem: Problem, answer: str) -> Verdict:
    if problem.meta.get("verifier") is None:
        return compare(answer, problem.gold)
    return grade_row(_row(problem, answer))


def _row(problem: Problem, answer: str) -> dict[str, Any]:
    """As a row of `aha verify`; `meta` is where numbers and targets are looked for."""
    row: dict[str, Any] = {"gold": problem.gold, "prediction": answer, "meta": problem.meta}
    kind = problem.meta.get("verifier")
    if kind is not None:
        row["kind"] = kind
    if kind == "code":
        row["tests"] = problem.meta["tests"]
        row["language"] = problem.meta.get("program_language")
    return row
