"""IFEval: instructions that a program can check, prompt by prompt and one by one."""

from collections.abc import Mapping

from aha.evals.figures import quotient
from aha.evals.suites.entry import Entry, Row, without_gold
from aha.evals.suites.reply import visible
from aha.evals.suites.suite import Protocol
from aha.rewards.instructions import Followed, follow, parse_instructions
from aha.rewards.verdict import Verdict
from aha.tasks.task import Problem

IDS, ARGUMENTS = "instruction_id_list", "kwargs"


def _adapt(row: Row) -> Row:
    """Checked when it is read: an unknown instruction is an error of the file."""
    parse_instructions(row[IDS], row[ARGUMENTS])
    return without_gold(id="key")(row) or {}


def _followed(problem: Problem, response: str) -> Followed:
    instructions = parse_instructions(problem.meta[IDS], problem.meta[ARGUMENTS])
    return follow(instructions, visible(response))


def follows_all(problem: Problem, response: str) -> Verdict:
    """Right where every instruction is kept, by the strict reading."""
    reply = visible(response)
    if not reply:
        return Verdict.unparseable("an empty reply")
    kept = _followed(problem, response).strict
    broken = [name for name, is_kept in zip(problem.meta[IDS], kept, strict=True) if not is_kept]
    if not broken:
        return Verdict(kind="correct", score=1.0, reason=f"all {len(kept)} instructions kept")
    return Verdict(kind="wrong", score=0.0, reason=f"not kept: {', '.join(broken)}")


def figures(problem: Problem, response: str, verdict: Verdict) -> Mapping[str, float]:
    """Whether all instructions are kept, how many are, and how many there are.

    The paper's instruction-level figures weigh instructions alike: they are quotients of sums.
    """
    found = _followed(problem, response)
    return {
        "prompt_strict": float(found.all_strict),
        "prompt_loose": float(found.all_loose),
        "num_kept_strict": float(sum(found.strict)),
        "num_kept_loose": float(sum(found.loose)),
        "num_instructions": float(len(found.strict)),
    }


INSTRUCTIONS = (
    Entry(
        name="ifeval",
        description="541 prompts with 25 kinds of instructions that rules can check",
        hub="google/IFEval@train",
        licence="Apache-2.0",
        adapt=_adapt,
        grade=follows_all,
        needs_gold=False,
        protocol=Protocol(),
        metric="prompt_strict",
        figures=figures,
        whole={
            "instruction_strict": quotient("num_kept_strict", "num_instructions"),
            "instruction_loose": quotient("num_kept_loose", "num_instructions"),
        },
    ),
)
