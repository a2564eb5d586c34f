"""Budget forcing: thinking that is ended, or kept going, from outside (s1, arXiv 2501.19393).

To end it the closing tag is put behind the first N tokens of thinking, and the model answers; to
extend it the closing tag is taken away and "Wait," put in its place.

Differs from the paper: where the thinking has no tags (a model that was never taught any) the
answer is asked for in words.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from aha.chat.grammar import ANSWER_OPEN, THINK_CLOSE, THINK_OPEN
from aha.evals.scaling.sampler import Chunk, Draft, Outcome, Question, Sampler, stream_of
from aha.model.tokenizer import Tokenizer
from aha.rewards.response import ResponseForm

CUES = {"en": " Wait,", "zh": "\u7b49\u7b49\uff0c"}
"""What keeps a thought going, in the question's language."""
CLOSINGS: dict[ResponseForm, str] = {
    "think_answer": THINK_CLOSE + ANSWER_OPEN,
    "think": f"\n{THINK_CLOSE}\n\n",
}
ANSWER_CUE = "\n\nThe final answer is"
MOST_WAITS = 64
"""A response that stays below its budget in spite of them is left as it is."""


@dataclass(frozen=True, slots=True)
class Thought:
    """A response in three parts, as token ids without EOS."""

    head: tuple[int, ...]
    """Up to the end of the opening tag; empty where the prompt or nobody wrote one."""
    body: tuple[int, ...]
    """The thinking."""
    tail: tuple[int, ...]
    """The closing tag and what follows; empty where the thinking was never closed."""
    tagged: bool
    """There is an opening tag, in the response or at the end of the prompt."""


@dataclass(frozen=True, slots=True)
class Line:
    """A response under way: where it belongs and what has been dropped from it."""

    question: Question
    number: int
    """Which sample of its problem it continues."""
    draft: Draft
    spent: int
    """Tokens behind the prompt, those that were taken away again included."""


def split_thought(tokenizer: Tokenizer, ids: Sequence[int], *, opens_think: bool) -> Thought:
    """Cut a response (without EOS) at its tags, wherever tokens straddle them."""
    text = tokenizer.decode(ids)
    tagged = opens_think or text.lstrip().startswith(THINK_OPEN)
    start = 0 if opens_think or not tagged else _first_with(tokenizer, ids, THINK_OPEN)
    at = text.find(THINK_CLOSE)
    if at < 0:
        return Thought(tuple(ids[:start]), tuple(ids[start:]), (), tagged)
    end = _first_with(tokenizer, ids, THINK_CLOSE) - 1
    while end > start and not text[:at].startswith(tokenizer.decode(ids[:end])):
        end -= 1
    between = text[len(tokenizer.decode(ids[:end])) : at]
    body = (*ids[start:end], *(tokenizer.encode(between) if between else ()))
    tail = tokenizer.encode(text[at:]) if between else ids[end:]
    return Thought(tuple(ids[:start]), body, tuple(tail), tagged)


def _first_with(tokenizer: Tokenizer, ids: Sequence[int], tag: str) -> int:
    """The fewest tokens whose text holds the tag, by bisection."""
    low, high = 1, len(ids)
    while low < high:
        middle = (low + high) // 2
        if tag in tokenizer.decode(ids[:middle]):
            high = middle
        else:
            low = middle + 1
    return low


def budget(sampler: Sampler, chunk: Chunk, num_tokens: int) -> list[Outcome]:
    """At most so many tokens of thinking."""
    lines = cut_all(sampler, first_lines(sampler, chunk), num_tokens)
    return outcomes(sampler, chunk, lines)


def fill(sampler: Sampler, chunk: Chunk, num_tokens: int) -> list[Outcome]:
    """Just so many tokens of thinking: extended while it is shorter, then ended."""
    lines = first_lines(sampler, chunk)
    for level in range(1, MOST_WAITS + 1):
        longer = extend_all(sampler, lines, level, budget=num_tokens)
        if longer == lines:
            break
        lines = longer
    return outcomes(sampler, chunk, cut_all(sampler, lines, num_tokens))


def wait(sampler: Sampler, chunk: Chunk, times: int) -> list[Outcome]:
    """The end of the thinking replaced by "Wait," so many times."""
    lines = first_lines(sampler, chunk)
    for level in range(1, times + 1):
        lines = extend_all(sampler, lines, level)
    return outcomes(sampler, chunk, lines)


def first_lines(sampler: Sampler, chunk: Chunk) -> list[Line]:
    """The first responses of the pool."""
    return [
        Line(question, number, draft, len(draft.ids))
        for question, drafts in zip(chunk, sampler.pool(chunk), strict=True)
        for number, draft in enumerate(drafts[: sampler.settings.samples])
    ]


def thought_of(sampler: Sampler, line: Line) -> Thought:
    """The parts of a line's response."""
    ids = line.draft.ids[:-1] if line.draft.ended else line.draft.ids
    opens = line.question.opens_think
    return split_thought(sampler.prompter.tokenizer, ids, opens_think=opens)


def extend_all(
    sampler: Sampler,
    lines: Sequence[Line],
    level: int,
    *,
    budget: int | None = None,
) -> list[Line]:
    """The lines, those that have come to an end thinking on.

    budget: only those with fewer tokens of thinking; what lies far beyond it is not drawn.
    """
    tokenizer, needed = sampler.prompter.tokenizer, 0
    extended, going = list(lines), []
    for index, line in enumerate(lines):
        thought = thought_of(sampler, line)
        has_ended = bool(thought.tail) or line.draft.ended
        if not has_ended or (budget is not None and len(thought.body) >= budget):
            continue
        needed = max(needed, (budget or 0) - len(thought.body))
        kept = (*thought.head, *thought.body)
        cue = tokenizer.encode(_cue(line.question, tokenizer.decode(kept)))
        partial = replace(line.draft, ids=(*kept, *cue), ended=False)
        if sampler.room(line.question, partial) > 0:
            going.append((index, partial, len(cue)))
    drafts = sampler.extend(
        [(lines[index].question, partial) for index, partial, _ in going],
        stream=stream_of("wait", level),
        branches=[lines[index].number for index, _, _ in going],
        max_new_tokens=None if budget is None else needed + sampler.settings.answer_tokens,
    )
    for (index, partial, num_cue), (draft,) in zip(going, drafts, strict=True):
        spent = lines[index].spent + num_cue + len(draft.ids) - len(partial.ids)
        extended[index] = replace(lines[index], draft=draft, spent=spent)
    return extended


def _cue(question: Question, before: str) -> str:
    cue = CUES.get(question.problem.language, CUES["en"])
    return cue.lstrip() if not before or before[-1].isspace() else cue


def cut_all(sampler: Sampler, lines: Sequence[Line], num_tokens: int) -> list[Line]:
    """The lines with at most so many tokens of thinking each, and an answer."""
    settings, tokenizer = sampler.settings, sampler.prompter.tokenizer
    done, going = list(lines), []
    for index, line in enumerate(lines):
        thought = thought_of(sampler, line)
        closing = tokenizer.encode(CLOSINGS[sampler.form] if thought.tagged else ANSWER_CUE)
        behind = len(closing) + settings.answer_tokens
        room = sampler.engine.model.config.max_positions - len(line.question.prompt_ids) - behind
        allowed = max(0, min(num_tokens, room - len(thought.head)))
        is_over = bool(thought.tail) or (line.draft.ended and not thought.tagged)
        if is_over and len(thought.body) <= num_tokens:
            continue
        kept = (*thought.head, *thought.body[:allowed], *closing)
        going.append((index, replace(line.draft, ids=kept, ended=False)))
    drafts = sampler.answer(
        [(lines[index].question, partial) for index, partial in going],
        stream=stream_of("answer", num_tokens),
        branches=[lines[index].number for index, _ in going],
    )
    for (index, _), draft in zip(going, drafts, strict=True):
        done[index] = replace(lines[index], draft=draft, spent=len(draft.ids))
    return done


def outcomes(
    sampler: Sampler, chunk: Chunk, lines: Sequence[Line], *, all_spent: bool = False
) -> list[Outcome]:
    """Means over the lines of each problem.

    all_spent: count what was dropped too. Budget forcing takes the end of the thinking away before
    anything follows it, so its answers cost nothing until they stay.
    """
    marks = sampler.marks([(line.question, line.draft) for line in lines])
    size = sampler.settings.samples
    result = []
    for start in range(0, len(lines), size):
        own = lines[start : start + size]
        tokens = sum(line.spent if all_spent else len(line.draft.ids) for line in own) / len(own)
        score = sum(mark.correct for mark in marks[start : start + size]) / len(own)
        result.append(Outcome(tokens, score, sampler.text(own[0].draft)))
    assert len(result) == len(chunk)
    return result
