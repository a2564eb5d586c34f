"""Keys and values for `attention.h`, which rotates, appends and attends in one call a layer."""

import contextlib
import ctypes
import mmap
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from aha.engine import native
from aha.engine.cache import Cache, Prefilled
from aha.model.config import ModelConfig

LANES = native.LANES


def whole(tokens: int) -> int:
    """Rounded up to whole vectors."""
    return -(-tokens // LANES) * LANES


@dataclass(frozen=True, slots=True)
class _Prompts:
    """Prompts that were prefilled together: keys [N, K, T / 16, d, 16] and values [N, K, T, d]."""

    keys: list[Tensor]
    values: list[Tensor]


class NativeCache(Cache):
    """Keys [S, K, C / 16, d, 16], so that a vector holds 16 tokens, and values [S, K, C, d].

    They hold a row's new tokens only. Its prompt lies where the prefill left it, once for all rows
    that continue it: a row has its address.
    """

    def __init__(
        self, config: ModelConfig, *, num_slots: int, capacity_tokens: int, device: torch.device
    ):
        """capacity_tokens: of new tokens a row, prompts apart. The device is always the CPU."""
        assert device.type == "cpu"
        capacity = whole(capacity_tokens)
        super().__init__(config, num_slots, capacity)
        heads, width = config.num_kv_heads, config.head_dim
        layers = range(config.num_layers)
        size = num_slots * heads * capacity * width
        room = _huge_pages(2 * config.num_layers * size).view(2, config.num_layers, size)
        tiles = (num_slots, heads, capacity // LANES, width, LANES)
        self.keys = [room[0, layer].view(tiles) for layer in layers]
        self.values = [room[1, layer].view(num_slots, heads, capacity, width) for layer in layers]
        self._prompts: list[_Prompts | None] = [None] * num_slots
        self._prompt_keys = torch.zeros(config.num_layers, num_slots, dtype=torch.int64)
        self._prompt_values = torch.zeros_like(self._prompt_keys)
        self._prompt_tokens = torch.zeros(num_slots, dtype=torch.int64)
        self._prompt_stride = torch.zeros(num_slots, dtype=torch.int64)
        self._prefix: list[tuple[Tensor, Tensor]] = []
        self._straight = torch.zeros(num_slots, width)
        self._straight[:, ::2] = 1.0
        self._turn, self._positions = self._straight, self._prompt_tokens
        self._laid_out: tuple[Prefilled, _Prompts] | None = None
        self.arrays: list[native.Arrays] = []
        """Of each layer, for the library; valid until the next `set_prefix`."""
        self._scratch = torch.empty(0)

    def set_prefix(self, prefix: Prefilled | None) -> None:
        """Lay out the tokens that all rows share: keys [K, d, P] padded to 16, values [K, P, d]."""
        super().set_prefix(prefix)
        self._prefix, self._laid_out = [], None
        self._prompts = [None] * self.num_slots
        self._prompt_tokens.zero_()
        if prefix is not None:
            padding = (0, whole(self.num_prefix) - self.num_prefix)
            for key, value in zip(prefix.keys, prefix.values, strict=True):
                columns = F.pad(key[0].transpose(1, 2), padding).contiguous()
                self._prefix.append((columns, value[0].contiguous()))
        self.arrays = [self._arrays(layer) for layer in range(self.config.num_layers)]

    def fill(self, slots: Tensor, prompts: Prefilled, source: Tensor, lengths: Tensor) -> None:
        """Start rows: slot i continues the first lengths[i] tokens of prompt source[i]."""
        if self._laid_out is None or self._laid_out[0] is not prompts:
            self._laid_out = (prompts, _lay_out(prompts))
        batch = self._laid_out[1]
        for slot in slots.tolist():
            self._prompts[slot] = batch  # keeps the addresses alive
        for table, tensors in (
            (self._prompt_keys, batch.keys),
            (self._prompt_values, batch.values),
        ):
            for layer, tensor in enumerate(tensors):
                table[layer, slots] = tensor.data_ptr() + source * tensor.stride(0) * 4
        self._prompt_tokens[slots] = lengths
        self._prompt_stride[slots] = batch.values[0].shape[2]

    def move(self, source: Tensor, target: Tensor, num_tokens: int) -> None:
        """Copy rows to other slots, as far as num_tokens with their prompts."""
        own = whole(min(num_tokens - int(self._prompt_tokens[source].min()), self.capacity_tokens))
        for key, value in zip(self.keys, self.values, strict=True):
            key[target, :, : own // LANES] = key[source, :, : own // LANES]
            value[target, :, :own] = value[source, :, :own]
        for table in (self._prompt_keys, self._prompt_values):
            table[:, target] = table[:, source]
        for row in (self._prompt_tokens, self._prompt_stride):
            row[target] = row[source]
        for a, b in zip(source.tolist(), target.tolist(), strict=True):
            self._prompts[b], self._prompts[a] = self._prompts[a], None

    def begin(self, positions_R: Tensor, num_tokens: int, turn_RX: Tensor) -> None:
        """Start a step. A free slot may hold fewer tokens than its last prompt: it gets a place."""
        self._positions = torch.maximum(positions_R, self._prompt_tokens[: len(positions_R)])
        self._turn = torch.view_as_real(turn_RX).flatten(1)
        self._shape, library = self.shape(len(positions_R)), native.library()
        assert library is not None
        room = library.aha_attend_room(ctypes.byref(self._shape))
        if len(self._scratch) < room:
            self._scratch = torch.empty(room)

    def attend(self, layer: int, heads_RXd: Tensor, *, rotates: bool) -> Tensor:
        """Attention [R, H, d] of the new tokens' heads [R, H + 2K, d], which are appended."""
        config, library = self.config, native.library()
        assert library is not None
        heads_RXd = heads_RXd.contiguous()
        out = heads_RXd.new_empty(len(heads_RXd), config.num_heads, config.head_dim)
        arrays = self.arrays[layer]
        arrays.qkv, arrays.out = heads_RXd.data_ptr(), out.data_ptr()
        arrays.turn = (self._turn if rotates else self._straight).data_ptr()
        arrays.positions, arrays.scratch = self._positions.data_ptr(), self._scratch.data_ptr()
        self._shape.window = config.windows[layer] or 0
        library.aha_attend(ctypes.byref(self._shape), ctypes.byref(arrays))
        return out

    def shape(self, num_rows: int) -> native.Shape:
        """The sizes as they are now; the window is the layer's."""
        config = self.config
        return native.Shape(
            rows=num_rows,
            groups=config.num_kv_heads,
            group=config.group_size,
            width=config.head_dim,
            prefix=self.num_prefix,
            prompt=int(self._prompt_tokens.max()),
            capacity=self.capacity_tokens,
        )

    def _arrays(self, layer: int) -> native.Arrays:
        """Where a layer's keys and values lie."""
        keys, values = self._prefix[layer] if self._prefix else (None, None)
        return native.Arrays(
            prefix_keys=None if keys is None else keys.data_ptr(),
            prefix_values=None if values is None else values.data_ptr(),
            prompt_keys=self._prompt_keys[layer].data_ptr(),
            prompt_values=self._prompt_values[layer].data_ptr(),
            prompt_tokens=self._prompt_tokens.data_ptr(),
            prompt_stride=self._prompt_stride.data_ptr(),
            keys=self.keys[layer].data_ptr(),
            values=self.values[layer].data_ptr(),
        )


def _huge_pages(num_floats: int) -> Tensor:
    """Zeros in pages of 2 MiB where the system has them.

    Keys and values are read in pieces of some KB all over them, which is slow from small pages.
    """
    memory = mmap.mmap(-1, max(1, num_floats) * 4)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):
            memory.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=torch.float32)


def _lay_out(prompts: Prefilled) -> _Prompts:
    padding = (0, 0, 0, whole(prompts.num_tokens) - prompts.num_tokens)
    keys, values = [], []
    for key, value in zip(prompts.keys, prompts.values, strict=True):
        lanes = F.pad(key, padding).unflatten(2, (-1, LANES)).transpose(3, 4)
        keys.append(lanes.contiguous())
        values.append(F.pad(value, padding).contiguous())
    return _Prompts(keys, values)
