"""Words and n-grams of a text in any script: what duplicates and contamination are counted in."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

_TOKEN = re.compile(
    "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]"  # CJK: one by one
    "|[^\\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]+"
)
Gram = tuple[str, ...]


def tokens_of(text: str) -> list[str]:
    """Words in lower case without punctuation; of Chinese, Japanese and Korean the characters."""
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())


def is_cjk(tokens: Sequence[str]) -> bool:
    """Whether most tokens are single characters of Chinese, Japanese or Korean."""
    return 2 * sum(len(token) == 1 and token >= "\u3040" for token in tokens) > len(tokens)


def ngrams(tokens: Sequence[str], n: int) -> Iterator[Gram]:
    """All runs of `n` tokens; of a shorter text the whole of it, once."""
    for start in range(max(1, len(tokens) - n + 1)):
        yield tuple(tokens[start : start + n])


def numbers_of(tokens: Sequence[str]) -> Gram:
    """The tokens with a digit, sorted: two word problems that differ here are two problems."""
    return tuple(sorted(token for token in tokens if any(char.isdigit() for char in token)))
