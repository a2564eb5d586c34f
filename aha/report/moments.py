# ruff: noqa: RUF001  (Chinese punctuation)
"""Finds self-corrections in a chain of thought and says whether they were right.

A model that writes "wait" is not yet a model that corrects itself. So every check is judged twice:
was the value that it looks at really wrong, and was it called wrong? Values come from arithmetic
in the text (`57 - 28 = 31`), never from the model's word. DeepSeek-R1 (arXiv 2501.12948) counts
reflective words (C.2) and shows one aha moment (Table 2); this counts those that did something.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from aha.report.equations import Equation, chained, find_equations, value_of

CorrectionKind = Literal[
    "fix", "unrepaired", "missed", "false_alarm", "confirmed", "rejected_guess"
]
KINDS: tuple[CorrectionKind, ...] = (
    "fix", "unrepaired", "missed", "false_alarm", "confirmed", "rejected_guess",
)  # fmt: skip
MEANING: dict[CorrectionKind, str] = {
    "fix": "a wrong value, called wrong and replaced by the right one",
    "unrepaired": "a wrong value, called wrong and replaced by another wrong one",
    "missed": "a wrong value, looked at again and called right",
    "false_alarm": "a right value, called wrong",
    "confirmed": "a right value, looked at again and called right",
    "rejected_guess": "a guess that was tried and did not fit: search, not a mistake",
}

MAX_TEXT_CHARS = 100_000
"""What comes later in a thought is not analysed."""

_NUMBER = r"(?<!\d)(?<!\d\.)-?\d{1,12}(?:\.\d{1,12})?(?!\d)"
# The wording of checks, English and Chinese: all that the detector knows of language.
TRIGGERS = (
    r"\b(?:wait|mistake|however|but|retry|error|verify|wrong|evaluate|check|actually|hmm)\b"
    r"|等等|等一下|检查|验算|但是|不对|错误|错了|重新"
)
CALLED_WRONG = (
    rf"(?P<value>{_NUMBER})\s*(?:(?:is|was)\s+(?:wrong|incorrect|not right|not correct|a mistake)\b"
    r"|是?错误的?|是?错了?的?|不对|不正确|有误)"
    rf"|\bnot\s+(?P<denied>{_NUMBER})"
)
CALLED_RIGHT = (
    rf"(?P<value>{_NUMBER})\s*(?:(?:is|was)\s+(?:right|correct|fine)\b|是?正确的?|是?对的?|没错)"
)
REPLACED_BY = (
    r"[\s,;.，；。]*(?:so(?: it is)?|it is|(?:it )?should be|所以是?|应为|应该是|应是|是)"
    rf"\s*(?P<value>{_NUMBER})(?!\s*[-+*/=])"
)
GUESS_FAILED = rf"(?P<value>{_NUMBER})\s*(?:is not|isn't|!=|≠|不是|不等于)\s*(?P<target>{_NUMBER})"


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


@dataclass(frozen=True, slots=True)
class _Word:
    """A trigger or a judgement in the text."""

    kind: Literal["trigger", "wrong", "right", "guess"]
    start: int
    end: int
    value: Fraction | None = None
    other: Fraction | None = None
    """What replaces the value (wrong), or what it should have been (guess)."""


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


def analyse_corrections(text: str, correct: bool) -> list[Correction]:
    """Every look back in a thought, in order.

    `correct` is the verdict on the whole response. It decides only where the text calls a wrong
    value wrong and never says what replaces it: then the right answer is what shows the repair.
    """
    text = text[:MAX_TEXT_CHARS]
    if "=" not in text:
        return []
    reader = _Reader(correct)
    events: list[Equation | _Word] = [*find_equations(text), *_words(text)]
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
        self.found: list[Correction] = []

    def take(self, event: Equation | _Word) -> None:
        if isinstance(event, Equation):
            self._take_equation(event)
        elif event.kind == "trigger":
            self._take_trigger(event)
        elif event.kind == "guess":
            self._take_guess(event)
        else:
            self._take_judgement(event)

    def _take_equation(self, equation: Equation) -> None:
        if self.check is not None and self.check.result is not None:
            self.close_check()
        if self.check is None:
            self.claims.append(equation)
        else:
            _add(self.check, equation)

    def _take_trigger(self, word: _Word) -> None:
        if self.check is not None and self.check.equations:
            self.close_check()
        if self.check is None and self.claims:
            self.check = _Check(word.start, self.claims[-1], [], [])

    def _take_guess(self, word: _Word) -> None:
        """`But 19 is not 27`: the target was missed, which says nothing about the arithmetic."""
        check = self.check
        if check and check.result and check.result.stated == word.other:
            self._take_judgement(replace(word, kind="wrong"))
            return
        tried = self._claim_of(word.value)
        if tried is None:
            return
        start = word.start if check is None or check.equations else check.start
        self.close_check()
        kind: CorrectionKind = "false_alarm" if word.value == word.other else "rejected_guess"
        self._report(kind, start, word.end, tried, wrong=word.value, right=None)

    def _take_judgement(self, word: _Word) -> None:
        check = self.check
        named = self._claim_of(word.value)
        claim = check.claim if check and check.claim.stated == word.value else named
        if check and check.result and word.kind == "right" and word.value == check.result.stated:
            claim = check.claim
        if claim is None:
            return
        start = word.start if check is None else check.start
        result = check.result if check is not None and claim is check.claim else None
        replacement = result.stated if result is not None else None
        if word.kind == "wrong":
            new = word.other if word.other is not None else replacement
            self._judge(claim, start, word.end, called_wrong=True, new=new)
        else:
            changed = claim.stated != word.value
            self._judge(claim, start, word.end, called_wrong=changed, new=word.value)
        self.check = None

    def close_check(self) -> None:
        """A check without a verdict in words: its result speaks, if it has one."""
        check, self.check = self.check, None
        if check is None:
            return
        if check.result is None:
            self.claims += check.equations
            return
        new = check.result.stated
        called_wrong = new != check.claim.stated
        self._judge(check.claim, check.start, check.result.end, called_wrong=called_wrong, new=new)

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


def _same_start(left: str, other: str) -> bool:
    first, second = (re.search(r"\d+(?:\.\d+)?", side) for side in (left, other))
    return first is not None and second is not None and first[0] == second[0]


def _words(text: str) -> list[_Word]:
    """Guesses, judgements and triggers, none inside another: the earlier of these three wins."""
    found: list[_Word] = []
    for match in _GUESS_FAILED.finditer(text):
        target = _value(match, "target")
        found.append(_Word("guess", match.start(), match.end(), _value(match), target))
    for match in _CALLED_WRONG.finditer(text):
        new = _REPLACED_BY.match(text, match.end())
        end, other = (new.end(), _value(new)) if new else (match.end(), None)
        found.append(_Word("wrong", match.start(), end, _value(match), other))
    for match in _CALLED_RIGHT.finditer(text):
        found.append(_Word("right", match.start(), match.end(), _value(match)))
    found += [_Word("trigger", match.start(), match.end()) for match in _TRIGGERS.finditer(text)]
    return _without_overlap(found, len(text))


def _without_overlap(words: list[_Word], length: int) -> list[_Word]:
    covered = bytearray(length)
    kept = []
    for word in words:
        if not any(covered[word.start : word.end]):
            covered[word.start : word.end] = b"1" * (word.end - word.start)
            kept.append(word)
    return kept


def _value(match: re.Match[str], group: str = "value") -> Fraction | None:
    groups = match.groupdict()
    said = groups[group] or groups.get("denied")
    return value_of(said) if said else None


_TRIGGERS, _CALLED_WRONG, _CALLED_RIGHT, _REPLACED_BY, _GUESS_FAILED = (
    re.compile(wording, re.IGNORECASE)
    for wording in (TRIGGERS, CALLED_WRONG, CALLED_RIGHT, REPLACED_BY, GUESS_FAILED)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionRates:
    """How looking back went over some responses."""

    num_responses: int
    counts: dict[CorrectionKind, int]

    def per_response(self, kind: CorrectionKind) -> float:
        return self.counts[kind] / self.num_responses if self.num_responses else 0.0

    @property
    def caught_fraction(self) -> float | None:
        """Of wrong values that were looked at again, how many were called wrong."""
        caught = self.counts["fix"] + self.counts["unrepaired"]
        return _fraction(caught, caught + self.counts["missed"])

    @property
    def false_alarm_fraction(self) -> float | None:
        """Of right values that were looked at again, how many were called wrong."""
        alarms = self.counts["false_alarm"]
        return _fraction(alarms, alarms + self.counts["confirmed"])


def count_corrections(found: Iterable[Sequence[Correction]]) -> CorrectionRates:
    """Rates over responses, given the corrections of each."""
    counts: Counter[CorrectionKind] = Counter()
    num_responses = 0
    for corrections in found:
        num_responses += 1
        counts.update(correction.kind for correction in corrections)
    return CorrectionRates(
        num_responses=num_responses, counts={kind: counts[kind] for kind in KINDS}
    )


def _fraction(part: int, whole: int) -> float | None:
    return part / whole if whole else None
