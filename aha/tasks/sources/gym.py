"""Generators of reasoning-gym: `gym:NAME?seed=0&size=2000`, with its own scoring.

Needs the extra `gym`. The scoring is other people's code on a model's text, so it runs in a
worker of the verifier service, under a clock.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aha.errors import UserError, nearest
from aha.rewards.accuracy import MAX_TEXT_ANSWER_CHARS, verify_answer
from aha.rewards.verdict import Verdict
from aha.tasks.sources.fields import Row
from aha.tasks.sources.reference import COMMON_OPTIONS, GYM, Reference
from aha.tasks.sources.splits import divide
from aha.tasks.task import Problem, Split, Task

SIZE = 2_000
SECONDS = 10.0
"""For one score; symbolic integration takes seconds now and then."""
NONSENSE = "no such answer"
OWN_OPTIONS = (*COMMON_OPTIONS, "partial_credit")


class GymTask(Task):
    """A generator's problems, dealt out like those of a file and scored by the generator.

    A score below 1 is wrong. Some generators give it for a little of the right answer, or for a
    long text that holds it; `partial_credit=true` makes that the reward all the same.
    """

    isolated = True

    def __init__(
        self,
        name: str,
        generator: str,
        splits: Mapping[Split, Sequence[Problem]],
        entries: Mapping[str, Mapping[str, Any]],
        *,
        partial_credit: bool = False,
    ):
        self.name = name
        self.isolated = True
        self.generator = generator
        self.partial_credit = partial_credit
        self._splits = splits
        self._entries = entries

    def problems(self, split: Split) -> Sequence[Problem]:
        return self._splits[split]

    def score(self, problem: Problem, response: str) -> Verdict:
        return verify_answer(response, lambda answer: self._verdict(problem, answer))

    def _verdict(self, problem: Problem, answer: str) -> Verdict:
        if len(answer) > max(MAX_TEXT_ANSWER_CHARS, 2 * len(problem.gold)):
            return Verdict.unparseable(f"{len(answer)} characters are too long for this answer")
        entry = self._entries[problem.id]
        verdict = _run_apart(self.generator, answer, entry)
        if verdict.kind == "wrong" and not self.partial_credit:
            return Verdict.wrong(answer, verdict.reason)
        return verdict


def _run_apart(generator: str, answer: str, entry: Mapping[str, Any]) -> Verdict:
    from aha.rewards.service import default_pool

    return default_pool().run(
        "aha.tasks.sources.gym:score_here", generator, answer, dict(entry), timeout_seconds=SECONDS
    )


def score_here(generator: str, answer: str, entry: dict[str, Any]) -> Verdict:
    """The generator's own score in this process, without a clock: what a worker runs.

    Some generators raise for text that is no answer, and some give full marks to any text.
    """
    scorer = _create(generator, {"seed": 0, "size": 1})
    try:
        score = float(scorer.score_answer(answer, entry))
    except Exception as error:  # other people's code, on what a model wrote
        return Verdict.unparseable(f"{generator} raised {type(error).__name__}: {error}")
    reason = f"{generator} scores {score:g}"
    if not score >= 1.0:
        return Verdict(kind="wrong", score=max(score, 0.0), reason=reason, extracted=answer)
    if answer.strip() != str(entry.get("answer")).strip() and _accepts_anything(scorer, entry):
        return Verdict.wrong(answer, f"{generator} gives full marks to any text")
    return Verdict.correct(answer, reason)


def _accepts_anything(scorer: Any, entry: dict[str, Any]) -> bool:
    try:
        return float(scorer.score_answer(NONSENSE, entry)) >= 1.0
    except Exception:  # raised for nonsense: it does not accept it
        return False


def warm_up() -> None:
    """Import the library before the clock of a worker's first call starts."""
    import reasoning_gym  # noqa: F401


def load_gym(reference: Reference) -> GymTask:
    """The task of a generator. Raises UserError for an unknown one and for what it refuses."""
    generator = reference.target.removeprefix(GYM)
    config = {key: _value(v) for key, v in reference.options.items() if key not in OWN_OPTIONS}
    config = {"seed": 0, "size": SIZE} | config
    _check_config(reference, config)
    name = reference.options.get("name", generator)
    entries: dict[str, Mapping[str, Any]] = {}
    rows: dict[str, Row] = {}
    try:
        for index, entry in enumerate(_create(generator, config)):
            row = _row(name, index, entry)
            if row.problem.question not in rows:
                rows[row.problem.question], entries[row.problem.id] = row, entry
    except UserError:
        raise
    except Exception as error:  # the library's: it refuses a configuration with many of them
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise UserError(
            f"task {reference.text!r}: {reason}", hint="see the generator's configuration"
        ) from error
    splits = divide(rows.values(), reference.text).splits
    partial = reference.options.get("partial_credit", "false") == "true"
    return GymTask(name, generator, splits, entries, partial_credit=partial)


def _row(name: str, index: int, entry: Mapping[str, Any]) -> Row:
    answer = entry.get("answer")
    problem = Problem(
        id=f"{name}/{index:06d}",
        question=str(entry["question"]),
        gold="" if answer is None else str(answer),
        meta={"verifier": "gym"},
    )
    return Row(f"{name}, row {index + 1}", problem, None)


def _check_config(reference: Reference, config: Mapping[str, Any]) -> None:
    for key in ("seed", "size"):
        value = config[key]
        if not isinstance(value, int) or isinstance(value, bool) or value < (key == "size"):
            raise UserError(f"task {reference.text!r}: {key} = {value!r}", hint="a whole number")


def _value(text: str) -> Any:
    """An option of a generator: a number, true, false, a list in JSON, or text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _create(generator: str, config: Mapping[str, Any]) -> Any:
    try:
        import reasoning_gym
        from reasoning_gym.factory import DATASETS
    except ImportError:
        raise UserError(
            f"{GYM}{generator} needs reasoning-gym, which is not installed",
            hint='pip install "aha-rl[gym]"',
        ) from None
    if generator not in DATASETS:
        near = nearest(generator, DATASETS)
        hint = f"did you mean {GYM}{near}?" if near else "see the gallery of reasoning-gym"
        raise UserError(f"reasoning-gym has no generator {generator!r}", hint=hint)
    return reasoning_gym.create_dataset(generator, **config)
