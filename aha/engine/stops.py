"""When a completion ends: EOS ids, stop strings, and its text."""

import numpy as np

from aha.engine.types import SamplingParams
from aha.model.tokenizer import Tokenizer


class Stops:
    """Tables over the vocabulary, so that a step looks at few rows in Python."""

    def __init__(self, tokenizer: Tokenizer, params: SamplingParams, vocab_size: int):
        self._tokenizer, self._strings = tokenizer, params.stop
        ends = [token for token in tokenizer.eos_token_ids if token < vocab_size]
        self._eos = frozenset(ends if params.stop_at_eos else ())
        self.eos_table = np.zeros(vocab_size, bool)
        self.eos_table[list(self._eos)] = True
        self.text_table = np.zeros(vocab_size, bool)
        """Tokens that may complete a stop string."""
        if params.stop:
            self._mark_endings(vocab_size)

    def _mark_endings(self, vocab_size: int) -> None:
        """A stop string is complete only after a token that holds its last character.

        Half a character decodes to U+FFFD and white space may vanish: those always count.
        """
        last = {string[-1] for string in self._strings} | {"\ufffd"}
        if any(char.isspace() for char in last):
            self.text_table[:] = True
            return
        known = min(self._tokenizer.vocab_size, vocab_size)
        texts = self._tokenizer.backend.decode_batch(
            [[token] for token in range(known)], skip_special_tokens=True
        )
        self.text_table[:known] = [bool(last.intersection(text)) for text in texts]

    def completes_string(self, token_ids: list[int]) -> bool:
        """Whether the text of these tokens holds a stop string."""
        text = self._tokenizer.decode(token_ids)
        return any(string in text for string in self._strings)

    def text(self, token_ids: list[int]) -> tuple[str, bool]:
        """The text without EOS and without what follows a stop string, and whether it stopped."""
        ended = bool(token_ids) and token_ids[-1] in self._eos
        text = self._tokenizer.decode(token_ids[:-1] if ended else token_ids)
        cuts = [text.find(string) for string in self._strings if string in text]
        return (text[: min(cuts)], True) if cuts else (text, ended)
