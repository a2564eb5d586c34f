"""Rows that are decoded together while others enter, end or are given up at any step.

`Engine.generate` knows all its rows beforehand; a server does not. The forward pass, the caches and
the drawing of tokens are the engine's. Every prompt is prefilled alone and small batches are padded
to the number of rows from which products are computed row by row: so a row's numbers, and what is
drawn from them, depend on nothing beside it.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from aha.engine import native
from aha.engine.block_cache import BlockCache
from aha.engine.cache import Cache
from aha.engine.decode import Stepper
from aha.engine.engine import CPU_CACHE_BYTES
from aha.engine.room import token_bytes
from aha.engine.sampling import draw, uniforms
from aha.engine.types import FinishReason, SamplingParams
from aha.model.config import ModelConfig
from aha.model.decoder import Decoder
from aha.model.kernels import MIN_ROWS
from aha.serve.live_cache import LiveCache
from aha.serve.prompt_reader import Prompt, PromptReader
from aha.serve.text_stream import TextStream

WINDOW_TOKENS = 256
"""New tokens of a row before they join its prompt: the copy is then 1/256 of the work or less."""
PREFILL_TOKENS = 512
"""Of prompts between two steps: longer ones are read in pieces, and the others go on meanwhile."""
BROKEN = "the model's logits are not finite: its weights hold inf or nan"


@dataclass(eq=False, slots=True, kw_only=True)
class Row:
    """One completion."""

    prompt: Prompt
    draws: SamplingParams
    """How a token is drawn; its limit and its stops are not read."""
    limit: int
    """Most new tokens."""
    key: int
    """Of its random numbers."""
    stop_text: TextStream | None = None
    """Looks for stop strings."""
    token_ids: list[int] = field(default_factory=list)
    num_reread: int = 0
    """Leading tokens of those that its prompt holds since it lost its place."""
    finish_reason: FinishReason | None = None
    error: str = ""
    is_cancelled: bool = False

    @property
    def is_over(self) -> bool:
        return self.finish_reason is not None or bool(self.error) or self.is_cancelled


class LiveBatch:
    """The rows in decoding. Call from one thread, in inference mode."""

    def __init__(
        self,
        model: Decoder,
        *,
        eos_token_ids: Sequence[int],
        context_tokens: int,
        max_rows: int,
        max_tokens: int | None = None,
    ):
        """Room for rows.

        max_tokens: that keys and values are held for; None: what fits 2 GiB (on a GPU, half of what
        is free), and at least one row's.
        """
        self.stepper = Stepper(model)
        self.context_tokens, self._eos = context_tokens, frozenset(eos_token_ids)
        self._most_tokens = max(max_tokens or _budget(model), context_tokens)
        self._cache, self.max_rows = self._make_cache(max_rows)
        self.reader = PromptReader(self.stepper, kept_tokens=self._most_tokens // 8)
        slots, device = self._cache.num_slots, self.stepper.device
        self._rows: list[Row | None] = [None] * slots
        self._hidden = torch.zeros(slots, model.config.hidden_size, device=device)
        self._last = torch.zeros(slots, dtype=torch.int64, device=device)
        self._position = np.zeros(slots, np.int64)
        self._base = np.zeros(slots, np.int64)
        """Tokens in front of the row's window."""
        self._key = np.zeros(slots, np.uint64)
        self._age = np.zeros(slots, np.int64)
        self._num_placed = self.num_steps = 0

    @property
    def num_rows(self) -> int:
        return sum(row is not None for row in self._rows)

    def admit(self, waiting: deque[Row]) -> None:
        """Take rows from the left as far as there is room, and read their prompts."""
        budget = PREFILL_TOKENS if self.num_rows else self.context_tokens
        while waiting and self.num_rows < self.max_rows:
            row = waiting[0]
            if row.is_over:
                waiting.popleft()
                continue
            prompt = row.prompt
            if not self._has_room(len(prompt.ids)):
                return
            while not prompt.is_read:
                if budget <= 0:
                    return
                budget -= self.reader.read_on(prompt)
            self._place(row, prompt)
            waiting.popleft()
            if not waiting or waiting[0].prompt is not prompt:
                prompt.read = None

    def step(self) -> tuple[list[Row], list[Row]]:
        """Draw a token of every row; returns those that have ended, and those without a place.

        A row may lose its place to a longer one: admitted anew, it goes on where it was.
        """
        self._drop(lambda row: row.is_over)  # given up since the last step
        if not self.num_rows:
            return [], []
        self._close_gaps()
        self._draw(self._num_used())
        ended = self._drop(lambda row: row.is_over)
        displaced = self._widen()
        if self.num_rows:
            self._advance(self._num_used())
        return ended, displaced

    def clear(self) -> list[Row]:
        """Give all rows up."""
        return self._drop(lambda row: True)

    def _drop(self, unwanted: Callable[[Row], bool]) -> list[Row]:
        """Free the slots of some rows and return these."""
        slots = [slot for slot in self._used() if unwanted(self._at(slot))]
        return [self._free(slot) for slot in slots]

    def _free(self, slot: int) -> Row:
        row = self._at(slot)
        self._rows[slot] = None
        self._position[slot] = self._base[slot] = 0
        if isinstance(self._cache, LiveCache):
            self._cache.forget(slot)
        return row

    def _at(self, slot: int) -> Row:
        row = self._rows[slot]
        assert row is not None
        return row

    def _used(self) -> list[int]:
        return [slot for slot, row in enumerate(self._rows) if row is not None]

    def _make_cache(self, max_rows: int) -> tuple[Cache, int]:
        """The cache, and how many rows it can serve at once."""
        config, device = self.stepper.config, self.stepper.device
        pad = 1 if self.stepper.program is not None else MIN_ROWS
        window = min(WINDOW_TOKENS, self.context_tokens)
        if native.usable(device, config.head_dim):
            rows = max(1, min(max_rows, self._most_tokens // (4 * window)))
            cache: Cache = LiveCache(
                config, num_slots=max(rows, pad), capacity_tokens=window, device=device
            )
        else:
            rows = max(1, min(max_rows, self._most_tokens // self.context_tokens))
            cache = BlockCache(
                config,
                num_slots=max(rows, pad),
                capacity_tokens=self.context_tokens,
                device=device,
            )
        self._least_rows = pad
        cache.set_prefix(None)
        return cache, rows

    def _has_room(self, num_tokens: int) -> bool:
        """Whether a prompt's keys and values fit beside the others' and their next windows.

        A lone one always does.
        """
        if not isinstance(self._cache, LiveCache) or not self.num_rows:
            return True
        growth = self.num_rows * self._cache.capacity_tokens
        return self._num_held() + growth + num_tokens <= self._most_tokens

    def _num_held(self) -> int:
        """Tokens in memory: every window, and what stands in front of those in use."""
        windows = self._cache.num_slots * self._cache.capacity_tokens
        return windows + int(self._base[self._used()].sum())

    def _place(self, row: Row, prompt: Prompt) -> None:
        assert prompt.read is not None
        slot = self._rows.index(None)
        self._rows[slot] = row
        self._key[slot] = row.key
        self._position[slot] = self._base[slot] = len(prompt.ids)
        self._num_placed += 1
        self._age[slot] = self._num_placed
        self._hidden[slot] = prompt.read.hidden_ND[0]
        where, device = torch.tensor([slot]), self.stepper.device
        source, lengths = torch.tensor([0]), torch.tensor([len(prompt.ids)])
        self._cache.fill(where.to(device), prompt.read, source.to(device), lengths.to(device))

    def _num_used(self) -> int:
        """Slots up to the last row, or as many as make the products independent of each other."""
        return max(self._least_rows, self._used()[-1] + 1)

    def _draw(self, num_rows: int) -> None:
        """Draw the next token of every row, of all with the same parameters at once."""
        logits = self.stepper.logits(self._hidden[:num_rows])
        alike: dict[SamplingParams, list[int]] = {}
        for slot in self._used():
            alike.setdefault(self._at(slot).draws, []).append(slot)
        for params, slots in alike.items():
            rows = [self._at(slot) for slot in slots]
            num_new = np.array([len(row.token_ids) for row in rows])
            uniform = torch.from_numpy(uniforms(self._key[slots], num_new)).to(logits.device)
            everyone = len(slots) == num_rows
            tokens, logprobs = draw(logits if everyone else logits[slots], uniform, params)
            self._last[slots] = tokens
            finite = torch.isfinite(logprobs).tolist()
            for row, token, good in zip(rows, tokens.tolist(), finite, strict=True):
                self._append(row, token, good)
        self.num_steps += 1

    def _append(self, row: Row, token: int, good: bool) -> None:
        """Keep a drawn token and see whether the row ends with it."""
        row.token_ids.append(token)
        if not good:
            row.error = BROKEN
        elif token in self._eos or (row.stop_text and self._stops(row.stop_text, token)):
            row.finish_reason = "stop"
        elif len(row.token_ids) >= row.limit:
            row.finish_reason = "length"

    def _stops(self, text: TextStream, token: int) -> bool:
        text.feed([token])
        return text.has_stopped

    def _widen(self) -> list[Row]:
        """Empty full windows; where memory is short, the youngest rows lose their place."""
        displaced: list[Row] = []
        if not isinstance(self._cache, LiveCache):
            return displaced
        window = self._cache.capacity_tokens
        for slot in np.flatnonzero(self._position - self._base >= window).tolist():
            while self._rows[slot] is not None and self._is_short(window):
                youngest = max(self._used(), key=lambda other: int(self._age[other]))
                displaced.append(_reread(self._free(youngest)))
            if self._rows[slot] is not None:
                self._cache.absorb(slot, window)
                self._base[slot] = self._position[slot]
        return displaced[::-1]

    def _is_short(self, num_tokens: int) -> bool:
        return len(self._used()) > 1 and self._num_held() + num_tokens > self._most_tokens

    def _close_gaps(self) -> None:
        """Move the last rows into the gaps when more than a quarter of the slots are idle."""
        used = self._used()
        while used[-1] + 1 > max(self._least_rows, len(used) + len(used) // 4):
            source, target = used[-1], self._rows.index(None)
            self._move(source, target)
            used = self._used()

    def _move(self, source: int, target: int) -> None:
        a, b = torch.tensor([source]), torch.tensor([target])
        device = self.stepper.device
        self._cache.move(a.to(device), b.to(device), int(self._position[source]))
        for array in (self._position, self._base, self._key, self._age):
            array[target] = array[source]
        self._last[target], self._hidden[target] = self._last[source], self._hidden[source]
        self._rows[target] = self._free(source)

    def _advance(self, num_rows: int) -> None:
        """Append the drawn tokens to the cache and compute the next hidden states."""
        positions = torch.from_numpy(self._position[:num_rows]).to(self.stepper.device)
        most = int(self._position[:num_rows].max()) + 1
        self._hidden[:num_rows] = self.stepper.step(
            self._last[:num_rows], positions, self._cache, most
        )
        self._position[self._used()] += 1


def _reread(row: Row) -> Row:
    """A row that has to be placed anew: what it wrote is read with its prompt."""
    row.prompt = Prompt([*row.prompt.ids, *row.token_ids[row.num_reread :]])
    row.num_reread = len(row.token_ids)
    return row


def _budget(model: Decoder) -> int:
    """Tokens whose keys and values fit."""
    config: ModelConfig = model.config
    free, device = CPU_CACHE_BYTES, model.head_weight.device
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0] // 2
    return free // token_bytes(config)
