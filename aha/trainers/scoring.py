"""What one response earns, part by part. Needs no tensors, so that a red-team may ask before a run.

The parts are those of arXiv 2501.12948v2, Eq. 4 and 7 (accuracy, format, language), and the task's.
"""

from dataclasses import dataclass

from aha.chat.grammar import parse_response, parse_thinking
from aha.rewards.language import CONSISTENCY_LANGUAGES, language_consistency
from aha.rewards.response import ResponseForm, in_answer_tags, is_well_formed
from aha.rewards.verdict import Verdict
from aha.tasks.task import Judgement, Problem, Task

NOT_JUDGED = Verdict(kind="correct", score=0.0, reason="rules do not judge this prompt")


@dataclass(frozen=True, slots=True)
class Scored:
    """The judgement on a response, before weights."""

    verdict: Verdict
    rewards: dict[str, float]
    language_consistency: float | None
    """Share of the words of the thinking that are in the question's language; None: no words."""


def score_response(
    task: Task,
    problem: Problem,
    text: str,
    *,
    form: ResponseForm = "think_answer",
    prompt_opens_think: bool = False,
) -> Scored:
    """Every part of the reward of a whole response.

    A prompt without a right answer earns nothing for accuracy, and in R1's form a plain reply to it
    is well formed too: nobody has to think about a greeting.
    """
    opened = prompt_opens_think
    consistency = thinking_consistency(text, problem.language, form=form, prompt_opens_think=opened)
    judgement = Judgement(NOT_JUDGED)
    if task.checkable:
        judged = in_answer_tags(text, form, prompt_opens_think=opened)
        judgement = task.judge(problem, judged)
    well_formed = is_well_formed(text, form, prompt_opens_think=opened, must_think=task.checkable)
    rewards = {
        "accuracy": judgement.verdict.score,
        "format": float(well_formed),
        "language": 1.0 if consistency is None else consistency,
        **judgement.parts,
    }
    return Scored(judgement.verdict, rewards, consistency)


def thinking_consistency(
    text: str,
    language: str,
    *,
    form: ResponseForm = "think_answer",
    prompt_opens_think: bool = False,
) -> float | None:
    """Language consistency of the think block, or of the whole response where there is none."""
    if language not in CONSISTENCY_LANGUAGES:
        return None
    parse = parse_response if form == "think_answer" else parse_thinking
    think = parse(text, prompt_opens_think=prompt_opens_think).think
    return language_consistency(text if think is None else think, language)
