"""Multiple choice, and BBH's short answers."""

import hashlib

from aha.evals.suites import prompts, subjects
from aha.evals.suites.entry import Entry, Row, renamed
from aha.evals.suites.graders import option_letter, short_text
from aha.evals.suites.suite import Protocol

_CHOICE = Protocol(instruction=prompts.CHOICE)


def _gpqa(row: Row) -> Row:
    """Four options in an order that the question decides: always the same, never the file's.

    A row that has options already is left as it is.
    """
    if "Question" not in row:
        return row
    right = str(row["Correct Answer"]).strip()
    others = [str(row[f"Incorrect Answer {i}"]).strip() for i in (1, 2, 3)]
    options = sorted([right, *others], key=lambda text: _digest(f"{row['Question']}\0{text}"))
    named = {"question": row["Question"], "options": options, "answer": options.index(right)}
    return {**named, "id": row.get("Record ID"), "subject": row.get("High-level domain")}


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _redux(row: Row) -> Row | None:
    """Only questions that the revision found no fault with."""
    return row if row.get("error_type", "ok") == "ok" else None


def _c_eval(row: Row) -> Row:
    if "A" not in row:
        return row
    rest = {key: value for key, value in row.items() if key not in "ABCD"}
    return {**rest, "options": [row[letter] for letter in "ABCD"], "language": "zh"}


KNOWLEDGE = (
    Entry(
        name="gpqa-diamond",
        description="Questions of biology, physics and chemistry that experts agree on",
        hub="Idavidrein/gpqa:gpqa_diamond@train",
        files=("gpqa",),
        licence="CC-BY-4.0; not to be published in plain text",
        adapt=_gpqa,
        grade=option_letter,
        needs=("options",),
        protocol=Protocol(instruction=prompts.CHOICE, samples=64),
        paper_samples=True,
    ),
    Entry(
        name="mmlu",
        description="57 subjects, four options, test split",
        hub="cais/mmlu:all@test",
        files=("mmlu_stem",),
        licence="MIT",
        grade=option_letter,
        needs=("options",),
        protocol=_CHOICE,
    ),
    Entry(
        name="mmlu-pro",
        description="14 fields, up to ten options, test split",
        hub="TIGER-Lab/MMLU-Pro@test",
        licence="MIT",
        grade=option_letter,
        needs=("options",),
        protocol=_CHOICE,
    ),
    Entry(
        name="mmlu-redux",
        description="MMLU-Redux 2.0: the questions of MMLU that were checked and found sound",
        hub="edinburgh-dawg/mmlu-redux-2.0@test",
        configs=subjects.MMLU,
        licence="CC-BY-4.0",
        adapt=_redux,
        grade=option_letter,
        needs=("options",),
        protocol=_CHOICE,
    ),
    Entry(
        name="aqua",
        description="AQuA-RAT: algebra with five options, test split",
        hub="deepmind/aqua_rat:raw@test",
        licence="Apache-2.0",
        adapt=renamed(answer="correct"),
        grade=option_letter,
        needs=("options",),
        protocol=_CHOICE,
    ),
    Entry(
        name="c-eval",
        description="52 subjects in Chinese, four options, validation split (test has no answers)",
        hub="ceval/ceval-exam@val",
        configs=subjects.C_EVAL,
        files=("ceval",),
        licence="CC-BY-NC-SA-4.0",
        adapt=_c_eval,
        grade=option_letter,
        needs=("options",),
        protocol=Protocol(instruction=prompts.CHOICE_ZH),
    ),
    Entry(
        name="bbh",
        description="BIG-Bench Hard: 27 tasks of logic, language and counting, zero-shot",
        hub="lukaemon/bbh@test",
        configs=subjects.BBH,
        licence="MIT",
        adapt=renamed(question="input", answer="target"),
        grade=short_text,
        protocol=Protocol(instruction=prompts.SHORT),
    ),
)
