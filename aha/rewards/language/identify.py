"""py3langid, asked about sentences that neither script nor lexicon decides."""

from functools import cache, lru_cache
from typing import Any

MAX_CHARS = 1_000
MIN_CHARS = 16
MIN_CONFIDENCE = 0.9


@lru_cache(maxsize=4_096)
def identify(sentence: str) -> str | None:
    """ISO 639-1 code of a sentence's language, or None when it is too short or unclear to say.

    The first call loads the model (half a second).
    """
    if len(sentence) < MIN_CHARS:
        return None
    language, confidence = _identifier().classify(sentence[:MAX_CHARS])
    return str(language) if confidence >= MIN_CONFIDENCE else None


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
