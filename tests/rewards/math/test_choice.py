"""Option letters in English, French, Chinese and others."""

import pytest

from aha.rewards.math import extract_choice, verify

REPLIES = [
    ("C", "C"),
    ("(c)", "C"),
    ("c.", "C"),
    (r"\boxed{C}", "C"),
    (r"\boxed{\text{(C)}}", "C"),
    (r"\boxed{\textbf{(C)}\ 12}", "C"),
    ("<think>A or B?</think>\n<answer>C) Paris</answer>", "C"),
    ("C. It cannot be A or B", "C"),
    ("C\n\nA is false because it is not green.", "C"),
    ("I thought first of A. But the correct answer is C", "C"),
    ("The answer is for sure C, it can't be A or B", "C"),
    ("The answer is A.\n\nAnswer: C", "C"),
    ("Answer: C, which is cold.", "C"),
    ("**Answer: C**", "C"),
    ("Answer: $C$", "C"),
    ("The area is A = \u03c0r\u00b2, so the answer is C.", "C"),
    ("I would choose option (C).", "C"),
    ("Option C is the correct one.", "C"),
    ("A man walks home. The answer is C.", "C"),
    ("La bonne r\u00e9ponse est C.", "C"),
    ("R\u00e9ponse : (C)", "C"),
    ("\u7b54\u6848\u662fC\u3002", "C"),
    ("\u6545\u9009\uff1aC\u3002", "C"),
    ("\u6b63\u786e\u7b54\u6848\u4e3a\u9009\u9879C", "C"),
    ("La respuesta correcta es C.", "C"),
    ("Die richtige Antwort ist C.", "C"),
    ("A, B, C, D", None),
    ("ABCD", None),
    ("The answer is A or C.", None),
    ("Answer: A, B and C", None),
    ("A) red B) green C) blue", None),
    ("A. red\nB. green\nC. blue", None),
    (r"\boxed{A, C}", None),
    (r"\boxed{A} or \boxed{C}", None),
    (r"\boxed{C", None),
    ("<answer>A</answer><answer>C</answer>", None),
    ("<think>C</think>", None),
    ("\u0421", None),  # a Cyrillic letter
    ("", None),
    ("none of the above", None),
]


@pytest.mark.parametrize(("reply", "letter"), REPLIES)
def test_extract_choice(reply, letter):
    assert extract_choice(reply, "ABCD") == letter
    verdict = verify(reply, "C")
    assert verdict.is_correct == (letter == "C"), verdict


def test_options_that_are_not_offered():
    assert extract_choice("The answer is F.", "ABCD") is None
    assert extract_choice("The answer is U.", ["U"]) == "U"


@pytest.mark.parametrize(
    "gold", ["B", "(B)", "B.", r"\text{(B)}", r"\boxed{B}", "(B) green", "B) green"]
)
def test_gold_spellings(gold):
    assert verify("The answer is B.", gold).is_correct
    assert not verify("The answer is A.", gold).is_correct


def test_the_text_of_the_option_is_an_answer_too():
    assert verify(r"\boxed{green}", "(B) green").is_correct
    assert verify(r"\boxed{12}", r"\textbf{(B)}\ 12").is_correct
    assert not verify(r"\boxed{13}", r"\textbf{(B)}\ 12").is_correct


def test_a_number_may_carry_the_letter_of_its_option():
    assert verify(r"\boxed{\textbf{(C)}\ 12}", "12").is_correct


def test_several_letters():
    for reply in ("A, C", "AC", "A and C", r"\boxed{A,C}", "C, A"):
        assert verify(reply, "A, C").is_correct, reply
    for reply in ("A", "A, B", "A, B, C", "C"):
        assert not verify(reply, "A, C").is_correct, reply
