"""Rollouts: prompts to sampled responses to rewards. What training and evaluation share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aha.chat.grammar import ends_in_open_think
from aha.chat.templates import TEMPLATES, render_prompt
from aha.engine.engine import Engine
from aha.engine.types import Completion, SamplingParams
from aha.errors import UserError
from aha.model.tokenizer import Tokenizer
from aha.rewards.reflection import count_reflection_words
from aha.rewards.response import ResponseForm, form_of
from aha.rewards.service import default_pool, in_order
from aha.rewards.verdict import Verdict
from aha.tasks.task import Problem, Task
from aha.trainers.scoring import score_response


@dataclass(slots=True, kw_only=True)
class Sample:
    """One response to one problem, with everything that was said about it."""

    task: str
    problem: Problem
    group: int
    """Which prompt of the whole run it answers; the group its advantage is relative to."""
    index: int
    """Which of the group's samples it is."""
    prompt: str
    prompt_ids: list[int]
    completion: Completion
    verdict: Verdict
    rewards: dict[str, float]
    """Reward parts before their weights."""
    reflection: int
    """Reflection words in the response."""
    language_consistency: float | None
    """Share of the words of the thinking that are in the question's language; None: no words."""
    is_checkable: bool = True
    """False for prompts without a right answer, which count in no accuracy."""
    extra_weights: dict[str, float] = field(default_factory=dict)
    """Weights of the task's own reward parts."""
    reward: float = 0.0
    advantage: float = 0.0

    @property
    def is_truncated(self) -> bool:
        return self.completion.finish_reason == "length"

    @property
    def length_tokens(self) -> int:
        return len(self.completion.token_ids)

    def row(self, step: int) -> dict[str, Any]:
        """As it is written to samples/step-NNNNNN.jsonl."""
        return {
            "step": step,
            "problem_id": self.problem.id,
            "task": self.task,
            "question": self.problem.question,
            "gold": self.problem.gold,
            "language": self.problem.language,
            "sample": self.index,
            "prompt": self.prompt,
            "token_ids": list(self.completion.token_ids),
            "text": self.completion.text,
            "finish_reason": self.completion.finish_reason,
            "rewards": self.rewards,
            "reward": self.reward,
            "advantage": self.advantage,
            "verdict": self.verdict.kind,
            "reason": self.verdict.reason,
            "extracted": self.verdict.extracted,
            "length_tokens": self.length_tokens,
            "reflection": self.reflection,
            "language_consistency": self.language_consistency,
        }


@dataclass(frozen=True, slots=True)
class Prompter:
    """Turns questions into prompts of one template."""

    template: str
    """r1-zero, chat, none, or the path of a file with `{question}` in it."""
    tokenizer: Tokenizer
    _text: list[str] = field(default_factory=list)

    def text(self, question: str) -> str:
        if self.template in TEMPLATES:
            return render_prompt(self.template, question, self.tokenizer)
        return render_prompt("custom", question, template_text=self._template_text())

    def _template_text(self) -> str:
        if not self._text:
            try:
                self._text.append(Path(self.template).read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError) as error:
                raise UserError(
                    f"cannot read the prompt template {self.template!r}: {error}",
                    hint=f"known: {', '.join(TEMPLATES)}; or a text file with {{question}}",
                ) from error
        return self._text[0]


@dataclass(frozen=True, slots=True)
class Asked:
    """A problem in its place: the group number names its random streams."""

    group: int
    task: Task
    problem: Problem


def sample_groups(
    engine: Engine,
    prompter: Prompter,
    asked: Sequence[Asked],
    params: SamplingParams,
    *,
    samples_per_prompt: int,
    step: int,
) -> list[Sample]:
    """Draw and judge `samples_per_prompt` responses to each problem, in order.

    Where judging waits for worker processes (`Task.isolated`) several responses are judged at once.
    """
    prompts = [prompter.text(item.problem.question) for item in asked]
    prompt_ids = [prompter.tokenizer.encode(prompt, with_bos=True) for prompt in prompts]
    groups = engine.generate(
        prompt_ids,
        params,
        samples_per_prompt=samples_per_prompt,
        step=step,
        prompt_keys=[item.group for item in asked],
    )
    form = form_of(prompter.template)
    drawn = [
        (item, index, prompt, ids, completion)
        for item, prompt, ids, group in zip(asked, prompts, prompt_ids, groups, strict=True)
        for index, completion in enumerate(group)
    ]
    if not any(item.task.isolated for item in asked):
        return [judge(*one, form=form) for one in drawn]
    num_threads = default_pool().num_workers
    return list(in_order(lambda one: judge(*one, form=form), drawn, num_threads=num_threads))


def judge(
    item: Asked,
    index: int,
    prompt: str,
    prompt_ids: list[int],
    completion: Completion,
    *,
    form: ResponseForm = "think_answer",
) -> Sample:
    """Score one response: what it earns and what is measured about it."""
    text = completion.text
    scored = score_response(
        item.task, item.problem, text, form=form, prompt_opens_think=ends_in_open_think(prompt)
    )
    return Sample(
        task=item.task.name,
        problem=item.problem,
        group=item.group,
        index=index,
        prompt=prompt,
        prompt_ids=prompt_ids,
        completion=completion,
        verdict=scored.verdict,
        rewards=scored.rewards,
        extra_weights={reward.name: reward.weight for reward in item.task.rewards},
        reflection=count_reflection_words(text),
        language_consistency=scored.language_consistency,
        is_checkable=item.task.checkable,
    )


REWARD_PARTS = ("accuracy", "format", "language")
"""Parts that every sample has, before their weights."""
SUMMED = ("format", "length_tokens", "reflection", "truncated", "unscored")


def rollout_sums(
    samples: Sequence[Sample], parts: Sequence[str] = REWARD_PARTS
) -> dict[str, float]:
    """Sums over samples, to be added over the ranks and then divided by `rollout_means`.

    parts: every reward part that any sample may have; `with/PART` counts the samples that have it.
    """
    consistent = [s.language_consistency for s in samples if s.language_consistency is not None]
    checkable = [s for s in samples if s.is_checkable]
    having = {part: [s.rewards[part] for s in samples if part in s.rewards] for part in parts}
    sums = {
        "count": len(samples),
        "checkable": len(checkable),
        "accuracy": sum(s.verdict.is_correct for s in checkable),
        "format": sum(s.rewards["format"] for s in samples),
        "length_tokens": sum(s.length_tokens for s in samples),
        "reflection": sum(s.reflection for s in samples),
        "truncated": sum(s.is_truncated for s in samples),
        "unscored": sum(not s.verdict.is_scored for s in samples),
        "with_words": len(consistent),
        "language_consistency": sum(consistent),
        "reward": sum(s.reward for s in samples),
        **{f"reward/{part}": sum(values) for part, values in having.items()},
        **{f"with/{part}": len(values) for part, values in having.items()},
    }
    return {name: float(total) for name, total in sums.items()}


def rollout_means(sums: Mapping[str, float]) -> dict[str, float]:
    """Means under their metric names; a text without words counts as consistent.

    Accuracy is over prompts with a right answer, a reward part over the samples that have it.
    """
    count, with_words = max(1.0, sums["count"]), sums["with_words"]
    consistency = sums["language_consistency"] / with_words if with_words else 1.0
    parts = [name for name in sums if name.startswith("reward/")]
    return {
        "reward/mean": sums["reward"] / count,
        **{n: sums[n] / max(1.0, sums[n.replace("reward", "with", 1)]) for n in parts},
        "rollout/accuracy": sums["accuracy"] / max(1.0, sums["checkable"]),
        **{f"rollout/{name}": sums[name] / count for name in SUMMED},
        "rollout/language_consistency": consistency,
    }
