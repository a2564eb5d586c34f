"""Draws, continues and grades responses: all that a strategy needs of a model and a task.

A response is a row of token ids behind its prompt's; a partial one is continued by asking for what
follows a longer prompt. Random numbers belong to (stream, problem, branch, position), so neither
batches nor processes change what is drawn.
"""

import functools
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from aha.chat.grammar import ends_in_open_think
from aha.engine.engine import Engine
from aha.engine.types import Completion, SamplingParams
from aha.evals.backends import opened
from aha.evals.grading import grade
from aha.evals.scaling.journal import Journal
from aha.evals.suites.suite import Suite
from aha.rewards.response import ResponseForm, form_of
from aha.tasks.task import Problem
from aha.trainers.rollouts import Prompter

BRANCH_SHIFT = 32
"""Keys of branch b of problem g are g + b * 2^32: branch 0 draws what a plain sample draws."""
Chunk = Sequence["Question"]


@dataclass(frozen=True, slots=True)
class Question:
    """A problem in its place, with its prompt."""

    group: int
    problem: Problem
    prompt: str
    prompt_ids: tuple[int, ...]

    @property
    def opens_think(self) -> bool:
        return ends_in_open_think(self.prompt)


@dataclass(frozen=True, slots=True)
class Draft:
    """A response, or a part of one up to where it goes on."""

    ids: tuple[int, ...] = ()
    """All tokens behind the prompt, EOS included where it was drawn."""
    logprob: float = 0.0
    """Sum over the tokens that the model drew."""
    num_drawn: int = 0
    """The others were put in by a strategy."""
    ended: bool = False
    """EOS was drawn."""

    @property
    def mean_logprob(self) -> float:
        return self.logprob / max(1, self.num_drawn)

    def plus(self, ids: Sequence[int], logprobs: Sequence[float], ended: bool) -> "Draft":
        """The draft with drawn tokens behind it."""
        return Draft(
            ids=(*self.ids, *ids),
            logprob=self.logprob + sum(logprobs),
            num_drawn=self.num_drawn + len(ids),
            ended=ended,
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """How a response was graded."""

    correct: bool
    answer: str | None
    """What it votes for; None where there is no answer."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a strategy made of one problem."""

    tokens: float
    """Tokens behind the prompt in all branches, a shared beginning once; expected, of a vote."""
    score: float
    """1 right, 0 wrong; between them where it is an average or an expectation."""
    text: str = ""
    """A response, for reading."""


class RewardScorer(Protocol):
    """A reward model: a score for each (question, response)."""

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """What strategies have in common beside the numbers that they are measured at."""

    samples: int = 4
    """Responses a problem where a strategy works on single ones (budget, wait, verify)."""
    pool: int = 64
    """Responses a problem behind votes: expectations over its subsets are exact."""
    answer_tokens: int = 32
    """Room for the answer after thinking was ended by force."""
    step_tokens: int = 64
    """A step of a search that does not end by itself ends here."""
    step_ends: tuple[str, ...] = (".", "\u3002", "\n")
    branch: int = 4
    """Continuations of a node of a search."""
    rollouts: int = 2
    """Responses from a partial one behind its Monte-Carlo value."""
    exploration: float = 1.0
    """The constant of UCT."""


@dataclass(slots=True)
class Sampler:
    """A model that answers a task's problems in one prompt form."""

    engine: Engine
    prompter: Prompter
    suite: Suite
    params: SamplingParams
    journal: Journal
    settings: SearchSettings = field(default_factory=SearchSettings)
    reward: RewardScorer | None = None
    searches: dict[tuple[str, int], Any] = field(default_factory=dict)
    """Trees that a larger search grows on."""
    _pools: dict[str, list[list[Draft]]] = field(default_factory=dict)
    _pool_marks: dict[str, list[list[Mark]]] = field(default_factory=dict)

    @property
    def form(self) -> ResponseForm:
        """Whether the prompt asks for answer tags."""
        return form_of(self.prompter.template)

    @property
    def same_answer(self) -> Callable[[str, str], bool]:
        """Whether two answers are one, for votes."""
        return self.suite.same_answer

    def question(self, group: int, problem: Problem, text: str | None = None) -> Question:
        """The prompt of a problem; of another text in its place, if one is given."""
        asked = problem.question if text is None else text
        prompt = self.prompter.text(self.suite.protocol.ask(asked))
        ids = self.prompter.tokenizer.encode(prompt, with_bos=True)
        return Question(group, problem, prompt, tuple(ids))

    def extend(
        self,
        partial: Sequence[tuple[Question, Draft]],
        *,
        stream: int,
        branches: Sequence[int],
        num: int = 1,
        max_new_tokens: int | None = None,
        stop: tuple[str, ...] = (),
    ) -> list[list[Draft]]:
        """`num` continuations of each partial response, to its end, a stop string or the limit.

        A response is cut at `params.max_new_tokens` in all, and stays as it is where it is that
        long. Random numbers: those that the same branch of the stream has at these positions.
        """
        extended = [[draft] * num for _, draft in partial]
        going = [i for i, one in enumerate(partial) if self.room(*one) > 0]
        if not going:
            return extended
        most = max(self.room(*partial[i]) for i in going)
        params = replace(
            self.params,
            max_new_tokens=most if max_new_tokens is None else min(most, max_new_tokens),
            stop=stop,
        )
        groups = self.engine.generate(
            [(*partial[i][0].prompt_ids, *partial[i][1].ids) for i in going],
            params,
            samples_per_prompt=num,
            step=stream,
            prompt_keys=[partial[i][0].group + (branches[i] << BRANCH_SHIFT) for i in going],
            first_positions=[len(partial[i][1].ids) for i in going],
        )
        for i, group in zip(going, groups, strict=True):
            room, draft = self.room(*partial[i]), partial[i][1]
            extended[i] = [self._longer(draft, one, room) for one in group]
        return extended

    def _longer(self, draft: Draft, drawn: Completion, room: int) -> Draft:
        ids = drawn.token_ids[:room]
        ended = ids[-1] in self.prompter.tokenizer.eos_token_ids
        return draft.plus(ids, drawn.logprobs[:room], ended)

    def answer(
        self,
        partial: Sequence[tuple[Question, Draft]],
        *,
        stream: int,
        branches: Sequence[int],
    ) -> list[Draft]:
        """Responses whose thinking is over, with their answers: `settings.answer_tokens` at most.

        The limit of a response does not count here: an answer that was asked for gets its room.
        """
        longest = max((len(draft.ids) for _, draft in partial), default=0)
        room = longest + self.settings.answer_tokens
        roomy = replace(self, params=replace(self.params, max_new_tokens=room))
        tokens = self.settings.answer_tokens
        groups = roomy.extend(partial, stream=stream, branches=branches, max_new_tokens=tokens)
        return [draft for (draft,) in groups]

    def room(self, question: Question, draft: Draft) -> int:
        """Tokens that may still be drawn."""
        context = self.engine.model.config.max_positions - len(question.prompt_ids)
        return min(context, self.params.max_new_tokens) - len(draft.ids)

    def pool(self, chunk: Chunk) -> list[list[Draft]]:
        """`settings.pool` plain responses to each problem, drawn once and kept in the journal."""
        key = f"pool/{chunk[0].group}"
        if key in self._pools:
            return self._pools[key]
        rows = self.journal.get(key)
        if rows is None:
            start = [(question, Draft()) for question in chunk]
            drafts = self.extend(start, stream=0, branches=[0] * len(chunk), num=self.settings.pool)
            rows = [[[list(d.ids), d.logprob, d.ended] for d in group] for group in drafts]
            self.journal.put(key, rows)
        self._pools[key] = [
            [Draft(tuple(ids), logprob, len(ids), ended) for ids, logprob, ended in group]
            for group in rows
        ]
        return self._pools[key]

    def text(self, draft: Draft) -> str:
        """The response as it is graded."""
        return self.prompter.tokenizer.decode(draft.ids[:-1] if draft.ended else draft.ids)

    def marks(self, drafts: Sequence[tuple[Question, Draft]]) -> list[Mark]:
        """Grade responses as `aha eval` does; one that the grader fails on is not right."""
        pairs = [(q.problem, opened(q.prompt, self.text(draft))) for q, draft in drafts]
        return [
            Mark(verdict.is_correct, verdict.extracted if verdict.is_scored else None)
            for verdict, _ in grade(self.suite, pairs)
        ]

    def pool_marks(self, chunk: Chunk) -> list[list[Mark]]:
        """The grades of the pool."""
        key = f"pool/{chunk[0].group}"
        if key not in self._pool_marks:
            pool = zip(chunk, self.pool(chunk), strict=True)
            self._pool_marks[key] = self.grouped_marks(pool)
        return self._pool_marks[key]

    def grouped_marks(self, groups: Iterable[tuple[Question, Sequence[Draft]]]) -> list[list[Mark]]:
        """The grades of several responses to each question."""
        listed = list(groups)
        marks = iter(self.marks([(q, draft) for q, drafts in listed for draft in drafts]))
        return [[next(marks) for _ in drafts] for _, drafts in listed]


@functools.cache
def stream_of(*names: object) -> int:
    """The number of a named random stream, never 0, which is that of plain samples."""
    digest = hashlib.blake2b("/".join(map(str, names)).encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") + 1
