"""What may be given to sympy: short formulas that cannot explode. Linear in the text."""

import re

MAX_FORMULA_CHARS = 400
MAX_NESTING = 15

_COMMANDS = re.compile(r"\\[A-Za-z]+|\\.")
_WORD = re.compile(r"[A-Za-z]{4,}")
_MATHS = re.compile(r"[0-9=<>+^_]|\\(?:frac|sqrt|int|sum|pi|le|ge|cup|cap|in)\b")
_SEPARATOR = re.compile(r"[,;]|\b(?:and|or)\b")
_TAG = re.compile(r"</?[A-Za-z]+>")
_EXPLOSIVE = re.compile(
    r"[0-9]{5,}\s*!|!\s*!|[0-9]{7,}|(?:\^|\*\*)\s*\{?\s*[0-9]{5,}"
    r"|(?:\^|\*\*)[^+\-*/=,]{0,40}(?:\^|\*\*)|[eE][0-9]{4,}"
)


def same_separators(text: str, gold: str) -> bool:
    """Whether two formulas have as many commas, semicolons, "and" and "or"."""
    return len(_SEPARATOR.findall(text)) == len(_SEPARATOR.findall(gold))


def is_formal(text: str) -> bool:
    """Whether a text is a short formula without towers of powers, huge numbers or prose."""
    if len(text) > MAX_FORMULA_CHARS or not _MATHS.search(text) or not text.isascii():
        return False
    if _TAG.search(text) or _EXPLOSIVE.search(text) or not 0 <= _nesting(text) <= MAX_NESTING:
        return False
    return len(_WORD.findall(_COMMANDS.sub(" ", text))) <= 2


def _nesting(text: str) -> int:
    """How deep brackets go; -1 when the braces are not balanced."""
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest if text.count("{") == text.count("}") else -1
