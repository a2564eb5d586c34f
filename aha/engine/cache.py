"""Keys and values of the rows that are being decoded.

Shapes: S slots, of which the first R are in use, K key heads, W tokens a block, C blocks, d head
width, L layers. Everything is float32, whatever the weights are, as in the trainer's attention.
"""

import torch
from torch import Tensor

from aha.model.config import ModelConfig


class KVCache:
    """The tokens of each row after the prefix that all rows share, from column 0 on.

    A layer's tensor is [C, S, K, W, d]: the block of a span of columns holds every row without
    gaps between them. Gaps stop the processor's prefetch: 1,024 products of one query with 80
    tokens took 0.4 ms from gapless memory and 1.5 ms from rows of 144 tokens' capacity.
    Attention reads whole blocks: columns that a row has not written have a bias of -inf and finite
    content, so that they count for nothing.
    """

    def __init__(
        self, config: ModelConfig, *, num_slots: int, capacity_tokens: int, device: torch.device
    ):
        self.width = block_tokens(capacity_tokens)
        num_blocks = -(-capacity_tokens // self.width)
        shape = (num_blocks, num_slots, config.num_kv_heads, self.width, config.head_dim)
        self.num_slots, self.capacity_tokens = num_slots, num_blocks * self.width
        layers = range(config.num_layers)
        self.keys = [torch.zeros(shape, device=device) for _ in layers]
        self.values = [torch.zeros(shape, device=device) for _ in layers]
        self.bias = torch.full((num_slots, self.capacity_tokens), -torch.inf, device=device)
        heads = torch.arange(num_slots * config.num_kv_heads, device=device)
        self._head_starts = heads.view(num_slots, -1) * self.width
        self._block_stride = heads.numel() * self.width

    def fill(
        self,
        slots: Tensor,
        keys: list[Tensor],
        values: list[Tensor],
        source: Tensor,
        lengths: Tensor,
    ) -> None:
        """Start rows: slot i takes source[i] of the prompts' keys and values [N, K, T, d]."""
        for layer, (key, value) in enumerate(zip(keys, values, strict=True)):
            self._fill(self.keys[layer], slots, key[source])
            self._fill(self.values[layer], slots, value[source])
        column = torch.arange(self.capacity_tokens, device=self.bias.device)
        empty = column[None] >= lengths[:, None]
        bias = torch.zeros_like(empty, dtype=torch.float32)
        self.bias[slots] = bias.masked_fill_(empty, -torch.inf)

    def _fill(self, blocks: Tensor, slots: Tensor, content: Tensor) -> None:
        for block, part in zip(blocks, content.split(self.width, dim=2), strict=False):
            block[slots, :, : part.shape[2]] = part

    def columns(self, positions_R: Tensor) -> Tensor:
        """Where the next token of each row goes, which becomes readable.

        Returns indices [R * K] into a layer's tensor seen as [C * S * K * W, d].
        """
        num_rows = positions_R.shape[0]
        self.bias[:num_rows].scatter_(1, positions_R[:, None], 0.0)
        block = torch.div(positions_R, self.width, rounding_mode="floor")
        start = block * self._block_stride + positions_R - block * self.width
        return (self._head_starts[:num_rows] + start[:, None]).flatten()

    def write(self, layer: int, where: Tensor, key_RKd: Tensor, value_RKd: Tensor) -> None:
        """Append one token to each row, at `columns`."""
        width = key_RKd.shape[-1]
        self.keys[layer].view(-1, width).index_copy_(0, where, key_RKd.reshape(-1, width))
        self.values[layer].view(-1, width).index_copy_(0, where, value_RKd.reshape(-1, width))

    def num_blocks(self, num_tokens: int) -> int:
        """Blocks that hold the first tokens of every row."""
        return -(-num_tokens // self.width)

    def read(self, layer: int, num_rows: int, num_blocks: int) -> tuple[list[Tensor], list[Tensor]]:
        """Keys and values of the first rows: views [R * K, W, d], one a block."""
        keys = self.keys[layer][:num_blocks, :num_rows].unbind(0)
        values = self.values[layer][:num_blocks, :num_rows].unbind(0)
        return [key.flatten(0, 1) for key in keys], [value.flatten(0, 1) for value in values]

    def move(self, source: Tensor, target: Tensor, num_tokens: int) -> None:
        """Copy rows to other slots, as far as their first tokens."""
        num_blocks = self.num_blocks(num_tokens)
        for tensors in (self.keys, self.values):
            for tensor in tensors:
                for block in tensor[:num_blocks]:
                    block.index_copy_(0, target, block.index_select(0, source))
        self.bias[target] = self.bias[source]


def block_tokens(capacity_tokens: int) -> int:
    """About an eighth of the capacity: small blocks waste reads, many blocks cost operators."""
    return min(max(1 << (capacity_tokens // 8).bit_length(), 32), 1024)
