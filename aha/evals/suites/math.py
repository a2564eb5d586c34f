"""Competition and school mathematics: a final answer in a box, compared by value."""

from dataclasses import replace

from aha.evals.suites import prompts
from aha.evals.suites.entry import Adapt, Entry, Row, renamed
from aha.evals.suites.graders import lenient, math_answer, same_math
from aha.evals.suites.suite import Protocol

_ASKED = Protocol(instruction=prompts.MATH)
MAA = "problems (c) MAA"


def _math(samples: int = 4, *, instruction: str = prompts.MATH, **said: object) -> Entry:
    return Entry(
        protocol=replace(_ASKED, samples=samples, instruction=instruction),
        grade=math_answer,
        figures=lenient,
        same_answer=same_math,
        **said,  # type: ignore[arg-type]
    )


def _olympiad(row: Row) -> Row:
    """Of a list of answers all are wanted; `error` is the tolerance."""
    answers = row.get("final_answer")
    given = row.get("answer")
    gold = given if isinstance(given, str) else ", ".join(map(str, answers or ()))
    return {**row, "answer": gold.strip().strip("$")}


def _in(language: str) -> Adapt:
    """OlymMATH's rows of one language, whose ids say it too."""

    def adapt(row: Row) -> Row | None:
        own = str(row.get("lang") or row.get("unique_id") or language).lower()
        return renamed(id="unique_id")(row) if language in own else None

    return adapt


MATH = (
    _math(
        64,
        name="aime-2024",
        description="American Invitational Mathematics Examination 2024, both papers",
        hub="HuggingFaceH4/aime_2024@train",
        files=("aime24",),
        licence=MAA,
        paper_samples=True,
    ),
    _math(
        64,
        name="aime-2025",
        description="American Invitational Mathematics Examination 2025, both papers",
        hub="math-ai/aime25@test",
        files=("aime25",),
        licence=MAA,
        paper_samples=True,
    ),
    _math(
        16,
        name="amc",
        description="American Mathematics Competition 12 of 2023, without the options",
        hub="math-ai/amc23@test",
        files=("amc23",),
        licence=MAA,
    ),
    _math(
        16,
        name="hmmt",
        description="Harvard-MIT Mathematics Tournament, February 2025 on the hub",
        hub="MathArena/hmmt_feb_2025@train",
        files=("hmmt_24_25",),
        licence="problems (c) HMMT; CC-BY-NC-SA-4.0 on the hub",
        adapt=renamed(id="problem_idx"),
    ),
    _math(
        16,
        name="cnmo-2024",
        description="Chinese National High School Mathematics Olympiad 2024, in English",
        hub="opencompass/LiveMathBench:v202412_CNMO_en@test",
        files=("cnmo2024",),
        licence="see the hub",
    ),
    _math(
        16,
        name="math-500",
        description="500 test problems of MATH, as chosen for PRM800K",
        hub="HuggingFaceH4/MATH-500@test",
        files=("math500",),
        licence="MIT; problems (c) AoPS",
        paper_samples=True,
    ),
    _math(
        4,
        name="gsm8k",
        description="Word problems of primary school, test split",
        hub="openai/gsm8k:main@test",
        licence="MIT",
    ),
    _math(
        4,
        name="olympiadbench",
        description="Open-ended olympiad problems in English, text only",
        hub="Hothan/OlympiadBench:OE_TO_maths_en_COMP@train",
        files=("olympiadbench_en",),
        licence="Apache-2.0",
        adapt=_olympiad,
    ),
    _math(
        16,
        name="olymmath",
        description="OlymMATH in English, easy and hard",
        hub="RUC-AIBOX/OlymMATH@test",
        configs=("en-easy", "en-hard"),
        licence="MIT",
        adapt=_in("en"),
    ),
    _math(
        16,
        name="olymmath-zh",
        description="OlymMATH in Chinese, easy and hard",
        hub="RUC-AIBOX/OlymMATH@test",
        configs=("zh-easy", "zh-hard"),
        files=("olymmath",),
        licence="MIT",
        adapt=_in("zh"),
        instruction=prompts.MATH_ZH,
    ),
    _math(
        4,
        name="cmath",
        description="Chinese word problems of primary school",
        hub="weitianwen/cmath@test",
        files=("cmath_zh",),
        licence="CC-BY-4.0",
        adapt=renamed(answer="golden"),
        instruction=prompts.MATH_ZH,
    ),
)
