"""Where in a reply the answer is found."""

import pytest

from aha.rewards.math import (
    extract,
    last_boxed_content,
    last_boxed_string,
    unwrap_boxed,
    verify,
    xml_fields,
)

FOUND = [
    ("42", "42", "whole"),
    (r"Hence \boxed{\frac{1}{2}}.", r"\frac{1}{2}", "boxed"),
    (r"\fbox{7} or rather, after a check. It is \framebox{8}", "8", "boxed"),
    (r"First \boxed{3}. Then we double it. We obtain \boxed{6}.", "6", "boxed"),
    (r"\boxed{1} and \boxed{2}", "1 , 2", "boxed"),
    (r"the same \boxed{9}, again \boxed{9}", "9", "boxed"),
    (r"\boxed 5", "5", "boxed"),
    ("<think>7</think><answer> 8 </answer>", "8", "tag"),
    ("<answer>The sum is $8$</answer>", "8", "tag"),
    ("3 + 4 = 7\n#### 7", "7", "hashes"),
    ("The answer is 1,234.", "1,234", "phrase"),
    ("Answer: 41 was wrong.\nAnswer: 42", "42", "phrase"),
    ("**Final Answer:** $x = 3$", "x = 3", "phrase"),
    ("The final answer is $2$ and $3$. I hope it is correct.", "2 , 3", "phrase"),
    ("2+2=<<2+2=4>>4 cats\nA: 4", "4", "phrase"),
    ("\u6240\u4ee5\u7b54\u6848\u662f42\u3002", "42", "phrase"),
    ("La r\u00e9ponse finale est 42.", "42", "phrase"),
    ("La respuesta es 42.", "42", "phrase"),
    ("Die Antwort lautet 42.", "42", "phrase"),
    ("\u041e\u0442\u0432\u0435\u0442: 42", "42", "phrase"),
    ("We find that $x < 3$.", "x < 3", "formula"),
    ("She pays $5 more than Tom, who pays $4, so she pays $9.", "$9", "number"),
    ("So he has 3 + 4 = 7 apples left.", "7", "number"),
    ("\u6240\u4ee5\u4e00\u5171\u67093 + 10 = 13\u53ea\u9e1f\u3002", "13", "number"),
    ("Le co\u00fbt final est donc de 100 - 30 = 70", "70", "number"),
]


@pytest.mark.parametrize(("reply", "text", "where"), FOUND)
def test_extract(reply, text, where):
    found = extract(reply)
    assert found is not None
    assert (found.text, found.where) == (text, where)


@pytest.mark.parametrize(
    "reply",
    [
        "", "   ", "no idea, sorry, I cannot say",
        "<think>the answer is 42", r"<think>\boxed{42}</think>",
        "<answer>41</answer><answer>42</answer>", "<answer>42", "<answer></answer>",
    ],
)  # fmt: skip
def test_no_answer(reply):
    assert extract(reply) is None
    assert verify(reply, "42").kind == "unparseable"


def test_only_what_follows_the_reasoning_counts():
    assert verify(r"<think>\boxed{41}</think> \boxed{42}", "42").is_correct
    assert verify(r"reasoning </think> \boxed{42}", "42").is_correct
    assert not verify(r"<think>\boxed{42}</think> \boxed{41}", "42").is_correct


@pytest.mark.parametrize("first, second", [("42", "41"), ("41", "42")])
def test_two_answers_are_none(first, second):
    for form in (
        r"\boxed{{{}}} \boxed{{{}}}", r"\boxed{{{}}} or \boxed{{{}}}",
        r"\boxed{{{} \text{{ or }} {}}}", "The answer is {} or {}.", r"\boxed{{{}, {}}}",
        "<answer>{}</answer><answer>{}</answer>",
    ):  # fmt: skip
        assert not verify(form.format(first, second), "42").is_correct, form


def test_marked_only_leaves_out_prose():
    prose = "So in the end there are 42 apples."
    assert verify(prose, "42").is_correct
    assert verify(prose, "42", marked_only=True).kind == "unparseable"
    for marked in ("42", r"So \boxed{42}", "The answer is 42.", "#### 42", "<answer>42</answer>"):
        assert verify(marked, "42", marked_only=True).is_correct
    assert (
        verify("well, surely it is B as I would say", "B", marked_only=True).kind == "unparseable"
    )


def test_boxes():
    assert last_boxed_string(r"a \boxed{1}, b \boxed{\frac{2}{3}} c") == r"\boxed{\frac{2}{3}}"
    assert last_boxed_string(r"a \boxed{1} b \boxed{2") == r"\boxed{1}"
    assert last_boxed_string(r"\boxed{2") is None
    assert last_boxed_content(r"so \\boxed{\{1, 2\}}.") == r"\{1, 2\}"
    assert last_boxed_content("nothing") is None
    assert unwrap_boxed(r" \boxed{\sqrt{2}} ") == r"\sqrt{2}"
    assert unwrap_boxed(r"\boxed{1} and \boxed{2}") is None
    assert unwrap_boxed("1") is None
    for helper in (last_boxed_string, last_boxed_content, unwrap_boxed):
        assert helper(None) is None


def test_xml_fields():
    text = "<reasoning>3 + 4</reasoning>\n<answer>8</answer><answer> 7 </answer>"
    assert xml_fields(text) == {"reasoning": "3 + 4", "answer": "7"}
    assert xml_fields(text, ["answer", "code"]) == {"answer": "7"}
    assert xml_fields("<answer>7") == {}
