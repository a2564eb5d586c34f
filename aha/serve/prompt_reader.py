"""Reading prompts: in pieces whose ends do not depend on the prompt, so that beginnings are shared.

A template, a system prompt or an earlier turn is read once and kept. The pieces of a prompt are the
same whether its beginning was kept or not, and each is computed alone: so its numbers are too.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from aha.engine.cache import Prefilled
from aha.engine.decode import Stepper

FIRST_PIECE_TOKENS = 64
LARGEST_PIECE_TOKENS = 512


@dataclass(eq=False, slots=True)
class Prompt:
    """Token ids that one or more rows continue."""

    ids: Sequence[int]
    read: Prefilled | None = None
    """Keys and values of the first of them, until the last row has them."""

    @property
    def num_read(self) -> int:
        return 0 if self.read is None else self.read.num_tokens

    @property
    def is_read(self) -> bool:
        return self.num_read == len(self.ids)


class PromptReader:
    """Prefills prompts piece by piece and keeps beginnings for those that come later."""

    def __init__(self, stepper: Stepper, *, kept_tokens: int):
        """kept_tokens: most tokens whose keys and values are kept."""
        self._stepper, self._kept_tokens = stepper, kept_tokens
        self._kept: OrderedDict[tuple[int, ...], Prefilled] = OrderedDict()
        self.num_found = 0
        """Tokens of prompts that had been read before."""

    def read_on(self, prompt: Prompt) -> int:
        """Read the next piece of a prompt; returns how many tokens were computed."""
        if prompt.read is None:
            prompt.read = self._find(prompt.ids)
            self.num_found += prompt.num_read
            if prompt.is_read:
                return 0
        start = prompt.num_read
        end = min(next(end for end in _ends() if end > start), len(prompt.ids))
        prompt.read = self._read(prompt.ids[start:end], prompt.read)
        self._keep(tuple(prompt.ids[:end]), prompt.read)
        return end - start

    def _find(self, ids: Sequence[int]) -> Prefilled | None:
        """The longest beginning that is kept."""
        found = None
        for end in _ends():
            key = tuple(ids[:end])
            if end > len(ids) or key not in self._kept:
                return found
            self._kept.move_to_end(key)
            found = self._kept[key]
        return found

    def _keep(self, ids: tuple[int, ...], read: Prefilled) -> None:
        """Of an end that other prompts have too; the longest unused ones make room."""
        if _ends_to(len(ids))[-1:] != [len(ids)] or len(ids) > self._kept_tokens // 4:
            return
        self._kept[ids] = read
        while sum(map(len, self._kept)) > self._kept_tokens:
            self._kept.popitem(last=False)

    def _read(self, ids: Sequence[int], old: Prefilled | None) -> Prefilled:
        device = self._stepper.device
        tokens = torch.tensor([list(ids)], device=device)
        new = self._stepper.prefill(tokens, torch.tensor([len(ids)], device=device), old)
        if old is None:
            return new
        keys = [torch.cat(pair, 2) for pair in zip(old.keys, new.keys, strict=True)]
        values = [torch.cat(pair, 2) for pair in zip(old.values, new.values, strict=True)]
        return Prefilled(keys, values, new.hidden_ND)


def _ends() -> Iterator[int]:
    """Where pieces end: 64, 128, 256, 512, 1024, 1536, ..."""
    end = FIRST_PIECE_TOKENS
    while True:
        yield end
        end += min(end, LARGEST_PIECE_TOKENS)


def _ends_to(most: int) -> list[int]:
    ends: list[int] = []
    for end in _ends():
        if end > most:
            return ends
        ends.append(end)
    return ends
