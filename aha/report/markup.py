"""Marks up a sample for reading: thought and answer, reflection words, words of another language.

The result is a list of [classes, text] pieces, never HTML: the page sets them as text nodes, so
that nothing a model writes can become markup.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence

from aha.chat.grammar import THINK_CLOSE, parse_response
from aha.evals.corrections import Correction, thought_of
from aha.rewards.reflection import find_reflection_words

Piece = list[str]
Span = tuple[int, int, str]

_HAN_RUN = r"[\u3400-\u4dbf\u4e00-\u9fff]+"
_LATIN_WORD = r"[A-Za-z]{2,}"
_FOREIGN = {"en": re.compile(_HAN_RUN), "zh": re.compile(_LATIN_WORD)}
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)

MARKS = {"fix": "fix", "unrepaired": "caught", "missed": "missed", "false_alarm": "alarm"}
"""Correction kind -> class of its mark; the others are not marked."""


def visible(text: str) -> str:
    """The text with control characters and direction overrides made visible, lone surrogates gone.

    A model's text must not reorder, hide or break what is around it on the page.
    """
    text = text.replace("\r\n", "\n")
    return _UNSEEN.sub(_show, text.encode("utf-8", "replace").decode("utf-8"))


def _show(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    name = unicodedata.name(match[0], "").title()
    return f"[{name or f'U+{code:04X}'}]"


def mark_up(
    text: str, *, language: str = "", corrections: Sequence[tuple[Correction, int]] = ()
) -> list[Piece]:
    """[classes, text] pieces whose texts make up `text` (as `visible` shows it).

    Classes: `k` thought, `a` answer, `s` summary after the thought, `o` anything else (tags too);
    then `r` reflection word, `m` word of another language, and the marks of corrections.
    `corrections` come with the place of the thought in the text.
    """
    spans = list(_parts(text))
    thought_start, thought_end, _ = next((span for span in spans if span[2] == "k"), (0, 0, ""))
    for start, end in find_reflection_words(text):
        if thought_start <= start and end <= thought_end:
            spans.append((start, end, "r"))
    if foreign := _FOREIGN.get(language):
        spans += _found(foreign, text, thought_start, thought_end, "m")
    for correction, offset in corrections:
        if mark := MARKS.get(correction.kind):
            spans.append((offset + correction.start, offset + correction.end, mark))
            spans.append((offset + correction.claim_start, offset + correction.claim_end, "claim"))
    return _cut(text, spans)


def _parts(text: str) -> Iterator[Span]:
    """Where the thought and the answer lie."""
    answer, thought = parse_response(text).answer, thought_of(text)
    answer_start = text.rfind(answer) if answer else len(text)
    start = text.find(thought)
    if thought.strip() and start < answer_start:
        yield start, min(start + len(thought), answer_start), "k"
    if answer:
        yield answer_start, answer_start + len(answer), "a"
    elif THINK_CLOSE in text:
        yield text.rfind(THINK_CLOSE) + len(THINK_CLOSE), len(text), "s"


def _found(pattern: re.Pattern[str], text: str, start: int, end: int, mark: str) -> list[Span]:
    return [(*match.span(), mark) for match in pattern.finditer(text, start, end)]


def _cut(text: str, spans: Sequence[Span]) -> list[Piece]:
    """Cut the text at the ends of all spans; each piece has the classes of the spans around it."""
    edges = sorted({0, len(text), *(edge for start, end, _ in spans for edge in (start, end))})
    opening: dict[int, list[str]] = {}
    closing: dict[int, list[str]] = {}
    for start, end, mark in spans:
        if start < end:
            opening.setdefault(start, []).append(mark)
            closing.setdefault(end, []).append(mark)
    active: list[str] = []
    pieces = []
    for start, end in itertools.pairwise(edges):
        for mark in closing.get(start, ()):
            active.remove(mark)
        active += opening.get(start, ())
        classes = " ".join(dict.fromkeys(active)) or "o"
        pieces.append([classes, visible(text[start:end])])
    return pieces
