"""Hand-made texts in six languages, each word marked as a reader would."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from aha.rewards.language import detect_language, language_consistency

TEXTS = [
    json.loads(line)
    for line in Path(__file__).with_name("texts.jsonl").read_text(encoding="utf-8").splitlines()
]
"""`text` is in the target language but for what stands in brackets: the language of that, or `-`
for what counts as no word. `set`: the rules were made without those of "first" and "last"."""
MARKED = re.compile(r"⟦([a-z]+|-):(.*?)⟧", re.DOTALL)
HAN, KANA = r"\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff", r"\u3040-\u30ff"
TOLERANCE = 0.1
MIN_AGREEMENT = 0.97


def parts(row: dict[str, str]) -> Iterator[tuple[str, str]]:
    """(language, text) of each part."""
    position = 0
    for match in MARKED.finditer(row["text"]):
        yield row["target"], row["text"][position : match.start()]
        yield match[1], match[2]
        position = match.end()
    yield row["target"], row["text"][position:]


def plain(row: dict[str, str]) -> str:
    return MARKED.sub(lambda match: match[2], row["text"])


def num_words(text: str, language: str) -> float:
    """Words of two letters or more; 1.5 Chinese characters and 2 Japanese ones are a word."""
    letters = re.sub(f"[{HAN}{KANA}]", " ", text)
    words = sum(len(word) > 1 for word in re.findall(r"[^\W\d_]+", letters))
    characters = len(re.findall(f"[{HAN}{KANA}]", text))
    return words + characters / (2.0 if language == "ja" else 1.5)


def share(row: dict[str, str]) -> float | None:
    """What a reader says: the share of the words that are of the target language."""
    counts: Counter[str] = Counter()
    for language, text in parts(row):
        if language != "-":
            counts[language] += num_words(text, language)
    total = sum(counts.values())
    return counts[row["target"]] / total if total else None


def agrees(row: dict[str, str]) -> bool:
    label, found = share(row), language_consistency(plain(row), row["target"])
    if label is None or found is None:
        return label is found
    return abs(label - found) <= TOLERANCE


def agreement(*sets: str) -> tuple[int, int]:
    rows = [row for row in TEXTS if row["set"] in sets]
    return sum(map(agrees, rows)), len(rows)


def test_there_are_enough_texts_of_every_kind():
    assert len(TEXTS) >= 200
    assert len({row["text"] for row in TEXTS}) >= len(TEXTS) - 8  # some with several targets
    by_target = Counter(row["target"] for row in TEXTS)
    assert set(by_target) == {"en", "zh", "fr", "de", "es", "ru"}
    assert min(by_target.values()) >= 35
    kinds = Counter(label if label in (None, 0, 1) else "mixed" for label in map(share, TEXTS))
    assert min(kinds["mixed"], kinds[0], kinds[1]) >= 25


def test_it_agrees_with_the_reader():
    right, number = agreement("first", "tuned", "last")
    print(f"\nagreement: {right} of {number}")
    for name in ("first", "last"):
        print("hold-out {}: {} of {}".format(name, *agreement(name)))
    wrong = [plain(row) for row in TEXTS if not agrees(row)]
    assert right >= MIN_AGREEMENT * number, wrong


@pytest.mark.parametrize("name", ["first", "last"])
def test_it_agrees_on_texts_that_it_was_not_made_for(name):
    right, number = agreement(name)
    assert right >= MIN_AGREEMENT * number


def test_the_language_of_a_pure_text_is_found():
    rows = [row for row in TEXTS if share(row) == 1 and num_words(plain(row), "en") >= 5]
    wrong = [plain(row) for row in rows if detect_language(plain(row)) != row["target"]]
    assert len(rows) > 80
    assert len(wrong) <= 0.03 * len(rows), wrong


def test_a_reader_who_disagrees_is_noticed():
    assert not agrees({"target": "en", "set": "", "text": "⟦zh:Let me think about it.⟧"})
    assert not agrees({"target": "zh", "set": "", "text": "然后 we add ⟦-:them⟧ up."})
