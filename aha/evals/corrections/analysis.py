"""Finds self-corrections in a chain of thought and says whether they were right.

A model that writes "wait" is not yet a model that corrects itself. So every check is judged twice:
was the value that it looks at really wrong, and was it called wrong? Values come from arithmetic
in the text (`57 - 28 = 31`), never from the model's word. DeepSeek-R1 (arXiv 2501.12948) counts
reflective words (C.2) and shows one aha moment (Table 2); this counts those that did something.
"""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal, get_args

from aha.evals.corrections.equations import Equation, chained, find_equations, value_of
from aha.evals.corrections.wording import Word, find_words

CorrectionKind = Literal[
    "fix",
    "unrepaired",
    "missed",
    "false_alarm",
    "confirmed",
    "rejected_guess",
    "misjudged_guess",
]
KINDS: tuple[CorrectionKind, ...] = get_args(CorrectionKind)
MEANING: dict[CorrectionKind, str] = {
    "fix": "a wrong value, called wrong and replaced by the right one",
    "unrepaired": "a wrong value, called wrong and replaced by another wrong one",
    "missed": "a wrong value, looked at again and called right",
    "false_alarm": "a right value, called wrong",
    "confirmed": "a right value, looked at again and called right",
    "rejected_guess": "a guess that was tried and did not fit: search, not a mistake",
    "misjudged_guess": "a guess that fits and was dropped, or does not fit and was kept",
}

MAX_TEXT_CHARS = 100_000
"""What comes later in a thought is not analysed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """One look back, at text[start:end], on the value claimed at text[claim_start:claim_end]."""

    kind: CorrectionKind
    start: int
    end: int
    wrong_value: Fraction | None = None
    right_value: Fraction | None = None
    claim_start: int
    claim_end: int


@dataclass(slots=True)
class _Check:
    """A look back that is under way."""

    start: int
    claim: Equation
    equations: list[Equation]
    lefts: list[str]
    """Left sides of `equations`, with chains written out."""
    result: Equation | None = None
    """The equation that works out the claim's left side anew."""
    called_wrong: bool = False
    """The verdict has been given; what is worked out now replaces the claim."""
    end: int = 0


def analyse_corrections(text: str, correct: bool) -> list[Correction]:
    """Every look back in a thought, in order.

    `correct` is the verdict on the whole response. It decides only where the text calls a wrong
    value wrong and never says what replaces it: then the right answer is what shows the repair.
    """
    text = text[:MAX_TEXT_CHARS]
    if "=" not in text:
        return []
    reader = _Reader(correct)
    events: list[Equation | Word] = [*find_equations(text), *find_words(text)]
    for event in sorted(events, key=lambda event: event.start):
        reader.take(event)
    reader.close_check()
    return reader.found


class _Reader:
    """Walks over equations and words in order and keeps what has been claimed so far."""

    def __init__(self, correct: bool):
        self.correct = correct
        self.claims: list[Equation] = []
        self.check: _Check | None = None
        self.guess: list[Equation] | None = None
        """Equations since a guess began."""
        self.found: list[Correction] = []

    def take(self, event: Equation | Word) -> None:
        if isinstance(event, Equation):
            self._take_equation(event)
        elif event.kind == "trigger":
            self._take_trigger(event)
        elif event.kind == "try":
            self.close_check()
            self.guess = []
        elif event.kind == "miss" or (self.guess and event.target is not None):
            self._take_guess(event)
        else:
            self._take_judgement(event)

    def _take_equation(self, equation: Equation) -> None:
        check = self.check
        if check is not None and (check.result or _leads_away(check, equation)):
            self.close_check(kept=_starts_with(equation, check.claim.stated))
        if self.guess is not None:
            self.guess.append(equation)
        if self.check is None:
            self.claims.append(equation)
        else:
            _add(self.check, equation)

    def _take_trigger(self, word: Word) -> None:
        if self.check is not None and self.check.equations:
            self.close_check()
        if self.check is None and self.claims:
            self.check = _Check(word.start, self.claims[-1], [], [])

    def _take_guess(self, word: Word) -> None:
        """`But 19 is not 27`: the target was missed, which says nothing about the arithmetic."""
        check, guess = self.check, self.guess
        if check and check.result and check.result.stated == word.target:
            self._take_judgement(replace(word, kind="wrong"))
            return
        tried = guess[-1] if guess and word.value is None else self._claim_of(word.value)
        self.guess = None
        if tried is None:
            return
        start = word.start if check is None or check.equations else check.start
        self.close_check()
        fits, was_dropped = tried.true == word.target, word.kind != "right"
        if was_dropped or not fits:
            kind: CorrectionKind = "rejected_guess" if was_dropped != fits else "misjudged_guess"
            self._report(kind, start, word.end, tried, wrong=tried.stated, right=None)

    def _take_judgement(self, word: Word) -> None:
        check = self.check
        is_about_check = word.value is None or (check and check.claim.stated == word.value)
        claim = check.claim if check and is_about_check else self._claim_of(word.value)
        if check and check.result and word.kind == "right" and word.value == check.result.stated:
            claim = check.claim
        if claim is None:
            return
        start = word.start if check is None else check.start
        result = check.result if check is not None and claim is check.claim else None
        new = word.other if word.other is not None else result.stated if result else None
        self.check = None
        if word.kind == "right":
            new = claim.stated if word.value is None else word.value
            self._judge(claim, start, word.end, called_wrong=claim.stated != new, new=new)
        elif new is not None:
            self._judge(claim, start, word.end, called_wrong=True, new=new)
        else:
            self.check = _Check(start, claim, [], [], called_wrong=True, end=word.end)

    def close_check(self, *, kept: bool = False) -> None:
        """End a check. Without a verdict in words its result speaks, if it has one.

        `kept`: the text goes on with the value that it has just called wrong.
        """
        check, self.check = self.check, None
        if check is None:
            return
        result, claim = check.result, check.claim
        if check.called_wrong:
            new = result.stated if result else claim.stated if kept else None
            end = result.end if result else check.end
            self._judge(claim, check.start, end, called_wrong=True, new=new)
        elif result is not None:
            changed = result.stated != claim.stated
            self._judge(claim, check.start, result.end, called_wrong=changed, new=result.stated)
        else:
            self.claims += check.equations

    def _judge(
        self, claim: Equation, start: int, end: int, *, called_wrong: bool, new: Fraction | None
    ) -> None:
        if claim.holds:
            kind: CorrectionKind = "false_alarm" if called_wrong else "confirmed"
            wrong = new if called_wrong and new != claim.true else None
        elif not called_wrong:
            kind, wrong = "missed", claim.stated
        else:
            repaired = new == claim.true or (new is None and self.correct)
            kind, wrong = ("fix" if repaired else "unrepaired"), claim.stated
        self._report(kind, start, end, claim, wrong=wrong, right=claim.true)
        self.claims.append(claim if new is None else replace(claim, stated=new))

    def _report(
        self,
        kind: CorrectionKind,
        start: int,
        end: int,
        claim: Equation,
        *,
        wrong: Fraction | None,
        right: Fraction | None,
    ) -> None:
        self.found.append(
            Correction(
                kind=kind,
                start=start,
                end=end,
                wrong_value=wrong,
                right_value=right,
                claim_start=claim.start,
                claim_end=claim.end,
            )
        )

    def _claim_of(self, value: Fraction | None) -> Equation | None:
        """The latest equation that states the value."""
        inside = self.check.equations if self.check is not None else []
        candidates = [*self.claims, *inside]
        return next((claim for claim in reversed(candidates) if claim.stated == value), None)


def _add(check: _Check, equation: Equation) -> None:
    """Put an equation into the check, and see whether it works out the claim's left side."""
    left = equation.left
    if check.equations:
        earlier = replace(check.equations[-1], left=check.lefts[-1])
        left = chained(equation, earlier) or left
    check.equations.append(equation)
    check.lefts.append(left)
    if _same_start(left, check.claim.left) and value_of(left) == check.claim.true:
        check.result = equation


def _leads_away(check: _Check, equation: Equation) -> bool:
    """Whether, after the verdict, an equation is not about the value that was called wrong."""
    if not check.called_wrong:
        return False
    if check.equations:
        return chained(equation, check.equations[-1]) is None
    return not _same_start(equation.left, check.claim.left)


def _starts_with(equation: Equation, value: Fraction) -> bool:
    first = re.search(r"\d+(?:\.\d+)?", equation.left)
    return first is not None and value_of(first[0]) == value


def _same_start(left: str, other: str) -> bool:
    first, second = (re.search(r"\d+(?:\.\d+)?", side) for side in (left, other))
    return first is not None and second is not None and first[0] == second[0]
