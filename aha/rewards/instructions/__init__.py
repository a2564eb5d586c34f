"""Verifiable instructions of IFEval (arXiv 2311.07911): 25 kinds, strict and loose.

`parse_instructions` reads a row's ids and arguments and complains about what is not known;
`follow` says which of them a reply keeps. Written from the definitions in the paper (its Table 1)
and the arguments in the published rows; where the paper says nothing, the public reference
implementation is followed. Known differences from it:

- sentences are counted by rules (`counting.py`), there by a trained splitter; both take "1." before
  a capital letter for a sentence, and neither ends one at a line break alone;
- words in capitals are told apart by rules, there by a treebank tokenizer;
- keywords, section names and postscript markers are plain text, there patterns: "P.S." in a
  keyword needs its dots here;
- a letter that is no letter (`#`) is counted, there another letter is drawn in its place;
- languages are told by `aha.rewards.language` (script, lexicons, py3langid), there by langdetect;
  a short text whose language is unclear fails `response_language` and passes the two case checks;
- a line that is a star alone is no bullet, there it is one where a line follows;
- JSON is JSON: NaN is refused;
- relations may also be "around" (a tenth more or less), "at most", "more than", "exactly".
"""

from aha.rewards.instructions.follow import Followed, follow, variants
from aha.rewards.instructions.registry import (
    INSTRUCTIONS,
    Instruction,
    parse_instruction,
    parse_instructions,
)

__all__ = [
    "INSTRUCTIONS",
    "Followed",
    "Instruction",
    "follow",
    "parse_instruction",
    "parse_instructions",
    "variants",
]
