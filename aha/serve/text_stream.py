"""The text of tokens that arrive a few at a time, with stop strings cut off."""

from collections.abc import Sequence

from aha.model.tokenizer import Tokenizer

HALF = "\ufffd"
"""What the bytes of half a character decode to."""


class TextStream:
    """`feed` returns text that is certain; the whole does not depend on how tokens were divided.

    Half characters are held back, and what may become a stop string.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = ()):
        self._tokenizer, self._stop = tokenizer, tuple(stop)
        self._ids: list[int] = []
        self._start = self._read = 0
        """Tokens before `_read` have been decoded; those from `_start` on go along.

        For text may depend on the token before (a space between words)."""
        self._held = ""
        self.has_stopped = False
        """Whether a stop string was met; everything after it is dropped."""

    def feed(self, token_ids: Sequence[int]) -> str:
        """Take the next tokens, special ones left out of the text; returns what is new."""
        self._ids += token_ids
        before, now = self._decode(self._read), self._decode(len(self._ids))
        if now.endswith(HALF):
            return ""
        self._start, self._read = self._read, len(self._ids)
        return self._pass_on(now[len(before) :])

    def finish(self) -> str:
        """Say that the text has ended; returns what was held back."""
        rest = self._decode(len(self._ids))[len(self._decode(self._read)) :]
        text = self._pass_on(rest)
        held, self._held = self._held, ""
        return text if self.has_stopped else text + held

    def _decode(self, end: int) -> str:
        return self._tokenizer.decode(self._ids[self._start : end])

    def _pass_on(self, text: str) -> str:
        """Text up to a stop string; keeps back the beginning of one."""
        if self.has_stopped or not self._stop:
            return "" if self.has_stopped else text
        text = self._held + text
        found = [at for string in self._stop if (at := text.find(string)) >= 0]
        if found:
            self.has_stopped, self._held = True, ""
            return text[: min(found)]
        cut = len(text) - max(_overlap(text, string) for string in self._stop)
        self._held = text[cut:]
        return text[:cut]


def _overlap(text: str, string: str) -> int:
    """Length of the longest beginning of `string` that ends `text`."""
    sizes = range(min(len(string) - 1, len(text)), 0, -1)
    return next((size for size in sizes if text.endswith(string[:size])), 0)
