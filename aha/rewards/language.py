"""Language consistency of a chain of thought (arXiv 2501.12948v2, Eq. 7).

    Reward_language = Num(Words_target) / Num(Words)

Differs from the paper: it does not say how words are told apart. Here the script tells: Latin words
are English, Han characters Chinese, other letters neither. A Chinese word has about 1.5 characters
in running text, so that Han characters count 1 / 1.5 word each. Not words: numbers, operators,
single letters and names with digits (variables), code in backticks, LaTeX, tags.
"""

import re

from aha.errors import UserError, nearest

HAN_CHARACTERS_PER_WORD = 1.5
CONSISTENCY_LANGUAGES = ("en", "zh")

_HAN = r"\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_RUN = re.compile(rf"([{_HAN}]+)|[^\W{_HAN}]+")
_LATIN_END = "\u0250"

_OPENER = re.compile(r"```|`|\$\$|\$|\\\(|\\\[")
_CLOSERS = {"```": "```", "`": "`", "$$": "$$", "$": "$", "\\(": "\\)", "\\[": "\\]"}
_MULTI_LINE = ("```", "$$", "\\[")
_COMMAND_OR_TAG = re.compile(r"\\[A-Za-z]+|</?[A-Za-z]+>")


def language_consistency(text: str, target: str) -> float | None:
    """Share of the words of a chain of thought that are of the target language, 0 to 1.

    None when there is no word at all (digits and formulas only): nothing is inconsistent then.
    `target`: one of CONSISTENCY_LANGUAGES.
    """
    if target not in CONSISTENCY_LANGUAGES:
        known = nearest(target, CONSISTENCY_LANGUAGES)
        raise UserError(
            f"language consistency does not know the language {target!r}",
            hint=f"did you mean {known!r}?" if known else "known: en, zh",
        )
    words = _count_words(_COMMAND_OR_TAG.sub(" ", _without_code_and_math(text)))
    total = sum(words.values())
    return words[target] / total if total else None


def _count_words(text: str) -> dict[str, float]:
    """Number of words by language; `other` for scripts that are neither Latin nor Han."""
    han_characters = latin = other = 0
    for match in _RUN.finditer(text):
        run = match[0]
        if match[1]:
            han_characters += len(run)
        elif len(run) < 2 or not run.isalpha():
            continue
        elif run[0] < _LATIN_END:
            latin += 1
        else:
            other += 1
    return {"en": latin, "zh": han_characters / HAN_CHARACTERS_PER_WORD, "other": other}


def _without_code_and_math(text: str) -> str:
    """The text with code and formulas cut out; what is opened and never closed stays.

    Inline forms end on their line. A dollar sign opens a formula only when no space is inside it
    and no digit after it ("from $5 to $6" is prose).
    """
    kept: list[str] = []
    finder = _Finder(text)
    position = 0
    while opener := _OPENER.search(text, position):
        end = _span_end(text, opener, finder)
        kept.append(text[position : opener.start() if end else opener.end()])
        position = end or opener.end()
    return " ".join([*kept, text[position:]])


def _span_end(text: str, opener: re.Match[str], finder: "_Finder") -> int:
    """Where the span that `opener` opens ends; 0 when it is none."""
    kind, start = opener[0], opener.end()
    close = finder.find(_CLOSERS[kind], start)
    end = close + len(_CLOSERS[kind])
    if end > len(text) or (kind not in _MULTI_LINE and finder.find("\n", start) < close):
        return 0
    is_prose = text[start].isspace() or text[close - 1].isspace() or text[end : end + 1].isdigit()
    return 0 if kind == "$" and is_prose else end


class _Finder:
    """`str.find` for starts that only grow, in linear time over all calls together."""

    def __init__(self, text: str):
        self._text = text
        self._found: dict[str, int] = {}

    def find(self, part: str, start: int) -> int:
        """First place of `part` at or after `start`; the text's length when there is none."""
        if self._found.get(part, -1) < start:
            place = self._text.find(part, start)
            self._found[part] = place if place >= 0 else len(self._text)
        return self._found[part]
