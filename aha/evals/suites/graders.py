"""Graders by rules: mathematics, options, short texts, programs, puzzles."""

import re
from collections.abc import Mapping

from aha.evals.suites.entry import Grade
from aha.evals.suites.reply import answer_line, visible
from aha.rewards.accuracy import verify_exact
from aha.rewards.answer import CODE_SECONDS, TEST_CONTEXT, TEST_SECONDS
from aha.rewards.logic import PUZZLES, verify_puzzle
from aha.rewards.verdict import Verdict
from aha.tasks.sources.answers import LETTERS
from aha.tasks.task import Problem

_DROPPED = re.compile(r"[\s,;.'\"`*$]+")
_TEXT_COMMAND = re.compile(r"\\(?:text|mathrm|textbf)\s*\{([^{}]*)\}")
_OPTION_GOLD = re.compile(r"\(([A-Z])\)")


def math_answer(problem: Problem, response: str) -> Verdict:
    """The answer in a box, after #### or an answer phrase, as `aha.rewards.math` compares it."""
    from aha.rewards import math

    return math.verify(response, problem.gold, tolerance=_tolerance(problem), marked_only=True)


def lenient(problem: Problem, response: str, verdict: Verdict) -> Mapping[str, float]:
    """`lenient`: where nothing marks an answer, the reply's last formula or number counts."""
    if not verdict.is_scored:
        return {}
    if verdict.kind == "unparseable":
        from aha.rewards import math

        verdict = math.verify(response, problem.gold, tolerance=_tolerance(problem))
    return {"lenient": verdict.score}


def same_math(left: str, right: str) -> bool:
    """Whether two extracted answers are one value; undecided ones only when spelled alike."""
    from aha.rewards.math.judge import Undecided, judge_answer, prepare_gold

    if left.strip() == right.strip():
        return True
    try:
        return judge_answer(left, prepare_gold(right)).is_correct
    except Undecided:
        return False


def _tolerance(problem: Problem) -> float | None:
    """The absolute error that the row allows (OlympiadBench's column `error`)."""
    try:
        return float(problem.meta.get("error") or "")
    except (TypeError, ValueError):
        return None


def option_letter(problem: Problem, response: str) -> Verdict:
    """The one letter that the reply decides on."""
    return _letter(response, problem.gold, len(problem.meta.get("options", ())) or len(LETTERS))


def _letter(response: str, gold: str, num_options: int) -> Verdict:
    from aha.rewards.math import extract_choice

    letter = extract_choice(response, LETTERS[:num_options])
    if letter is None:
        return Verdict.unparseable("no single option letter")
    if letter != gold:
        return Verdict.wrong(letter, f"{letter} is not {gold}")
    return Verdict.correct(letter)


def short_text(problem: Problem, response: str) -> Verdict:
    """The text after "Answer:" (else in a box), but for case, spaces and punctuation.

    Gold answers like (B) are options. Of words in order (`a b c`) commas between them are no harm.
    """
    if option := _OPTION_GOLD.fullmatch(problem.gold.strip()):
        return _letter(response, option[1], len(LETTERS))
    answer = answer_line(response) or _boxed(response)
    if answer is None:
        return Verdict.unparseable("no line that begins with Answer:")
    if _plain(answer) != _plain(problem.gold):
        return Verdict.wrong(answer, "not the gold answer")
    return Verdict.correct(answer)


def _boxed(response: str) -> str | None:
    from aha.rewards.math import extract
    from aha.rewards.math.extraction import MARKED

    found = extract(response)
    return found.text if found and found.where in MARKED else None


def _plain(text: str) -> str:
    r"""Without a box, \text, case, spaces and punctuation; brackets may be the answer."""
    boxed = re.fullmatch(r"\$*\\boxed\s*\{(.*)\}\$*\.?", text.strip(), re.DOTALL)
    text = _TEXT_COMMAND.sub(r"\1", boxed[1] if boxed else text)
    return _DROPPED.sub("", text).casefold()


def program(problem: Problem, response: str) -> Verdict:
    """The program in the reply, run against the row's tests in the sandbox."""
    from aha.rewards import code

    meta = problem.meta
    context = {name: meta[name] for name in TEST_CONTEXT if meta.get(name) is not None}
    context.setdefault("prompt", problem.question)  # HumanEval: imports and helpers are in it
    language = meta.get("program_language")
    if language is None and not _is_stdin(meta["tests"]):
        language = "python"
    seconds = _seconds(meta)
    return code.verify(response, meta["tests"], language=language, timeout_seconds=seconds,
                       **context)  # fmt: skip


def _is_stdin(tests: object) -> bool:
    rows = tests if isinstance(tests, list) else []
    return all(isinstance(row, Mapping) and not row.get("fn_name") for row in rows) and bool(rows)


def _seconds(meta: Mapping[str, object]) -> float:
    """One test's limit: twice the row's own (Python is slow), at least the usual one."""
    own = meta.get("time_limit")
    given = float(own) if isinstance(own, int | float) and not isinstance(own, bool) else 0.0
    return min(max(TEST_SECONDS, 2 * given), CODE_SECONDS)


def puzzle(kind: str) -> Grade:
    """The grader of a puzzle of `aha.rewards.logic`, by rules and not by the gold answer."""

    def grade(problem: Problem, response: str) -> Verdict:
        if not visible(response):
            return Verdict.unparseable("nothing behind the reasoning")
        return verify_puzzle(response, kind, {"answer": problem.gold, **problem.meta})

    return grade


def own_row(problem: Problem, response: str) -> Verdict:
    """A row of a file of one's own: by its `verifier`, else by its gold answer."""
    kind = problem.meta.get("verifier")
    if kind == "exact":
        return verify_exact(visible(response), problem.gold)
    if kind in PUZZLES:
        return puzzle(kind)(problem, response)
    by_kind: dict[object, Grade] = {"code": program, "choice": option_letter}
    return by_kind.get(kind, math_answer)(problem, response)
