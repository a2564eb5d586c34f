"""Instructions about the language of a reply, and about its case (which ask for English)."""

from aha.rewards.instructions.counting import has_letters
from aha.rewards.language import CONSISTENCY_LANGUAGES, detect_language
from aha.rewards.language.identify import identify

MAX_CHARS = 20_000
"""Of a reply; its language shows by then."""
SHARED_SCRIPTS = ("ru", "ar")
"""Told by their script, which others share: the identifier is asked too."""


def is_in_language(text: str, language: str) -> bool:
    """Whether the reply is in a language (ISO 639-1); one without letters is in any."""
    text, wanted = text[:MAX_CHARS], language.lower().partition("-")[0]
    if not has_letters(text):
        return True
    if wanted not in CONSISTENCY_LANGUAGES:
        return identify(_prose(text)) == wanted
    if detect_language(text) != wanted:
        return False
    return wanted not in SHARED_SCRIPTS or identify(_prose(text)) in (wanted, None)


def is_english_capitals(text: str) -> bool:
    """English without a small letter."""
    return text.isupper() and _may_be_english(text)


def is_english_lowercase(text: str) -> bool:
    """English without a capital letter."""
    return text.islower() and _may_be_english(text)


def _may_be_english(text: str) -> bool:
    """True also where the text is too short to tell. Lower case: capitals look like acronyms."""
    return detect_language(text[:MAX_CHARS].lower()) in ("en", None)


def _prose(text: str) -> str:
    """Without marks of markdown, and on one line, so that the beginning holds many words."""
    return " ".join(text.replace("*", " ").replace("#", " ").split())
