"""Language consistency of a chain of thought, and the language of a question."""

from aha.rewards.language.consistency import (
    CONSISTENCY_LANGUAGES,
    HAN_CHARACTERS_PER_WORD,
    count_words,
    detect_language,
    language_consistency,
)

__all__ = [
    "CONSISTENCY_LANGUAGES",
    "HAN_CHARACTERS_PER_WORD",
    "count_words",
    "detect_language",
    "language_consistency",
]
