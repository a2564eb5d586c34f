"""Self-verification rounds: the model checks its answer and tries again until it is content.

Two ways to check. `reopen`: the last judgement in the model's own thinking counts. After a "wrong"
the thinking goes on with "Wait,"; after a "right" the answer stands; where it has judged nothing
the thinking goes on until the same answer comes out twice. This needs no model that follows
instructions. `ask`: the model is shown its answer and asked whether it is right; after a no it
tries anew (the self-evaluation of arXiv 2207.05221).
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from aha.chat.grammar import ANSWER_CLOSE, ANSWER_OPEN, drop_reasoning
from aha.evals.scaling.sampler import Chunk, Draft, Mark, Outcome, Sampler, stream_of
from aha.evals.scaling.thinking import (
    Line,
    extend_all,
    first_lines,
    outcomes,
    thought_of,
)

CHECK = (
    "{question}\n\nProposed answer: {answer}\n"
    "Check the proposed answer. Is it right? Answer with yes or no."
)
_REPLY = re.compile(r"\b(?:(yes|right|correct|true)|(no|wrong|incorrect|false))\b", re.IGNORECASE)
_JUDGED = re.compile(
    r"\b(?:(right|correct|verified)|(wrong|incorrect|not right|not correct))\b"
    r"|(\u6b63\u786e|\u6ca1\u9519)|(\u4e0d\u5bf9|\u4e0d\u6b63\u786e|\u9519\u8bef)",
    re.IGNORECASE,
)


def reopen(sampler: Sampler, chunk: Chunk, rounds: int) -> list[Outcome]:
    """Think on while the model is not content with its answer, at most so many times."""
    lines = first_lines(sampler, chunk)
    marks = _marks(sampler, lines)
    unsure = [i for i, line in enumerate(lines) if not _is_content(sampler, line)]
    for level in range(1, rounds + 1):
        longer = extend_all(sampler, [lines[i] for i in unsure], level)
        left = []
        for index, line, mark in zip(unsure, longer, _marks(sampler, longer), strict=True):
            stands = _is_content(sampler, line)
            if stands is None:
                stands = line == lines[index] or _agree(sampler, marks[index], mark)
            lines[index], marks[index] = line, mark
            if not stands:
                left.append(index)
        unsure = left
    return outcomes(sampler, chunk, lines, all_spent=True)


def _is_content(sampler: Sampler, line: Line) -> bool | None:
    """The model's own last judgement in the thinking."""
    body = thought_of(sampler, line).body
    return last_judgement(sampler.prompter.tokenizer.decode(body))


def last_judgement(thinking: str) -> bool | None:
    """Whether the last judgement in a text is that something is right; None without any."""
    last = None
    for last in _JUDGED.finditer(thinking):  # noqa: B007
        pass
    return None if last is None else bool(last[1] or last[3])


def ask(sampler: Sampler, chunk: Chunk, rounds: int) -> list[Outcome]:
    """Ask whether the answer is right, and take another response after a no."""
    lines = first_lines(sampler, chunk)
    open_lines = list(range(len(lines)))
    for level in range(1, rounds + 1):
        checks = _check(sampler, [lines[i] for i in open_lines], level)
        refused = []
        for index, check in zip(open_lines, checks, strict=True):
            lines[index] = replace(lines[index], spent=lines[index].spent + len(check.ids))
            if says_no(sampler.text(check)):
                refused.append(index)
        _try_again(sampler, lines, refused, level)
        open_lines = refused
    return outcomes(sampler, chunk, lines, all_spent=True)


def says_no(text: str) -> bool:
    """Whether the last judgement behind the thinking of a check is a no."""
    words = _REPLY.findall(drop_reasoning(text))
    return bool(words) and bool(words[-1][1])


def _check(sampler: Sampler, lines: Sequence[Line], level: int) -> list[Draft]:
    asked = []
    for line in lines:
        answer = drop_reasoning(sampler.text(line.draft))
        answer = answer.replace(ANSWER_OPEN, "").replace(ANSWER_CLOSE, "").strip()
        problem = line.question.problem
        text = CHECK.format(question=problem.question, answer=answer)
        asked.append((sampler.question(line.question.group, problem, text), Draft()))
    branches = [line.number for line in lines]
    groups = sampler.extend(asked, stream=stream_of("check", level), branches=branches)
    return [draft for (draft,) in groups]


def _try_again(sampler: Sampler, lines: list[Line], refused: Sequence[int], level: int) -> None:
    asked = [(lines[index].question, Draft()) for index in refused]
    branches = [lines[index].number for index in refused]
    groups = sampler.extend(asked, stream=stream_of("again", level), branches=branches)
    for index, (draft,) in zip(refused, groups, strict=True):
        spent = lines[index].spent + len(draft.ids)
        lines[index] = replace(lines[index], draft=draft, spent=spent)


def _marks(sampler: Sampler, lines: Sequence[Line]) -> list[Mark]:
    return sampler.marks([(line.question, line.draft) for line in lines])


def _agree(sampler: Sampler, before: Mark, after: Mark) -> bool:
    if before.answer is None or after.answer is None:
        return False
    return before.answer == after.answer or sampler.same_answer(before.answer, after.answer)
