"""Text in pieces is the text of the whole, whatever the pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers

from aha.model.tokenizer import Tokenizer
from aha.serve.text_stream import TextStream
from tests.trainers.tiny import tiny_tokenizer


def byte_tokenizer() -> Tokenizer:
    """One token a byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Backend(models.BPE({char: i for i, char in enumerate(alphabet)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return Tokenizer(backend)


BYTES, WORDS = byte_tokenizer(), tiny_tokenizer()
CUTS = st.lists(st.integers(1, 5), min_size=1, max_size=40)


def in_pieces(tokenizer, ids, sizes, stop=()):
    """(text, pieces, whether a stop string was met)."""
    stream, pieces, start = TextStream(tokenizer, stop), [], 0
    for size in [*sizes, len(ids)]:
        pieces.append(stream.feed(ids[start : start + size]))
        start += size
    pieces.append(stream.finish())
    return "".join(pieces), pieces, stream.has_stopped


@given(st.text(max_size=30), CUTS)
def test_characters_of_several_bytes(text, sizes):
    found, pieces, _ = in_pieces(BYTES, BYTES.encode(text), sizes)
    assert found == text == BYTES.decode(BYTES.encode(text))
    assert not any(piece.endswith("\ufffd") for piece in pieces[:-1]) or "\ufffd" in text


@given(st.binary(max_size=20), CUTS)
def test_bytes_that_are_no_text(data, sizes):
    alphabet = {
        BYTES.decode([i]).encode()[0]: i for i in range(256) if BYTES.decode([i]) != "\ufffd"
    }
    ids = [alphabet.get(byte, byte) for byte in data]
    assert in_pieces(BYTES, ids, sizes)[0] == BYTES.decode(ids)


@given(st.lists(st.integers(0, 15), max_size=30), CUTS)
def test_words_with_spaces_between_and_special_tokens(ids, sizes):
    assert in_pieces(WORDS, ids, sizes)[0] == WORDS.decode(ids)


@given(
    st.text("abc", max_size=20), st.lists(st.text("abc", min_size=1, max_size=3), max_size=3), CUTS
)
def test_stop_strings_are_cut_off_with_what_follows(text, stop, sizes):
    ids = BYTES.encode(text)
    found, _, stopped = in_pieces(BYTES, ids, [1] * len(ids), stop)
    ends = {s: text.find(s) + len(s) for s in stop if s in text}
    assert stopped == bool(ends)
    if ends:  # the first that is complete, and among these the one that began first
        first = min(ends.values())
        assert found == text[: min(end - len(s) for s, end in ends.items() if end == first)]
    else:
        assert found == text == in_pieces(BYTES, ids, sizes, stop)[0]


@pytest.mark.parametrize(("pieces", "expected"), [
    (["ab", "c"], ["ab", "c"]), (["aX", "Y"], ["a", ""]), (["aX", "b"], ["a", "Xb"]), (["X"], [""]),
])  # fmt: skip
def test_what_may_become_a_stop_string_is_held_back(pieces, expected):
    stream = TextStream(BYTES, ("XY",))
    assert [stream.feed(BYTES.encode(piece)) for piece in pieces] == expected
    assert stream.finish() == ("X" if pieces == ["X"] else "")
