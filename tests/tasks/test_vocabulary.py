"""The embedded tokenizer: any text survives, numbers and tags are whole."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aha.chat.templates import R1_ZERO_TEMPLATE
from aha.tasks.embedded.vocabulary import END_OF_TEXT, TAGS, build_tokenizer
from aha.trainers.config import PretrainConfig


@pytest.fixture(scope="module")
def tokenizer():
    config = PretrainConfig()
    return build_tokenizer(config.seed, vocab_size=config.vocab_size)


any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(text=any_text)
@example(text="\U0001f600 emoji \U0001f469\u200d\U0001f52c and \U0001f1fa\U0001f1f3 flags")
@example(text="\u202eright to left\u202c \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \ufeff\u200b")
@example(text="e\u0301 and \u00e9, \ud7ff\ue000\ufffd\uffff \t\r\n  two  spaces \x01\x7f")
@example(text="<think> 57 - 28 = 29 </think><answer> 29</answer>")
def test_any_text_round_trips(tokenizer, text):
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert all(0 <= token < tokenizer.vocab_size for token in ids)


@given(left=any_text, right=any_text)
def test_ids_of_two_texts_are_a_text(tokenizer, left, right):
    ids = tokenizer.encode(left) + tokenizer.encode(right)
    assert tokenizer.decode(ids) == left + right


def test_numbers_below_a_hundred_are_one_token_after_a_space(tokenizer):
    ids = [tokenizer.encode(f" {number}") for number in range(100)]
    assert all(len(tokens) == 1 for tokens in ids)
    assert len({tokens[0] for tokens in ids}) == 100
    assert len(tokenizer.encode(" 57 - 28 = 29")) == 5


@pytest.mark.parametrize("tag", TAGS)
def test_tags_are_one_token_and_stay_visible(tokenizer, tag):
    (token,) = tokenizer.encode(tag)
    assert tokenizer.decode([token]) == tag
    assert tokenizer.encode(f" so {tag} 5") == [
        *tokenizer.encode(" so "),
        token,
        *tokenizer.encode(" 5"),
    ]


def test_the_end_of_text_is_special(tokenizer):
    assert tokenizer.eos_token_id == tokenizer.token_to_id(END_OF_TEXT)
    assert tokenizer.decode([*tokenizer.encode("ok"), tokenizer.eos_token_id]) == "ok"


def test_the_vocabulary_has_the_size_asked_for(tokenizer):
    assert tokenizer.vocab_size == PretrainConfig().vocab_size


def test_the_template_of_the_paper_is_short_and_shared_by_all_questions(tokenizer):
    prompts = [
        tokenizer.encode(R1_ZERO_TEMPLATE.replace("{question}", question))
        for question in ("What is 57 - 28 + 13?", "谁最高？")
    ]
    shared = next(i for i, pair in enumerate(zip(*prompts, strict=False)) if len(set(pair)) > 1)
    assert shared > 50
    assert len(prompts[0]) < 130
