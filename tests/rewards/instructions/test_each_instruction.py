"""Every instruction with texts that keep it and texts that break it."""

import pytest

from aha.rewards.instructions import INSTRUCTIONS, parse_instruction

ENGLISH = "Rivers carve valleys because water never stops moving over the stones."
CASES = [
    # instruction, arguments, kept by, broken by
    (
        "keywords:existence",
        {"keywords": ["River", "stone"]},
        ["The RIVER met a stone.", "rivers and millstones"],
        ["The river.", "stone", "riv er stone"],
    ),
    (
        "keywords:frequency",
        {"keyword": "war", "frequency": 2, "relation": "at least"},
        ["War and war.", "a warm reward"],
        ["war", "w a r w a r"],
    ),
    (
        "keywords:frequency",
        {"keyword": "war", "frequency": 2, "relation": "less than"},
        ["peace", "one war"],
        ["war war", "warwar"],
    ),
    (
        "keywords:forbidden_words",
        {"forbidden_words": ["rock", "don't"]},
        ["rocket and rocks", "do not"],
        ["A Rock!", "rock", "I don't."],
    ),
    (
        "keywords:letter_frequency",
        {"letter": "q", "let_frequency": 2, "let_relation": "at least"},
        ["Q q", "quiet queen"],
        ["q", "p"],
    ),
    (
        "keywords:letter_frequency",
        {"letter": "#", "let_frequency": 2, "let_relation": "at least"},
        ["# one\n# two"],
        ["# one"],
    ),
    (
        "language:response_language",
        {"language": "de"},
        ["Das ist ein kurzer Absatz, der auf Deutsch geschrieben wurde.", "12 + 30 = 42"],
        [ENGLISH],
    ),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 3, "relation": "less than"},
        ["One. Two.", "Dr. Smith met Mr. J. Jones at 3.5 p.m. today."],
        ["One. Two! Three?"],
    ),
    (
        "length_constraints:number_paragraphs",
        {"num_paragraphs": 2},
        ["one\n***\ntwo", "***\none\n***\ntwo\n***"],
        ["one\n\ntwo", "one***two***three", "one\n***\n***\ntwo"],
    ),
    (
        "length_constraints:number_words",
        {"num_words": 4, "relation": "at least"},
        ["one two three four", "don't can't"],
        ["one two three", "- * - *"],
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 3, "nth_paragraph": 2, "first_word": "Weekend"},
        ["a\n\nweekend, at last\n\nb", 'a\n\n"Weekend" it is\n\nb'],
        ["a\n\nb\n\nweekend", "a\n\nweekend", "a\n\nweekends\n\nb", "a\n\nweekend\n\nb\n\nc"],
    ),
    (
        "detectable_content:number_placeholders",
        {"num_placeholders": 2},
        ["[name] lives in [city]", "[a][b][c]"],
        ["[name]", "[a\n] [b", "(a) (b)"],
    ),
    (
        "detectable_content:postscript",
        {"postscript_marker": "P.P.S"},
        ["Bye\n\nP.P.S One more", "p. p. s. x"],
        ["P.S. One more", "PPS x"],
    ),
    (
        "detectable_content:postscript",
        {"postscript_marker": "P.S."},
        ["Bye\nP.S. One more", "p. s. x"],
        ["PS: x", "end"],
    ),
    (
        "detectable_format:number_bullet_lists",
        {"num_bullets": 2},
        ["* one\n* two", "- one\n  - two", "text\n* one\n**bold**\n- two"],
        ["* one", "* one\n* two\n* three", "**one**\n**two**", "1. one\n2. two"],
    ),
    (
        "detectable_format:constrained_response",
        {},
        ["My answer is yes.", "Well: My answer is maybe."],
        ["yes", "my answer is yes."],
    ),
    (
        "detectable_format:number_highlighted_sections",
        {"num_highlights": 2},
        ["*a* and **b**", "**a** **b**"],
        ["*a*", "** **", "*a\nb* *c"],
    ),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        ["SECTION 1\na\nSECTION 2\nb", "SECTION1 a SECTION 22 b"],
        ["Section 1\nSection 2", "SECTION 1 only", "SECTION A SECTION B"],
    ),
    (
        "detectable_format:json_format",
        {},
        ['{"a": [1, 2]}', '```json\n{"a": 1}\n```', "```\n[]\n```"],
        ["{a: 1}", 'Here: {"a": 1}', "[NaN]", "[" * 100_000],
    ),
    (
        "detectable_format:title",
        {},
        ["<<Poem of joy>>\ntext", "text <<a>> text"],
        ["<Poem>", "<<>>", "<<a\n>>", "<< >>", ">> a <<"],
    ),
    (
        "combination:two_responses",
        {},
        ["one\n******\ntwo", "******one******two******"],
        ["one", "one******one", "a******b******c", "a************b"],
    ),
    (
        "combination:repeat_prompt",
        {"prompt_to_repeat": "Write a poem."},
        ["Write a poem.\n\nRoses", " write a POEM. Yes"],
        ["Here: Write a poem.", "Write a song."],
    ),
    (
        "startend:end_checker",
        {"end_phrase": "Any questions?"},
        ["text. any questions?", '"text. Any questions?"\n'],
        ["Any questions? No.", "Any questions"],
    ),
    ("startend:quotation", {}, ['"text"', '\n"a "b" c"\n'], ["text", '"text', '"', "'text'"]),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 3, "capital_relation": "at least"},
        ["NASA sent A probe; I saw", "DON'T STOP", "I'm at IBM's HQ"],
        ["NASA and Esa", "iPhone USA"],
    ),
    (
        "change_case:english_capital",
        {},
        [ENGLISH.upper(), "OK 5!"],
        [ENGLISH, "DAS IST EIN TEXT AUF DEUTSCH, DER NICHT ENGLISCH IST.", "123"],
    ),
    (
        "change_case:english_lowercase",
        {},
        [ENGLISH.lower()],
        [ENGLISH, "das ist ein text auf deutsch, der nicht englisch ist.", "123"],
    ),
    ("punctuation:no_comma", {}, ["one; two"], ["one, two"]),
]


def test_all_25_instructions_have_cases():
    assert len(INSTRUCTIONS) == 25
    assert {name for name, *_ in CASES} == set(INSTRUCTIONS)


@pytest.mark.parametrize(("name", "arguments", "kept", "broken"), CASES)
def test_instruction(name, arguments, kept, broken):
    instruction = parse_instruction(name, arguments)
    assert [instruction.is_followed(text) for text in kept] == [True] * len(kept)
    assert [instruction.is_followed(text) for text in broken] == [False] * len(broken)
    assert not instruction.is_followed("") and not instruction.is_followed(" \n")


LANGUAGES = {
    "en": ENGLISH,
    "zh": "你好，这是一个用中文写的短段落。",
    "ja": "こんにちは、これは日本語で書かれた短い段落です。",
    "ko": "안녕하세요, 이것은 한국어로 쓰인 짧은 글입니다.",
    "hi": "नमस्ते, यह एक छोटा सा अनुच्छेद है जो हिंदी में लिखा गया है। हमें आशा है कि आप ठीक हैं।",
    "mr": "नमस्कार, हा मराठीत लिहिलेला एक छोटा परिच्छेद आहे. आम्हाला आशा आहे की तुम्ही ठीक आहात.",
    "ne": "नमस्ते, यो नेपाली भाषामा लेखिएको एउटा सानो अनुच्छेद हो। तपाईंलाई कस्तो छ?",
    "kn": "ನಮಸ್ಕಾರ, ಇದು ಕನ್ನಡದಲ್ಲಿ ಬರೆದ ಚಿಕ್ಕ ಪಠ್ಯ.",
    "vi": "Xin chào, đây là một đoạn văn ngắn được viết bằng tiếng Việt cho bạn.",
    "sw": "Habari, hii ni aya fupi iliyoandikwa kwa lugha ya Kiswahili kwa ajili yako.",
    "de": "Hallo, das ist ein kurzer Absatz, der auf Deutsch geschrieben wurde.",
    "pa": "ਸਤ ਸ੍ਰੀ ਅਕਾਲ, ਇਹ ਪੰਜਾਬੀ ਵਿੱਚ ਲਿਖਿਆ ਇੱਕ ਛੋਟਾ ਪੈਰਾ ਹੈ।",
    "fa": "سلام، این یک پاراگراف کوتاه است که به زبان فارسی نوشته شده است.",
    "ur": "السلام علیکم، یہ اردو میں لکھا گیا ایک مختصر پیراگراف ہے۔",  # noqa: RUF001
    "ar": "مرحبا، هذه فقرة قصيرة مكتوبة باللغة العربية من أجلك.",
    "ru": "Привет, это короткий абзац, написанный на русском языке.",
    "bg": "Здравейте, това е кратък параграф, написан на български език, който е за вас.",  # noqa: RUF001
    "pt": "Olá, este é um pequeno parágrafo escrito em português para você não se preocupar.",
    "it": "Ciao, questo è un breve paragrafo scritto in italiano che spiega tutto.",
    "gu": "નમસ્તે, આ ગુજરાતીમાં લખાયેલ ટૂંકો ફકરો છે.",
    "te": "నమస్కారం, ఇది తెలుగులో రాసిన చిన్న పేరా.",
    "ta": "வணக்கம், இது தமிழில் எழுதப்பட்ட சிறிய பத்தி.",
    "bn": "নমস্কার, এটি বাংলায় লেখা একটি ছোট অনুচ্ছেদ।",
    "th": "สวัสดี นี่คือย่อหน้าสั้น ๆ ที่เขียนเป็นภาษาไทย",
    "fi": "Hei, tämä on lyhyt kappale, joka on kirjoitettu suomeksi sinulle.",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_is_in_its_language_and_in_no_other(language):
    text = LANGUAGES[language]
    found = [
        other
        for other in LANGUAGES
        if parse_instruction("language:response_language", {"language": other}).is_followed(text)
    ]
    assert found == [language]
