"""What reflection causes: its words forbidden at decoding, or forced behind a finished thought.

Four arms, compared on the same responses:

    free        responses as they are
    forbidden   the same random numbers, and no token that holds a reflection word can be drawn;
                the two are equal up to the first such token
    resumed     each finished thought is cut off before its closing tag and sampled on from there
    forced      the same with "Wait," behind the thought, so that it is looked at once more

forced - resumed is what the word does; resumed alone says what a second draw of the end is worth.
The cue is that of budget forcing (s1, arXiv 2501.19393), as `aha.evals.scaling.thinking` uses it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, Literal, get_args

from pydantic import Field

from aha.config import Config
from aha.engine.engine import Engine
from aha.engine.types import SamplingParams
from aha.evals.emergence.detectors import find_behaviours
from aha.evals.metrics import mean_and_stderr, paired_difference
from aha.evals.scaling.journal import Journal
from aha.evals.scaling.sampler import Draft, Question, Sampler, stream_of
from aha.evals.scaling.thinking import CUES, split_thought
from aha.evals.stage import reflection_tokens
from aha.evals.suites.suite import Suite
from aha.model.hf_folder import LoadedModel
from aha.rewards.reflection import count_reflection_words
from aha.tasks.task import Problem
from aha.trainers.rollout_config import Dtype
from aha.trainers.rollouts import Prompter

Arm = Literal["free", "forbidden", "resumed", "forced"]
ARMS: tuple[Arm, ...] = get_args(Arm)
COMPARED: tuple[tuple[Arm, Arm], ...] = (
    ("forbidden", "free"),
    ("resumed", "free"),
    ("forced", "resumed"),
    ("forced", "free"),
)
CHUNK_PROBLEMS = 32
SHOWN = 3
"""Responses of each kind that are kept for reading."""
Row = dict[str, Any]


class CausalConfig(Config):
    """How the arms are sampled; what is None is as the suite's protocol, or the model, has it."""

    suite: str = Field(min_length=1, description="name of a suite or of a task, or a file")
    data: str | None = Field(None, description="the suite's JSONL file, or the folder with it")
    problems: int = Field(128, ge=1, le=1_000_000, description="the first so many")
    samples: int = Field(4, ge=1, le=4_096, description="responses to each problem")
    template: str | None = Field(None, min_length=1, description="prompt template, or a file")
    temperature: float | None = Field(None, gt=0, le=10, description="of sampling")
    top_p: float | None = Field(None, gt=0, le=1, description="probability mass sampled from")
    max_new_tokens: int | None = Field(None, ge=1, le=1_048_576, description="of a response")
    seed: int = Field(0, ge=0, lt=2**32, description="of the responses")
    cue: str | None = Field(
        None, description="put behind a finished thought; none: Wait, in the question's language"
    )
    dtype: Dtype = Field("float32", description="of weights and activations")


def measure(
    loaded: LoadedModel,
    suite: Suite,
    config: CausalConfig,
    journal: Journal,
    note: Callable[[str], None] = lambda text: None,
) -> Row:
    """All arms on a suite's problems, as JSON. Finished chunks are in the journal.

    config: resolved, without a None but for `data` and `cue`.
    """
    problems = list(enumerate(suite.task.problems("heldout")[: config.problems]))
    sampler = sampler_of(loaded, suite, config, journal)
    forbidden = reflection_tokens(loaded.tokenizer)
    rows: list[Row] = []
    for start in range(0, len(problems), CHUNK_PROBLEMS):
        chunk, key = problems[start : start + CHUNK_PROBLEMS], str(start)
        done = journal.get(key)
        if done is None:
            done = measure_chunk(sampler, chunk, config, forbidden)
            journal.put(key, done)
        rows += done
        note(f"{start + len(chunk)}/{len(problems)} problems")
    return summarise_arms(rows)


def sampler_of(
    loaded: LoadedModel, suite: Suite, config: CausalConfig, journal: Journal
) -> Sampler:
    """Draws responses as a resolved config says."""
    assert config.template is not None and config.temperature is not None
    assert config.top_p is not None and config.max_new_tokens is not None
    return Sampler(
        engine=Engine(loaded.model, loaded.tokenizer, seed=config.seed),
        prompter=Prompter(config.template, loaded.tokenizer),
        suite=suite,
        params=SamplingParams(
            temperature=config.temperature,
            top_p=config.top_p,
            max_new_tokens=config.max_new_tokens,
        ),
        journal=journal,
    )


def measure_chunk(
    sampler: Sampler,
    chunk: Sequence[tuple[int, Problem]],
    config: CausalConfig,
    forbidden: tuple[int, ...],
) -> list[Row]:
    """A row a response: `problem`, `sample`, and under each arm what came of it."""
    questions = [sampler.question(group, problem) for group, problem in chunk]
    without = replace(sampler, params=replace(sampler.params, forbidden_token_ids=forbidden))
    rows: list[Row] = []
    drafts: list[tuple[Question, Draft]] = []
    for question, group in zip(questions, drawn(sampler, questions, config.samples), strict=True):
        for number, draft in enumerate(group):
            rows.append({"problem": question.problem.id, "sample": number})
            drafts.append((question, draft))
    barred = [draft for group in drawn(without, questions, config.samples) for draft in group]
    _grade(sampler, rows, drafts, "free")
    pairs = zip(drafts, barred, strict=True)
    _grade(sampler, rows, [(question, draft) for (question, _), draft in pairs], "forbidden")
    _go_on(sampler, rows, drafts, config.cue)
    return rows


def drawn(sampler: Sampler, questions: Sequence[Question], samples: int) -> list[list[Draft]]:
    """Plain responses: those of an evaluation with the same seed."""
    start = [(question, Draft()) for question in questions]
    return sampler.extend(start, stream=0, branches=[0] * len(start), num=samples)


def _go_on(
    sampler: Sampler,
    rows: Sequence[Row],
    drafts: Sequence[tuple[Question, Draft]],
    cue: str | None,
) -> None:
    """Fill in the arms `resumed` and `forced`, for responses whose thought is over."""
    tokenizer = sampler.prompter.tokenizer
    going = []
    for row, (question, draft) in zip(rows, drafts, strict=True):
        ids = draft.ids[:-1] if draft.ended else draft.ids
        thought = split_thought(tokenizer, ids, opens_think=question.opens_think)
        if thought.tail and tokenizer.decode(thought.body).strip():
            said = CUES.get(question.problem.language, CUES["en"]) if cue is None else cue
            kept = (*thought.head, *thought.body)
            row["checked"] = ends_in_a_check(tokenizer.decode(thought.body))
            going.append((row, question, kept, (*kept, *tokenizer.encode(said))))
    questions = [question for _, question, *_ in going]
    for arm, starts in (
        ("resumed", [kept for *_, kept, _ in going]),
        ("forced", [longer for *_, longer in going]),
    ):
        partial = [(q, Draft(ids=ids)) for q, ids in zip(questions, starts, strict=True)]
        branches = [row["sample"] for row, *_ in going]
        longer = sampler.extend(partial, stream=stream_of("emergence"), branches=branches)
        ended = [(q, draft) for q, (draft,) in zip(questions, longer, strict=True)]
        _grade(sampler, [row for row, *_ in going], ended, arm)


def ends_in_a_check(thought: str) -> bool:
    """Whether the last sentence of a thought verifies something, so that a look is a second one."""
    text = thought.rstrip()
    checks = (found for found in find_behaviours(text) if found.behaviour == "verification")
    return any(found.end >= len(text) - 1 for found in checks)


def _grade(
    sampler: Sampler, rows: Sequence[Row], drafts: Sequence[tuple[Question, Draft]], arm: str
) -> None:
    marks = sampler.marks(drafts)
    for row, (_, draft), mark in zip(rows, drafts, marks, strict=True):
        text = sampler.text(draft)
        row[arm] = {
            "correct": mark.correct,
            "length_tokens": len(draft.ids),
            "reflection": count_reflection_words(text),
            "truncated": not draft.ended,
            "text": text,
        }


def summarise_arms(rows: Sequence[Row]) -> Row:
    """Every arm, every difference of two, and what forcing did to right and wrong responses."""
    return {
        "arms": {arm: _arm([row for row in rows if arm in row], arm) for arm in ARMS},
        "differences": {
            f"{one} - {other}": _difference(rows, one, other) for one, other in COMPARED
        },
        "forced - resumed, the thought": {
            "ends in a check": _forced_where(rows, checked=True),
            "ends without": _forced_where(rows, checked=False),
        },
        "forced": _moves(rows),
    }


def _arm(rows: Sequence[Row], arm: str) -> Row | None:
    if not rows:
        return None
    return {
        "pass@1": _mean(rows, _correct_in(arm)),
        "length_tokens": _mean(rows, lambda row: float(row[arm]["length_tokens"])),
        "reflection": _mean(rows, lambda row: float(row[arm]["reflection"])),
        "truncated": _mean(rows, lambda row: float(row[arm]["truncated"])),
    }


def _difference(rows: Sequence[Row], one: str, other: str) -> Row | None:
    """one minus other over the responses that have both, clustered by problem."""
    both = [row for row in rows if one in row and other in row]
    if not both:
        return None
    clusters = [row["problem"] for row in both]

    def of(key: str) -> Row:
        values = [[float(row[arm][key]) for row in both] for arm in (one, other)]
        return asdict(paired_difference(*values, clusters=clusters))

    return {
        "pass@1": of("correct"),
        "length_tokens": of("length_tokens"),
        "responses": len(both),
        "changed": sum(row[one]["text"] != row[other]["text"] for row in both) / len(both),
    }


def _forced_where(rows: Sequence[Row], *, checked: bool) -> Row | None:
    return _difference([row for row in rows if row.get("checked") is checked], "forced", "resumed")


def _moves(rows: Sequence[Row]) -> Row:
    """Of wrong responses how many become right, of right ones how many stay so."""
    both = [row for row in rows if "forced" in row]
    wrong = [row for row in both if not row["free"]["correct"]]
    right = [row for row in both if row["free"]["correct"]]
    fixed = [row for row in wrong if row["forced"]["correct"]]
    broken = [row for row in right if not row["forced"]["correct"]]
    return {
        "wrong_made_right": {arm: _mean(wrong, _correct_in(arm)) for arm in ("forced", "resumed")},
        "right_kept": {arm: _mean(right, _correct_in(arm)) for arm in ("forced", "resumed")},
        "examples": [*_examples(fixed, "fixed"), *_examples(broken, "broken")],
    }


def _correct_in(arm: str) -> Callable[[Row], float]:
    return lambda row: float(row[arm]["correct"])


def _examples(rows: Sequence[Row], kind: str) -> Iterator[Row]:
    for row in rows[:SHOWN]:
        texts = {arm: row[arm]["text"] for arm in ("free", "forced")}
        yield {"kind": kind, "problem": row["problem"], **texts}


def _mean(rows: Sequence[Row], value: Callable[[Row], float]) -> Row | None:
    if not rows:
        return None
    clusters = [row["problem"] for row in rows]
    return asdict(mean_and_stderr([value(row) for row in rows], clusters=clusters))
