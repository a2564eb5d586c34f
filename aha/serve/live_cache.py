"""A cache for rows of any length: what a row has written joins its prompt when its window is full.

`NativeCache` keeps prompts where the prefill left them and gives every row the same room for new
tokens. Rows of a server end at very different lengths, so here that room is small, and a row takes
about as much memory as it has tokens.
"""

import torch
from torch import Tensor

from aha.engine.cache import Prefilled
from aha.engine.native_cache import NativeCache


class LiveCache(NativeCache):
    """`absorb` empties a row's window."""

    def absorb(self, slot: int, num_own: int) -> None:
        """Make a row's first own tokens part of its prompt, so that it has room for new ones.

        The row was filled from a prompt that was prefilled alone.
        """
        prompts = self._prompts[slot]
        assert prompts is not None and len(prompts.values[0]) == 1
        base = int(self._prompt_tokens[slot])
        pairs = zip(prompts.keys, self.keys, strict=True)
        keys = [_joined(_flat(old), base, _flat(new[slot][None]), num_own) for old, new in pairs]
        pairs = zip(prompts.values, self.values, strict=True)
        values = [_joined(old, base, new[slot][None], num_own) for old, new in pairs]
        whole_row = Prefilled(keys, values, torch.empty(0))
        lengths = torch.tensor([base + num_own])
        self.fill(torch.tensor([slot]), whole_row, torch.tensor([0]), lengths)
        self._laid_out = None  # the copy in the other layout

    def forget(self, slot: int) -> None:
        """Let go of the prompt of a slot that is free."""
        self._prompts[slot] = None
        self._prompt_tokens[slot] = 0


def _flat(tiles_1KTdL: Tensor) -> Tensor:
    """Keys [1, K, T / 16, d, 16] as [1, K, T, d]."""
    return tiles_1KTdL.transpose(3, 4).flatten(2, 3)


def _joined(old_1KTd: Tensor, num_old: int, new_1KTd: Tensor, num_new: int) -> Tensor:
    return torch.cat((old_1KTd[:, :, :num_old], new_1KTd[:, :, :num_new]), dim=2)
