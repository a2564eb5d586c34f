"""Words in common, counted by hand."""

import pytest

from aha.evals.overlap import exact_match, word_f1, words


@pytest.mark.parametrize(
    ("prediction", "references", "f1"),
    [
        ("a red apple", ["a red apple"], 1.0),
        ("Red, apple!", ["red apple"], 1.0),
        ("a green apple", ["a red apple"], 2 / 3),
        ("apple apple apple", ["apple"], 2 * 1 / 4),  # precision 1/3, recall 1
        ("apple", ["pear", "apple tree"], 2 / 3),
        ("-3", ["3"], 0.0),
        ("", ["x"], 0.0),
        ("", [""], 1.0),
        ("x", [], 0.0),
    ],
)
def test_word_f1(prediction, references, f1):
    assert word_f1(prediction, references) == pytest.approx(f1)
    for reference in references:
        assert word_f1(prediction, [reference]) == word_f1(reference, [prediction])


def test_exact_match_is_exact():
    assert exact_match(" Rome\n", ["Oslo", "Rome"]) == 1.0
    assert exact_match("rome", ["Rome"]) == 0.0


def test_words():
    assert words("It's (the) -3, $5.") == ["it's", "the", "-3", "$5"]
