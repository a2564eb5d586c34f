"""How a row wants to be judged: options, programs with tests, puzzles, or a plain answer."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aha.errors import UserError
from aha.tasks.sources.answers import gold_of_text, letter_of, options_of, with_options

PROGRAM_LANGUAGES = ("python", "python3", "c++", "cpp", "c", "java", "javascript", "js", "rust")
"""Values of a `language` column that are not the question's language."""
MAX_NUMBERS = 12
ASSERTS_ASKED = "Your program should pass these tests:"
_ROLE_LINE = re.compile(r"(?:^|\n)\s*\(1\)\s*\S+ is an? (?:knight|knave)\b")


@dataclass(frozen=True, slots=True)
class Parts:
    """What was found in a row, and the whole row beside it."""

    where: str
    question: str
    answer: Any
    options: Any
    tests: Any
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Form:
    """A question and its gold answer as they will be asked and judged."""

    question: str
    gold: str
    """Empty where tests or numbers say everything."""
    verifier: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    needs_gold: bool = True


def form_of(parts: Parts, verifier: str | None) -> Form:
    """The first form that the row has, or the one that `verifier` asks for."""
    finders = {
        "choice": _choice,
        "code": _program,
        "countdown": _countdown,
        "knights_knaves": _knights,
    }
    for name, find in finders.items():
        if verifier in (None, name) and (form := find(parts)) is not None:
            return form
    text = text_of(parts.answer)
    gold = text.strip() if verifier in ("exact", "code") else gold_of_text(text)
    return Form(parts.question, gold, verifier)


def text_of(value: Any) -> str:
    """A gold answer as text: of a list its items, of a bool its name, else nothing."""
    if isinstance(value, list | tuple):
        return ", ".join(text_of(item) for item in value)
    return str(value) if isinstance(value, str | int | float) else ""


def _choice(parts: Parts) -> Form | None:
    """Options below the question, and the letter of the right one."""
    options = options_of(parts.options)
    if options is None:
        return None
    meta = {"options": options}
    question = with_options(parts.question, options) if parts.question else ""
    if parts.answer is None or parts.answer == "":
        return Form(question, "", "choice", meta)
    labels = parts.options.get("label") if isinstance(parts.options, Mapping) else None
    letter = letter_of(parts.answer, options, labels)
    if letter is None:
        raise UserError(
            f"{parts.where}: the answer {parts.answer!r} is none of its {len(options)} options",
            hint="the right option's letter, its text, or its index from 0",
        )
    return Form(question, letter, "choice", meta)


def _program(parts: Parts) -> Form | None:
    """A program is asked for and there are tests for it; the gold is the reference program.

    Tests are given on as data sets have them: `{"input", "output"}` rows, `{"inputs", "outputs"}`,
    a list of asserts, or as `{"functional": ...}` a program that ends in asserts.
    """
    tests = _parsed(parts.tests)
    answer = parts.answer if isinstance(parts.answer, str) else ""
    entry, setup = parts.values.get("entry_point"), parts.values.get("test_setup_code")
    if isinstance(tests, str) and "assert" in tests:
        calls = f"\n\ncheck({entry})\n" if isinstance(entry, str) and "check(" in tests else ""
        tests = {"functional": tests + calls}
    if not tests or isinstance(tests, str):
        return None
    question = parts.question
    if asserts := _asserts(tests):
        question = "\n\n".join([question, ASSERTS_ASKED, "\n".join(asserts)]) if question else ""
        if isinstance(setup, str) and setup.strip():
            tests = {"functional": "\n".join([setup, *asserts])}
    if isinstance(entry, str) and answer.strip() and f"def {entry}" not in answer:
        answer = parts.question + answer  # HumanEval: the question is the program's beginning
    return Form(question, _fenced(answer), "code", {"tests": tests}, needs_gold=False)


def _parsed(tests: Any) -> Any:
    """Tests that are written as JSON text, read; other text as it is."""
    if isinstance(tests, str) and tests.lstrip().startswith(("{", "[")):
        try:
            return json.loads(tests)
        except (ValueError, RecursionError):
            return None
    return tests if isinstance(tests, str | Mapping | Sequence) else None


def _asserts(tests: Any) -> list[str]:
    """The tests where they are a list of assert lines."""
    lines = tests if isinstance(tests, Sequence) else ()
    return list(lines) if all(isinstance(line, str) for line in lines) else []


def _fenced(program: str) -> str:
    """A reference program as a reply would hold it."""
    if not program.strip() or "```" in program:
        return program
    return f"```\n{program.strip(chr(10))}\n```"


def _countdown(parts: Parts) -> Form | None:
    """Numbers and a target; the gold is an expression that makes it, where the row has one."""
    values = parts.values
    numbers, target = values.get("numbers", values.get("nums")), values.get("target")
    if not _are_whole(numbers) or not isinstance(target, int) or isinstance(target, bool):
        return None
    from aha.rewards.expression import verify_countdown

    candidates = [text_of(text) for text in (parts.answer, values.get("solution"))]
    right = (
        text for text in candidates if verify_countdown(text, numbers=numbers, target=target).score
    )
    question = parts.question or (
        f"Using each of the numbers {', '.join(map(str, numbers))} once and the operations +, -, * "
        f"and /, write an expression that equals {target}."
    )
    meta = {"numbers": list(numbers), "target": target}
    return Form(question, next(right, ""), "countdown", meta, needs_gold=False)


def _are_whole(value: Any) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return False
    whole = all(isinstance(n, int) and not isinstance(n, bool) for n in value)
    return whole and 1 < len(value) <= MAX_NUMBERS


def _knights(parts: Parts) -> Form | None:
    """Gold answers like "(1) Zoey is a knight"."""
    if not isinstance(parts.answer, str) or not _ROLE_LINE.search(parts.answer):
        return None
    return Form(parts.question, parts.answer.strip(), "knights_knaves")
