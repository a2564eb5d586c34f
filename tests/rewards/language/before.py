"""Language consistency as it was before other languages than English and Chinese were told apart.

The figures of the embedded world were measured with it; on its texts nothing may change.
"""

import re

_HAN = r"\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_RUN = re.compile(rf"([{_HAN}]+)|[^\W{_HAN}]+")
_CODE_OR_MATH = re.compile(
    r"```.*?```|\$\$.*?\$\$|\\\[.*?\\\]|`[^\n`]*`|\\\([^\n]*?\\\)", re.DOTALL
)
_COMMAND_OR_TAG = re.compile(r"\\[A-Za-z]+|</?[A-Za-z]+>")


def language_consistency(text: str, target: str) -> float | None:
    """Latin words are English, Han characters Chinese at 1.5 a word, other letters neither."""
    prose = _COMMAND_OR_TAG.sub(" ", _CODE_OR_MATH.sub(" ", text))
    counts = {"en": 0.0, "zh": 0.0, "other": 0.0}
    han_characters = 0
    for match in _RUN.finditer(prose):
        run = match[0]
        if match[1]:
            han_characters += len(run)
        elif len(run) > 1 and run.isalpha():
            counts["en" if run[0] < "\u0250" else "other"] += 1
    counts["zh"] = han_characters / 1.5
    total = sum(counts.values())
    return counts[target] / total if total else None
