"""Instructions about words: keywords, lengths, case, punctuation, beginnings and ends."""

import re

from aha.rewards.instructions.counting import (
    count_capital_words,
    count_sentences,
    count_words,
    meets,
)

_FIRST_WORD_END = re.compile(r"[.,?!'\"]")


def has_keywords(text: str, keywords: list[str]) -> bool:
    """Every keyword is in the text, in any case, also inside a word."""
    lower = text.lower()
    return all(keyword.lower() in lower for keyword in keywords)


def keyword_frequency(text: str, keyword: str, frequency: int, relation: str) -> bool:
    """How often a keyword is in the text, also inside words."""
    return meets(text.lower().count(keyword.lower().strip()), relation, frequency)


def no_forbidden_words(text: str, forbidden_words: list[str]) -> bool:
    """None of the words is there as a word of its own, in any case."""
    patterns = (rf"\b{re.escape(word)}\b" for word in forbidden_words)
    return not any(re.search(pattern, text, re.IGNORECASE) for pattern in patterns)


def letter_frequency(text: str, letter: str, let_frequency: int, let_relation: str) -> bool:
    """How often a letter (or sign) is in the text, in any case."""
    return meets(text.lower().count(letter.lower()), let_relation, let_frequency)


def number_of_words(text: str, num_words: int, relation: str) -> bool:
    return meets(count_words(text), relation, num_words)


def number_of_sentences(text: str, num_sentences: int, relation: str) -> bool:
    return meets(count_sentences(text), relation, num_sentences)


def number_of_paragraphs(text: str, num_paragraphs: int) -> bool:
    """Exactly so many paragraphs with *** between them; only the outer ones may be empty."""
    parts = [part.strip() for part in text.split("***")]
    if not all(parts[1:-1]):
        return False
    return sum(map(bool, parts)) == num_paragraphs


def nth_paragraph_first_word(
    text: str, num_paragraphs: int, nth_paragraph: int, first_word: str
) -> bool:
    """Exactly so many paragraphs with an empty line between, and the nth begins with the word."""
    parts = text.split("\n\n")
    count = sum(bool(part.strip()) for part in parts)
    if nth_paragraph > count or not parts[nth_paragraph - 1].strip():
        return False
    word = parts[nth_paragraph - 1].split()[0].lstrip("'").lstrip('"')
    begins = _FIRST_WORD_END.split(word, maxsplit=1)[0].lower()
    return count == num_paragraphs and begins == first_word.lower()


def capital_word_frequency(text: str, capital_frequency: int, capital_relation: str) -> bool:
    return meets(count_capital_words(text), capital_relation, capital_frequency)


def no_comma(text: str) -> bool:
    return "," not in text


def ends_with(text: str, end_phrase: str) -> bool:
    """The last words are these, in any case; quotation marks around the text do not count."""
    return text.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def in_quotation_marks(text: str) -> bool:
    text = text.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


def repeats_prompt(text: str, prompt_to_repeat: str) -> bool:
    """The reply begins with the request, word for word, in any case."""
    return text.strip().lower().startswith(prompt_to_repeat.strip().lower())
