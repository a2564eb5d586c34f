"""Figures of free text against references: the same text, and the words that both have.

For tasks whose answer is a phrase: F1 over words as SQuAD (arXiv 1606.05250) and DROP (1903.00161)
count it. Differs from both: no word is dropped; only case, white space and punctuation at the ends
of words do not matter.
"""

import string
from collections import Counter
from collections.abc import Sequence


def exact_match(prediction: str, references: Sequence[str]) -> float:
    """1.0 where the prediction is one of the references, white space at the ends aside."""
    return float(prediction.strip() in {reference.strip() for reference in references})


def word_f1(prediction: str, references: Sequence[str]) -> float:
    """Harmonic mean of precision and recall of the words, each counted; of the best reference."""
    return max((_f1(words(prediction), words(one)) for one in references), default=0.0)


def words(text: str) -> list[str]:
    """Words in lower case, without punctuation around them; `-3` and `$5` keep their signs."""
    stripped = (word.strip(_AROUND) for word in text.lower().split())
    return [word for word in stripped if word]


def _f1(one: Sequence[str], other: Sequence[str]) -> float:
    if not one or not other:
        return float(not one and not other)
    shared = (Counter(one) & Counter(other)).total()
    return 2 * shared / (len(one) + len(other))


_AROUND = "".join(char for char in string.punctuation if char not in "-+$%#")
