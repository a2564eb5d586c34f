"""A model, a tokenizer, a task and ranks that are small enough to train in a test."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers

from aha.engine.types import Completion
from aha.model.config import ModelConfig
from aha.model.decoder import Decoder
from aha.model.hf_folder import save_model
from aha.model.tokenizer import Tokenizer
from aha.pipeline.progress import Progress
from aha.pipeline.ranks import Ranks
from aha.rewards.verdict import Verdict
from aha.tasks.task import Problem, Task
from aha.trainers.config import GrpoConfig
from aha.trainers.rollouts import Sample

T = TypeVar("T")
EOS = "<end>"
WORDS = (EOS, "?", "a", "b", "c", "d", "e", "f", "g", "h", "0", "1", "2", "3", "4", "5")


def tiny_tokenizer() -> Tokenizer:
    """Sixteen words between spaces; id 0 ends a text, id 1 is any other word."""
    backend = Backend(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="?"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens([EOS])
    return Tokenizer(backend, eos_token=EOS)


def tiny_model(*, seed: int = 0, width: int = 32, layers: int = 2) -> Decoder:
    """A random model whose next-token distribution is far from flat."""
    config = ModelConfig(
        vocab_size=len(WORDS),
        hidden_size=width,
        intermediate_size=2 * width,
        num_layers=layers,
        num_heads=4,
        num_kv_heads=2,
        head_dim=width // 4,
        max_positions=64,
        eos_token_ids=(0,),
    )
    model = Decoder(config)
    generator = torch.Generator().manual_seed(seed)
    model.init_weights(generator)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0.0, 0.15, generator=generator)
    return model


def tiny_folder(folder: Path, **sizes: int) -> Path:
    save_model(folder, tiny_model(**sizes), tiny_tokenizer())
    return folder


class LetterTask(Task):
    """Right is a response whose first word is the letter asked for."""

    def __init__(self, name: str = "letters", num_problems: int = 8):
        self.name = name
        self._problems = tuple(
            Problem(
                id=f"{name}/{i}",
                question=f"{'abcdefgh'[i % 8]} {i % 6}",
                gold="abcdefgh"[i % 8],
                meta={"gold_response": "abcdefgh"[i % 8]},
            )
            for i in range(num_problems)
        )

    def problems(self, split):
        return self._problems

    def score(self, problem: Problem, response: str) -> Verdict:
        first = response.split()[:1]
        if not first:
            return Verdict.unparseable("no word")
        if first == [problem.gold]:
            return Verdict.correct(first[0])
        return Verdict.wrong(first[0], "another letter")


TASK_FILE = """
import aha

LETTERS = "abcdefgh"


class Letters(aha.Task):
    name = "letters"

    def problems(self, split):
        return [
            aha.Problem(id=f"letters/{i}", question=f"{letter} {i % 6}", gold="")
            for i, letter in enumerate(LETTERS * 3)
        ]

    def score(self, problem, response):
        first = response.split()[:1]
        if first and first[0] in "abcd":
            return aha.Verdict.correct(first[0])
        return aha.Verdict.wrong(response, "none of the first four letters")


task = Letters()
"""
"""Half the letters are right, so that a random model finds both kinds of response."""


def tiny_task_file(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "letters.py").write_text(TASK_FILE)
    return folder / "letters.py"


def tiny_config(task: Path | str = "arithmetic", **values: Any) -> GrpoConfig:
    """A GRPO run of a few steps of a few short responses."""
    defaults: dict[str, Any] = {
        "task": (str(task),),
        "template": "none",
        "num_steps": 4,
        "prompts_per_step": 4,
        "samples_per_prompt": 4,
        "max_new_tokens": 8,
        "minibatches": 2,
        "learning_rate": 3e-3,
        "format_weight": 0.0,
        "dynamic_sampling": False,
        "save_every": 2,
        "eval_every": 2,
        "eval_problems": 4,
        "sample_every": 2,
    }
    return GrpoConfig(**(defaults | values))


def sample(
    prompt_ids: list[int],
    token_ids: tuple[int, ...],
    *,
    logprobs: tuple[float, ...] | None = None,
    advantage: float = 0.0,
    group: int = 0,
    verdict: Verdict | None = None,
    finish_reason: Any = "stop",
    rewards: dict[str, float] | None = None,
) -> Sample:
    """A sample made by hand."""
    verdict = verdict or Verdict.wrong("x", "made by hand")
    parts = {"accuracy": verdict.score, "format": 0.0, "language": 1.0}
    return Sample(
        task="letters",
        problem=Problem(id=f"letters/{group}", question="a", gold="a"),
        group=group,
        index=0,
        prompt="",
        prompt_ids=prompt_ids,
        completion=Completion(token_ids, logprobs or (-1.0,) * len(token_ids), "", finish_reason),
        verdict=verdict,
        rewards=parts if rewards is None else rewards,
        reflection=0,
        language_consistency=None,
        advantage=advantage,
    )


class Interrupted(Exception):
    pass


class InterruptingProgress(Progress):
    """Silent, and the process dies when it reports a step."""

    def __init__(self, last_step: int):
        super().__init__(enabled=False)
        self.last_step = last_step

    def step(self, step, num_steps, values):
        if step == self.last_step:
            raise Interrupted


@dataclass(frozen=True)
class Meeting:
    """Where threads that play ranks put down what they have."""

    size: int
    values: list[Any] = field(default_factory=list)
    barrier: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))


class ThreadRanks(Ranks):
    """Ranks that are threads of one process: everything but the transport is the real thing."""

    def __init__(self, rank: int, meeting: Meeting):
        super().__init__(rank, meeting.size)
        object.__setattr__(self, "meeting", meeting)

    def gather(self, value: T) -> list[T]:
        self.meeting.values[self.rank] = value
        self.meeting.barrier.wait()
        gathered = list(self.meeting.values)
        self.meeting.barrier.wait()
        return gathered

    def sum_(self, tensor: torch.Tensor) -> None:
        tensor.copy_(sum(self.gather(tensor.clone())))

    def broadcast(self, value: T) -> T:
        return self.gather(value)[0]

    def barrier(self) -> None:
        self.gather(None)


def on_ranks(size: int, function: Callable[[Ranks], T]) -> list[T]:
    """What `function(ranks)` returns on each of `size` ranks."""
    meeting = Meeting(size, [None] * size, threading.Barrier(size))
    results: list[Any] = [None] * size
    errors: list[BaseException] = []

    def run(rank: int) -> None:
        try:
            results[rank] = function(ThreadRanks(rank, meeting))
        except BaseException as error:
            errors.append(error)
            meeting.barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise next(
            (e for e in errors if not isinstance(e, threading.BrokenBarrierError)), errors[0]
        )
    return results
