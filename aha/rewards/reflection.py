"""How often a text reflects: the ten words of arXiv 2501.12948v2, section C, and Chinese ones.

English words count as the paper lists them: whole words in any case; inflected forms (`checking`,
`errors`) do not count. The paper lists no Chinese words; the ten here are one for each. Chinese is
written without spaces, so they are found inside the text, each place once, unless they belong to a
longer word of another meaning.
"""

import re

REFLECTION_WORDS: tuple[tuple[str, str], ...] = (
    ("wait", "等等"),
    ("mistake", "错误"),
    ("however", "然而"),
    ("but", "但是"),
    ("retry", "重试"),
    ("error", "出错"),
    ("verify", "验证"),
    ("wrong", "不对"),
    ("evaluate", "评估"),
    ("check", "检查"),
)

# Naturally, asymmetric, unequal, not corresponding, captcha.
_LONGER_WORDS = ("自然而然", "不对称", "不对等", "不对应", "验证码")

_LETTER = r"[0-9A-Za-z_\u00c0-\u024f]"  # so that "but" is not found in French "début"
_PATTERN = re.compile(
    "|".join(_LONGER_WORDS)
    + rf"|((?<!{_LETTER})(?:{'|'.join(english for english, _ in REFLECTION_WORDS)})(?!{_LETTER})"
    + rf"|{'|'.join(chinese for _, chinese in REFLECTION_WORDS)})",
    re.IGNORECASE | re.ASCII,
)


def find_reflection_words(text: str) -> list[tuple[int, int]]:
    """Where the reflective words of a text are: (start, end) of each, in order."""
    return [match.span() for match in _PATTERN.finditer(text) if match[1]]


def count_reflection_words(text: str) -> int:
    """Number of reflective words in a text."""
    return len(find_reflection_words(text))
