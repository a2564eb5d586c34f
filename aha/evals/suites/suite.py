"""What a suite is: a task's problems, how the paper asks them, and which figures it reports."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aha.chat.templates import QUESTION
from aha.rewards.verdict import Verdict
from aha.tasks.task import Problem, Task

if TYPE_CHECKING:
    from aha.data.judge import Judge
    from aha.evals.figures import WholeFigure

Figures = Callable[[Problem, str, Verdict], Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How a suite's problems are asked (arXiv 2501.12948v2, D.1); all of it can be overridden."""

    template: str = "chat"
    """A prompt template of `aha.chat.templates`."""
    instruction: str = ""
    """Put behind the question after a line break, or around it where it holds `{question}`."""
    temperature: float = 0.6
    top_p: float = 0.95
    max_new_tokens: int = 32_768
    samples: int = 4
    """Responses to each problem: the k of pass@1 averaged over k."""

    def ask(self, question: str) -> str:
        """The question with the instruction, before the template."""
        if QUESTION in self.instruction:
            return self.instruction.replace(QUESTION, question)
        return f"{question}\n{self.instruction}" if self.instruction else question


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Problems, protocol, grader. `task.problems("heldout")` are the problems."""

    name: str
    description: str
    task: Task
    protocol: Protocol
    metric: str = "pass@1"
    """Name of the main figure."""
    figures: Figures | None = None
    """Further figures of each response, averaged."""
    whole: "Mapping[str, WholeFigure]" = field(default_factory=dict)
    """Figures of all problems together, made of those: a quotient, a regression."""
    same_answer: Callable[[str, str], bool] = str.__eq__
    """Whether two extracted answers are one, for the majority vote."""
    has_turns: bool = False
    """Problems go on after the first reply (`Problem.meta["turns"]`); see `turns`."""
    needs_judge: bool = False
    """Graded by a model: load it with a judge."""


def load_suite(reference: str, *, data: Path | None = None, judge: "Judge | None" = None) -> Suite:
    """A suite by name (`data`: its JSONL file, or the folder that holds it; else the hub).

    Also an embedded task's name, FILE.jsonl, FILE.py, hub:ID. Raises UserError.
    """
    from aha.evals.suites.load import load

    return load(reference, data, judge)


def suite_names() -> tuple[str, ...]:
    """Names of the suites, sorted."""
    from aha.evals.suites.registry import SUITES

    return tuple(sorted(SUITES))
