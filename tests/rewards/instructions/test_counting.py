import pytest

from aha.rewards.instructions.counting import (
    count_capital_words,
    count_sentences,
    count_words,
    meets,
)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("no stop at all", 1),
        ("One. Two! Three?", 3),
        ("one. two", 2),
        ('He said "Stop." Then he left.', 2),
        ("Dr. Smith and J. K. Rowling met Mrs. Hale.", 1),
        ("We met at 5 p.m. yesterday.", 1),
        ("We met at 5 p.m. Then we left.", 2),
        ("Version 3.5 costs 1.000 euros.", 1),
        ("Well... maybe. No... Yes.", 3),
        ("1. First\n2. Second", 3),
        ("1. first\n2. second", 1),
        ("A heading\n\nand a line", 1),
        ("你好。我们走吧！好吗？", 3),
        ("Wait?! Now.", 2),
    ],
)
def test_sentences(text, count):
    assert count_sentences(text) == count


def test_words_are_runs_of_letters_and_digits():
    assert count_words("don't stop-me, 3.5 x_1") == 7
    assert count_words("* - !") == 0


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("NASA and Esa", 1),
        ("I am I", 2),
        ("DON'T", 2),
        ("I'm", 1),
        ("A-1, B2!", 2),
        ("U.S. NO.", 2),
    ],
)
def test_capital_words(text, count):
    assert count_capital_words(text) == count


@pytest.mark.parametrize(
    ("relation", "true", "false"),
    [
        ("at least", (20, 21), (19,)),
        ("less than", (19, 0), (20, 21)),
        ("at most", (20, 3), (21,)),
        ("more than", (21,), (20,)),
        ("exactly", (20,), (19, 21)),
        ("around", (18, 20, 22), (17, 23)),
    ],
)
def test_relations(relation, true, false):
    assert all(meets(count, relation, 20) for count in true)
    assert not any(meets(count, relation, 20) for count in false)


def test_around_a_small_number_reaches_one_further():
    assert [meets(count, "around", 3) for count in (1, 2, 3, 4, 5)] == [
        False,
        True,
        True,
        True,
        False,
    ]
