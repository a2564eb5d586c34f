"""What of a text is prose: code, formulas, tags and addresses are cut out."""

import re

ENVIRONMENTS = (
    "align|aligned|alignat|array|asy|bmatrix|cases|equation|gather|gathered|matrix|multline|pmatrix"
    "|split|tabular|tikzpicture|verbatim|vmatrix"
)

_OPENER = re.compile(rf"```|`|\$\$|\$|\\\(|\\\[|\\begin\{{(?:{ENVIRONMENTS})\*?\}}|\[asy\]")
_CLOSERS = {
    "```": "```",
    "`": "`",
    "$$": "$$",
    "$": "$",
    "\\(": "\\)",
    "\\[": "\\]",
    "[asy]": "[/asy]",
}
_MULTI_LINE = ("```", "$$", "\\[", "[asy]")
_COMMAND_OR_TAG = re.compile(r"\\[A-Za-z]+|</?[A-Za-z]+>")
_ADDRESS = re.compile(r"\b(?:https?://|www\.)\S+|[\w.+-]{1,64}@[\w.-]{1,255}")
_CODE_LINE = re.compile(
    r"^[ \t]*(?:def \w+\(|for \w+ in range\(|import \w+$|from \w+ import |print\(|return [\w(]+$"
    r"|\w+ = \w+\(|#include\b).*$",
    re.MULTILINE,
)


def prose_of(text: str) -> str:
    """The text without code, formulas, LaTeX commands, tags and web addresses."""
    text = _COMMAND_OR_TAG.sub(" ", without_code_and_math(text))
    if "(" in text or "import " in text or "return " in text:
        text = _CODE_LINE.sub(" ", text)
    has_address = "@" in text or "://" in text or "www." in text
    return _ADDRESS.sub(" ", text) if has_address else text


def without_code_and_math(text: str) -> str:
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
    closer = _CLOSERS.get(kind) or kind.replace("begin", "end", 1)
    close = finder.find(closer, start)
    end = close + len(closer)
    is_inline = kind not in _MULTI_LINE and not kind.startswith("\\begin")
    if end > len(text) or (is_inline and finder.find("\n", start) < close):
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
