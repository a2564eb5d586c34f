"""Language consistency: what counts as a word, and of which language."""

import random
import subprocess
import sys
import time
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aha.errors import UserError
from aha.rewards.language import (
    CONSISTENCY_LANGUAGES,
    count_words,
    detect_language,
    language_consistency,
)
from aha.rewards.language.consistency import _english_and_chinese, count_scripts
from aha.rewards.language.latin import count_latin
from aha.rewards.language.markup import prose_of
from aha.rewards.language.words import sentences
from aha.tasks.embedded.corpus import documents
from aha.tasks.embedded.logic import NAMES
from aha.tasks.embedded.voice import SENTENCES, VERDICTS, Voice
from tests.rewards.language import before

hostile_text = st.text(max_size=300) | st.text("aé我Пい한ع .`$\\([{}\n<>/_5'-", max_size=300)


class TestEnglishAndChinese:
    @pytest.mark.parametrize(
        ("text", "english", "chinese"),
        [
            ("First we add the numbers.", 1.0, 0.0),
            ("我们先把数字加起来。", 0.0, 1.0),
            ("add 数字加 now", 0.5, 0.5),  # 3 characters are 2 words
            ("使用python语", 1 / 3, 2 / 3),
            ("don't stop Привет there", 0.75, 0.0),
            ("café 我我我", 1 / 3, 2 / 3),
            ("设 x = 5, x1 + y_2 为 1st", 0.0, 1.0),
            ("<think> 我 </think> \\boxed{4}", 0.0, 1.0),
            ("我 `code here` ```py\nfor word in words\n``` $\\text{some words}$", 0.0, 1.0),
            ("我 $$a\nword$$ \\(word\\) \\[a\nword\\]", 0.0, 1.0),
            # not closed, or not closed on its line: prose
            ("我我我 `code", 1 / 3, 2 / 3),
            ("我我我 `code\n`", 1 / 3, 2 / 3),
            ("我我我 \\(code\n\\)", 1 / 3, 2 / 3),
            ("我我我 ```code", 1 / 3, 2 / 3),
            ("我我我 from $5 to $6", 0.5, 0.5),
            ("我我我 $5 to$", 0.0, 1.0),
            ("我我我 $5 to$6", 1 / 3, 2 / 3),
        ],
    )
    def test_share(self, text, english, chinese):
        assert language_consistency(text, "en") == pytest.approx(english, abs=1e-12)
        assert language_consistency(text, "zh") == pytest.approx(chinese, abs=1e-12)

    def test_the_embedded_world_is_judged_as_it_was(self):
        corpus = list(islice(documents(0, part="language"), 3_000))
        for text in corpus:
            for target in ("en", "zh"):
                assert language_consistency(text, target) == before.language_consistency(
                    text, target
                ), text

    @settings(deadline=None, max_examples=200)
    @given(st.integers(0, 2**32), st.lists(st.sampled_from(sorted(SENTENCES)), max_size=8))
    def test_any_mixture_of_its_sentences_is_judged_as_it_was(self, seed, names):
        rng = random.Random(seed)
        voice, said = Voice("mixed", rng), []
        people = (*NAMES["en"], *NAMES["zh"])
        for name in names:
            fields = {field: rng.choice(people) for field in ("a", "b", "name", "answer")}
            said.append(
                voice.say(name, **fields, numbers="3, 7", target=9, value=4, expression="57 - 28",
                          equation="2 + 3 = 5", equations=["2 + 3 = 5"],
                          verdict=rng.random() < 0.5)
            )  # fmt: skip
        said.append(rng.choice(VERDICTS["en"] + VERDICTS["zh"]))
        text = "".join(said)
        for target in ("en", "zh"):
            assert language_consistency(text, target) == before.language_consistency(text, target)

    def test_the_short_road_and_the_whole_road_count_the_same(self):
        short = 0
        for text in islice(documents(1, part="language"), 500):
            prose = prose_of(text)
            simple = _english_and_chinese(prose)
            whole = _count_whole(prose)
            assert simple is None or simple == whole, text
            short += simple is not None
        assert short == 500

    def test_it_is_as_fast_as_it_was(self):
        texts = [text[:330] for text in islice(documents(0, part="speed"), 1_000)]
        new = min(_seconds(language_consistency, texts) for _ in range(7))
        old = min(_seconds(before.language_consistency, texts) for _ in range(7))
        assert new < 2 * old

    def test_the_identifier_is_not_loaded_for_it(self):
        code = (
            "import sys; from itertools import islice\n"
            "from aha.rewards.language import language_consistency\n"
            "from aha.tasks.embedded.corpus import documents\n"
            "for text in islice(documents(0, part='x'), 300): language_consistency(text, 'en')\n"
            "sys.exit('py3langid' in sys.modules or 'torch' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def _count_whole(prose):
    found = list(sentences(prose))
    counts = count_scripts(found)
    for language, number in count_latin(found, "en").items():
        counts[language] = counts.get(language, 0.0) + number
    return {language: number for language, number in counts.items() if number}


def _seconds(function, texts):
    start = time.perf_counter()
    for text in texts:
        function(text, "en")
    return time.perf_counter() - start


class TestWords:
    @pytest.mark.parametrize(
        "text", ["", "1 + 2 = 3", "x", "`all code`", "$x+yy$", "\0\ud800", "_", "GPT", "5 km"]
    )
    def test_no_words(self, text):
        for target in CONSISTENCY_LANGUAGES:
            assert language_consistency(text, target) is None

    @pytest.mark.parametrize(
        "text",
        [
            "我们问 Alice Smith 和 John 。",  # names
            "他住在 Los Angeles 。",
            "使用 GPT 和 NASA 的数据。",  # acronyms
            "距离是 5 km ，重 3 kg 。",  # units behind a number
            "计算 sin x 和 tan(y) 和 gcd(12, 18) 。",  # operators
            "调用 fooBar 和 np.zeros(3) 和 quux(x) 。",  # identifiers
            "参见 https://example.com/a-long-way?to=go 或 me.too@example.org 。",
            "如下：\\begin{align*} some &= words \\\\ \\end{align*} 成立。",
            "如下： [asy] draw(circle); fill the rest [/asy] 成立。",
            "代码：\nfor i in range(10):\nimport numpy\n成立。",
        ],
    )
    def test_what_is_no_word(self, text):
        assert language_consistency(text, "zh") == 1.0

    def test_a_capital_letter_means_nothing_where_a_sentence_starts(self):
        assert language_consistency("我们看看。 Xylophones sound good.", "zh") < 0.6

    def test_operators_may_be_words_too(self):
        assert count_words("sin embargo, la respuesta es tan simple", "es") == {"es": 7}
        assert count_words("keep a log of it", "en") == {"en": 4}

    def test_german_nouns_are_words_and_names_are_not(self):
        assert count_words("wir zählen die Gurken im Garten", "de")["de"] == 6
        assert count_words("we give the Gurken to him", "en")["en"] == 5

    def test_an_accent_may_be_a_character_of_its_own(self):
        composed, apart = "déjà calculé", "de\u0301ja\u0300 calcule\u0301"
        assert count_words(composed, "fr") == count_words(apart, "fr") == {"fr": 2}


class TestLanguages:
    @pytest.mark.parametrize(
        ("text", "counts"),
        [
            ("We have donc alors twelve apples left", {"en": 5, "fr": 2}),
            ("We zählen nicht all of them", {"en": 4, "de": 2}),
            ("la table est on the table", {"fr": 3, "en": 3}),
            ("Prima calcoliamo la somma dei numeri", {"it": 6}),
            ("まず数えます。", {"ja": 3.0}),
            ("首先数一数。まず数えましょう", {"zh": 5 / 1.5, "ja": 4.0}),
            ("먼저 사과를 세어 봅시다", {"ko": 4}),
            ("أولا نحسب عدد التفاحات", {"ar": 4}),
            ("چند سیب داریم", {"other": 3}),  # Persian
            ("Спочатку знайдемо кількість яблук", {"other": 4}),  # Ukrainian
            ("πρώτα μετράμε τα μήλα", {"other": 4}),
        ],
    )
    def test_counts(self, text, counts):
        assert count_words(text, "en") == pytest.approx(counts)

    def test_what_no_lexicon_knows_is_asked_of_the_identifier(self):
        swedish = "sorteringsoperatorn används bara tillsammans med enskilda argument"
        assert count_words(swedish, "en") == {"other": 7}
        english = "giraffes ate cucumbers yesterday evening beneath towering eucalyptus"
        assert language_consistency(english, "en") == 1.0

    def test_unknown_words_are_of_the_target_language(self):
        for target in ("en", "fr", "de", "es"):
            assert language_consistency("blorf gnarp", target) == 1.0
            assert language_consistency("Blorf", target) == 1.0
        assert language_consistency("blorf gnarp", "ru") == 0.0

    def test_unknown_language(self):
        with pytest.raises(UserError, match="'xx'") as caught:
            language_consistency("a", "xx")
        assert caught.value.hint == "known: en, zh, fr, de, es, ru, ja, ko, ar"
        with pytest.raises(UserError) as caught:
            language_consistency("a", "eng")
        assert caught.value.hint == "did you mean 'en'?"

    @pytest.mark.parametrize(
        ("text", "language"),
        [
            ("Compute 57 - 28", "en"),
            ("57 - 28 等于多少？", "zh"),
            ("Combien font 57 - 28 ?", "fr"),
            ("Wie viel ist 57 - 28?", "de"),
            ("¿Cuánto es 57 - 28?", "es"),
            ("Сколько будет 57 - 28?", "ru"),
            ("57 - 28 はいくつですか", "ja"),
            ("Quanto fa sette per otto?", "it"),
            ("57 - 28 = ?", None),
            ("", None),
        ],
    )
    def test_the_language_of_a_question(self, text, language):
        assert detect_language(text) == language


@settings(deadline=None, max_examples=300)
@given(hostile_text)
def test_any_text_is_judged(text: str):
    shares = [language_consistency(text, target) for target in ("en", "zh", "ja", "ko", "ar", "ru")]
    if None in shares:
        assert shares == [None] * 6
    else:
        assert 0.0 <= sum(shares) <= 1.0 + 1e-9
    for target in ("fr", "de", "es"):
        share = language_consistency(text, target)
        assert share is None or 0.0 <= share <= 1.0
    assert detect_language(text) is None or isinstance(detect_language(text), str)


@pytest.mark.parametrize(
    "unit",
    ["a ", "xyzzy ", "Xyz ", "é", "e\u0301", "\u0301", "ы ", "какт ", "あ", "`\n", "\\begin{align}",
     "[asy]", "a.b@", "for i in range(", "import a", "Foo de ", "zz. "],
)  # fmt: skip
def test_time_is_linear(unit: str):
    text = unit * (200_000 // len(unit))
    started = time.perf_counter()
    language_consistency(text, "en")
    assert time.perf_counter() - started < 5.0
