"""The cache in torch operators, for every device.

Shapes as in `cache`; W tokens a block, C blocks.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from aha.engine.cache import Cache, Prefilled
from aha.model.config import ModelConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What all layers share in one step."""

    positions_R: Tensor
    where: Tensor
    """Of the new tokens [R * K] in a layer's tensor seen as [C * S * K * W, d]."""
    bias_RT: Tensor
    turn_R1X: Tensor
    num_blocks: int


class BlockCache(Cache):
    """A layer's tensor is [C, S, K, W, d]: a block holds a span of columns of every row, gapless.

    Gaps stop the processor's prefetch: 1,024 products of one query with 80 tokens took 0.4 ms from
    gapless memory and 1.5 ms from rows of 144 tokens' capacity. Attention reads whole blocks:
    columns that a row has not written have a bias of -inf and finite content: they count nothing.
    """

    def __init__(
        self, config: ModelConfig, *, num_slots: int, capacity_tokens: int, device: torch.device
    ):
        self.width = block_tokens(capacity_tokens)
        num_blocks = -(-capacity_tokens // self.width)
        super().__init__(config, num_slots, num_blocks * self.width)
        shape = (num_blocks, num_slots, config.num_kv_heads, self.width, config.head_dim)
        layers = range(config.num_layers)
        self.keys = [torch.zeros(shape, device=device) for _ in layers]
        self.values = [torch.zeros(shape, device=device) for _ in layers]
        self.bias = torch.full((num_slots, self.capacity_tokens), -torch.inf, device=device)
        heads = torch.arange(num_slots * config.num_kv_heads, device=device)
        self._head_starts = heads.view(num_slots, -1) * self.width
        self._block_stride = heads.numel() * self.width
        self._prefix: list[tuple[Tensor, Tensor]] = []
        self._step: _Step | None = None

    def set_prefix(self, prefix: Prefilled | None) -> None:
        """Keep keys and values [H, P, d] a layer."""
        super().set_prefix(prefix)
        self._prefix = []
        if prefix is not None:
            pairs = zip(prefix.keys, prefix.values, strict=True)
            self._prefix = [(self._by_query_head(k), self._by_query_head(v)) for k, v in pairs]

    def _by_query_head(self, tensor_1KPd: Tensor) -> Tensor:
        return tensor_1KPd[0].repeat_interleave(self.config.group_size, 0)

    def fill(self, slots: Tensor, prompts: Prefilled, source: Tensor, lengths: Tensor) -> None:
        for layer, (key, value) in enumerate(zip(prompts.keys, prompts.values, strict=True)):
            self._fill(self.keys[layer], slots, key[source])
            self._fill(self.values[layer], slots, value[source])
        column = torch.arange(self.capacity_tokens, device=self.bias.device)
        empty = column[None] >= lengths[:, None]
        bias = torch.zeros_like(empty, dtype=torch.float32)
        self.bias[slots] = bias.masked_fill_(empty, -torch.inf)

    def _fill(self, blocks: Tensor, slots: Tensor, content: Tensor) -> None:
        for block, part in zip(blocks, content.split(self.width, dim=2), strict=False):
            block[slots, :, : part.shape[2]] = part

    def move(self, source: Tensor, target: Tensor, num_tokens: int) -> None:
        for tensors in (self.keys, self.values):
            for tensor in tensors:
                for block in tensor[: -(-num_tokens // self.width)]:
                    block.index_copy_(0, target, block.index_select(0, source))
        self.bias[target] = self.bias[source]

    def begin(self, positions_R: Tensor, num_tokens: int, turn_RX: Tensor) -> None:
        num_rows, num_blocks = len(positions_R), -(-num_tokens // self.width)
        self.bias[:num_rows].scatter_(1, positions_R[:, None], 0.0)
        block = torch.div(positions_R, self.width, rounding_mode="floor")
        start = block * self._block_stride + positions_R - block * self.width
        self._step = _Step(
            positions_R=positions_R,
            where=(self._head_starts[:num_rows] + start[:, None]).flatten(),
            bias_RT=self.bias[:num_rows, : num_blocks * self.width],
            turn_R1X=turn_RX[:, None],
            num_blocks=num_blocks,
        )

    def attend(self, layer: int, heads_RXd: Tensor, *, rotates: bool) -> Tensor:
        step, config = self._step, self.config
        assert step is not None
        num_rotated = config.num_heads + config.num_kv_heads
        turned, value = heads_RXd.tensor_split([num_rotated], dim=1)
        if rotates:
            pairs = torch.view_as_complex(turned.unflatten(-1, (-1, 2)))
            turned = torch.view_as_real(pairs * step.turn_R1X).flatten(-2)
        query, key = turned.tensor_split([config.num_heads], dim=1)
        for blocks, new in ((self.keys[layer], key), (self.values[layer], value)):
            flat = new.reshape(-1, config.head_dim)
            blocks.view(-1, config.head_dim).index_copy_(0, step.where, flat)
        return self._attention(layer, query, step)

    def _read(self, blocks: Tensor, step: _Step) -> list[Tensor]:
        """The first rows: views [R * K, W, d], one a block."""
        rows = blocks[: step.num_blocks, : len(step.positions_R)]
        return [block.flatten(0, 1) for block in rows.unbind(0)]

    def _attention(self, layer: int, query_RHd: Tensor, step: _Step) -> Tensor:
        """One query a row and head against the shared prefix and the row's own tokens.

        The prefix is read once for all rows, as one product a head; one softmax spans both parts.
        """
        weights_RHT = self._scores(layer, query_RHd, step)
        torch.softmax(weights_RHT, dim=-1, out=weights_RHT)
        out_RHd = torch.zeros_like(query_RHd, memory_format=torch.contiguous_format)
        start = self.num_prefix
        if start:
            by_head = weights_RHT.transpose(0, 1)[..., :start]
            torch.bmm(by_head, self._prefix[layer][1], out=out_RHd.transpose(0, 1))
        values = self._read(self.values[layer], step)
        out_Ygd = out_RHd.view(len(values[0]), -1, query_RHd.shape[-1])
        weights_YgT = weights_RHT.view(len(values[0]), -1, weights_RHT.shape[-1])
        for value_YWd in values:
            out_Ygd.baddbmm_(weights_YgT[..., start : start + self.width], value_YWd)
            start += self.width
        return out_RHd

    def _scores(self, layer: int, query_RHd: Tensor, step: _Step) -> Tensor:
        """Scaled and masked scores [R, H, P + T]."""
        num_rows, num_heads, width = query_RHd.shape
        start, scale = self.num_prefix, 1 / math.sqrt(width)
        bias_R1T = step.bias_RT[:, None]
        out_RHT = query_RHd.new_empty(num_rows, num_heads, start + bias_R1T.shape[-1])
        if start:
            by_head, query_HRd = out_RHT.transpose(0, 1)[..., :start], query_RHd.transpose(0, 1)
            key_HdP = self._prefix[layer][0].transpose(1, 2)
            torch.baddbmm(by_head, query_HRd, key_HdP, beta=0, alpha=scale, out=by_head)
        keys = self._read(self.keys[layer], step)
        query_Ygd = query_RHd.reshape(len(keys[0]), -1, width)
        for index, key_YWd in enumerate(keys):
            score = torch.bmm(query_Ygd, key_YWd.transpose(1, 2)).view(num_rows, num_heads, -1)
            columns = slice(index * self.width, (index + 1) * self.width)
            target = out_RHT[..., start:][..., columns]
            torch.add(bias_R1T[..., columns], score, alpha=scale, out=target)
        window = self.config.windows[layer]
        if window is not None:
            out_RHT += self._window_bias(step, window)[:, None]
        return out_RHT

    def _window_bias(self, step: _Step, window: int) -> Tensor:
        """-inf [R, P + T] where a key has left the window of its row's newest token."""
        num_keys = self.num_prefix + step.bias_RT.shape[1]
        key = torch.arange(num_keys, device=step.bias_RT.device)
        oldest = step.positions_R + self.num_prefix - window + 1
        gone = key[None] < oldest[:, None]
        return torch.zeros_like(gone, dtype=torch.float32).masked_fill_(gone, -torch.inf)


def block_tokens(capacity_tokens: int) -> int:
    """About an eighth of the capacity: small blocks waste reads, many blocks cost operators."""
    return min(max(1 << (capacity_tokens // 8).bit_length(), 32), 1024)
