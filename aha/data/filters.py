"""What makes a chain of thought unfit to be learnt from (arXiv 2501.12948v2, B.3.2 and B.3.3).

The paper drops mixed languages, long paragraphs, code blocks and repetition from the samples that
it fine-tunes on; it gives no thresholds. Those here are settings with defaults.
"""

from collections.abc import Sequence

from pydantic import Field

from aha.config import Config
from aha.rewards.language import CONSISTENCY_LANGUAGES, language_consistency

READING_REASONS = ("mixed language", "repetition", "long paragraph", "code block")


class ReadingFilters(Config):
    """Which samples a person would not want to read."""

    min_language_consistency: float = Field(
        1.0, ge=0, le=1, description="least share of words in the question's language"
    )
    max_repeated_fraction: float = Field(
        0.2, ge=0, le=1, description="largest share of 8-word sequences that occurred before"
    )
    max_paragraph_words: int = Field(
        300, ge=1, le=1_000_000, description="longest paragraph of the thinking"
    )
    drop_code_blocks: bool = Field(True, description="drop thinking that holds fenced code")


def reading_fault(
    thinking: str, summary: str, *, language: str, filters: ReadingFilters
) -> str | None:
    """The first reason why a sample is hard to read, one of READING_REASONS; None for a good one.

    language: of the question; the consistency of unknown languages is not judged.
    """
    if language in CONSISTENCY_LANGUAGES:
        parts = (language_consistency(text, language) for text in (thinking, summary))
        if any(part is not None and part < filters.min_language_consistency for part in parts):
            return "mixed language"
    if repeated_fraction(thinking.split()) > filters.max_repeated_fraction:
        return "repetition"
    if any(len(p.split()) > filters.max_paragraph_words for p in thinking.split("\n\n")):
        return "long paragraph"
    if filters.drop_code_blocks and "```" in thinking:
        return "code block"
    return None


def repeated_fraction(words: Sequence[str], *, size: int = 8) -> float:
    """Share of the `size`-word sequences of a text that have occurred in it before, 0 to 1."""
    total = len(words) - size + 1
    if total <= 0:
        return 0.0
    distinct = {tuple(words[start : start + size]) for start in range(total)}
    return 1 - len(distinct) / total
