"""One forward pass over samples of different lengths that never see each other.

The samples stand one after the other in a single row, so that every dense layer is one large
product. Attention runs block by block: samples of about the same length, padded to the longest of
them, are one block; it is causal inside each sample. Positions start anew with every sample.

Shapes: N tokens of the row, its padding included, S samples of a block, L tokens of its longest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from aha.data.conversations import TokenSample
from aha.model.attention import causal_attention
from aha.model.decoder import Attention, Decoder, Layer

BLOCK_SLACK = 0.15
"""A sample joins a block when it is at most this much shorter than the longest."""


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """Samples as one row."""

    tokens_N: Tensor
    positions_N: Tensor
    is_trained_N: Tensor
    """The loss mask; False on padding."""
    blocks: tuple[tuple[int, int], ...]
    """(samples, tokens of each with its padding), in the order of the row."""
    ids: tuple[str, ...]


def packed_batch(samples: Sequence[TokenSample]) -> PackedBatch:
    """Arrange samples into blocks of similar length."""
    blocks: list[list[TokenSample]] = []
    for sample in sorted(samples, key=lambda sample: -sample.num_tokens):
        if not blocks or sample.num_tokens < (1 - BLOCK_SLACK) * blocks[-1][0].num_tokens:
            blocks.append([])
        blocks[-1].append(sample)
    shapes = tuple((len(block), block[0].num_tokens) for block in blocks)
    num_tokens = sum(rows * length for rows, length in shapes)
    tokens_N = torch.zeros(num_tokens, dtype=torch.int64)
    is_trained_N = torch.zeros(num_tokens, dtype=torch.bool)
    start = 0
    for block, (_, length) in zip(blocks, shapes, strict=True):
        for sample in block:
            end = start + sample.num_tokens
            tokens_N[start:end] = torch.from_numpy(sample.tokens)
            is_trained_N[start:end] = torch.from_numpy(sample.is_trained)
            start += length
    positions = [torch.arange(length).repeat(rows) for rows, length in shapes]
    return PackedBatch(
        tokens_N=tokens_N,
        positions_N=torch.cat(positions),
        is_trained_N=is_trained_N,
        blocks=shapes,
        ids=tuple(sample.id for sample in chain.from_iterable(blocks)),
    )


def packed_hidden(model: Decoder, batch: PackedBatch) -> Tensor:
    """Final hidden states [N, D]: those of `model(sample)` for every sample on its own."""
    longest = max(length for _, length in batch.blocks)
    device = batch.tokens_N.device
    cos, sin = (table[batch.positions_N] for table in model.rope.cos_sin(0, longest, device))
    x_1ND = model.model.embed_tokens(batch.tokens_N[None])
    for layer in model.model.layers:
        assert isinstance(layer, Layer)
        normed = layer.input_layernorm(x_1ND)
        x_1ND = x_1ND + block_attention(layer.self_attn, normed, (cos, sin), batch.blocks)
        x_1ND = x_1ND + layer.mlp(layer.post_attention_layernorm(x_1ND))
    return model.model.norm(x_1ND)[0]


def block_attention(
    attention: Attention,
    x_1ND: Tensor,
    cos_sin: tuple[Tensor, Tensor],
    blocks: Sequence[tuple[int, int]],
) -> Tensor:
    """Self-attention of each sample alone."""
    sizes = [rows * length for rows, length in blocks]
    query, key, value = (
        heads_1xNd[0].transpose(0, 1).split(sizes)
        for heads_1xNd in attention.project(x_1ND, cos_sin)
    )
    outs = []
    for index, block in enumerate(blocks):
        q, k, v = (part[index].unflatten(0, block).transpose(1, 2) for part in (query, key, value))
        out_SHLd = causal_attention(q, k, v, window=attention.window)
        outs.append(out_SHLd.transpose(1, 2).flatten(2).flatten(0, 1))
    return attention.o_proj(torch.cat(outs)[None])
