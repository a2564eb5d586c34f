"""RL for all scenarios (arXiv 2501.12948v2, Eq. 8-10): preference rewards beside rule rewards.

    reasoning prompts   accuracy + format                 (+ language)
    general prompts     helpful + harmless + format       (+ language)

The helpful reward model reads the final summary, the harmless one the whole response. General
prompts are drawn only in the last part of the steps: over more of them the policy learns to please
the reward model instead of people (the paper: 400 of 1,700 steps). Differs from the paper: scores
are squashed to 0..1, so that they weigh against the rule rewards as the weights say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from aha.chat.grammar import ends_in_open_think
from aha.errors import UserError
from aha.model.reward_model import LoadedRewardModel, load_reward_model
from aha.rewards.response import final_summary, form_of
from aha.tasks.embedded.assistant import BEST, Grade, grade
from aha.tasks.registry import load_task
from aha.tasks.task import Task
from aha.trainers.config import GrpoConfig, PreferenceRewardsConfig
from aha.trainers.preference import score_rows, text_ids
from aha.trainers.problems import ProblemStream
from aha.trainers.rollouts import Asked, Sample

REWARD_MODELS = ("helpful", "harmless")
GRADES = ("quality", "safe", "refuses_harmful", "refuses_harmless")
GENERAL_GROUPS = 1_000_000_000
"""Added to the group numbers of general prompts: their random streams are their own."""


@dataclass(slots=True)
class AllScenarios:
    """The general prompts and the reward models that judge the replies."""

    config: PreferenceRewardsConfig
    template: str
    tokens_per_microbatch: int
    problems: ProblemStream
    models: Mapping[str, LoadedRewardModel]

    def take(self, num_prompts: int) -> list[Asked]:
        """The next general prompts, under group numbers of their own."""
        return [replace(a, group=a.group + GENERAL_GROUPS) for a in self.problems.take(num_prompts)]

    def num_general(self, num_prompts: int, step: int, num_steps: int) -> int:
        """How many of a step's prompts are general ones."""
        is_late = step > num_steps - self.config.last_steps
        return round(num_prompts * self.config.prompts_fraction) if is_late else 0

    @torch.inference_mode()
    def score(self, samples: Sequence[Sample]) -> None:
        """Set the reward parts `helpful` and `harmless` of the samples of general prompts."""
        general = [sample for sample in samples if is_general(sample)]
        weights = self.config.weights
        for name in REWARD_MODELS:
            for sample, value in zip(general, self._rewards(name, general), strict=True):
                sample.rewards[name] = value
                sample.extra_weights[name] = weights[name]

    def _rewards(self, name: str, samples: Sequence[Sample]) -> list[float]:
        """sigmoid(score) of every sample; 0 for a reply without a summary."""
        loaded = self.models[name]
        texts = [self._read_by(name, sample) for sample in samples]
        rows = [
            text_ids(
                loaded.tokenizer,
                self.template,
                sample.problem.question,
                text,
                max_tokens=self.config.max_tokens,
            )
            for sample, text in zip(samples, texts, strict=True)
            if text is not None
        ]
        scores = score_rows(loaded.model, rows, tokens_per_microbatch=self.tokens_per_microbatch)
        values = iter(torch.sigmoid(scores).tolist())
        return [0.0 if text is None else next(values) for text in texts]

    def _read_by(self, name: str, sample: Sample) -> str | None:
        """What a reward model may see of a response."""
        return sample.completion.text if name == "harmless" else self._summary(sample)

    def _summary(self, sample: Sample) -> str | None:
        opened = ends_in_open_think(sample.prompt)
        form = form_of(self.template)
        return final_summary(sample.completion.text, form, prompt_opens_think=opened)

    def grader_sums(self, samples: Sequence[Sample]) -> dict[str, float]:
        """Sums and counts of what the held-out grader says, to be added over the ranks.

        It knows the truth about the prompts of the embedded world and earns nobody a reward.
        """
        judged = [
            found
            for sample in samples
            if is_general(sample)
            and (found := grade(sample.problem, sample.completion.text, self._summary(sample)))
        ]
        of: dict[str, list[float]] = {
            "quality": [strict_quality(one) for one in judged],
            "safe": [float(one.safe) for one in judged],
            "refuses_harmful": [float(one.refused) for one in judged if one.harmful],
            "refuses_harmless": [
                float(one.refused) for one in judged if one.kind == "how_to" and not one.harmful
            ],
        }
        counts = {f"graded/{name}": float(len(values)) for name, values in of.items()}
        return {f"grader/{name}": sum(values) for name, values in of.items()} | counts


def strict_quality(graded: Grade) -> float:
    """0 to 1, and nothing for a response that helps with harm, be it in its thinking."""
    return graded.quality / BEST if graded.safe else 0.0


def grader_means(sums: Mapping[str, float]) -> dict[str, float]:
    """Means under their metric names, of what there was at least one sample to judge."""
    counts = {f"grader/{name}": sums.get(f"graded/{name}", 0.0) for name in GRADES}
    return {name: sums[name] / count for name, count in counts.items() if count}


def is_general(sample: Sample) -> bool:
    """Whether rules judge nothing but the form of a sample."""
    return sample.group >= GENERAL_GROUPS


def all_scenarios(config: GrpoConfig, inputs: Mapping[str, Path]) -> AllScenarios | None:
    """The reward models among a stage's inputs; None for a stage without preference rewards."""
    if not config.preference.last_steps:
        return None
    missing = [name for name in REWARD_MODELS if name not in inputs]
    if missing:
        raise UserError(
            f"preference.last_steps is set but there is no {missing[0]} reward model",
            hint="`aha run r1` trains them; set preference.last_steps=0 elsewhere",
        )
    tasks = [general_task(name) for name in config.preference.task]
    return AllScenarios(
        config=config.preference,
        template=config.template,
        tokens_per_microbatch=config.tokens_per_microbatch,
        problems=ProblemStream(tasks, config.seed),
        models={name: load_reward_model(inputs[name]) for name in REWARD_MODELS},
    )


def general_task(name: str) -> Task:
    """A task of prompts without right answers."""
    task = load_task(name)
    if task.checkable:
        raise UserError(
            f"task {task.name!r} has answers that can be checked",
            hint="name it in `task`; preference.task is for prompts without right answers",
        )
    return task
