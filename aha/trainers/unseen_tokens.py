"""Tokens that pre-training never saw, and words spelled in them.

Such a token is never predicted, so every update pushes its embedding the same way as all others of
its kind, until they are all but one vector (arXiv 2405.05417 finds them so in released models). A
model cannot tell apart what is spelled in them, and fine-tuning on a few of them hardly helps.
"""

import torch
from torch import Tensor

from aha.model.decoder import Decoder

ALIKE = 0.99
"""Cosine above which two embeddings are one."""
ROWS_AT_ONCE = 2_048


@torch.no_grad()
def alike_tokens(embedding_VD: Tensor) -> Tensor:
    """Which tokens [V] have the direction of another token."""
    direction_VD = torch.nn.functional.normalize(embedding_VD.float(), dim=1)
    found = [
        ((part_ND @ direction_VD.T) > ALIKE).sum(dim=1) > 1  # each is like itself
        for part_ND in direction_VD.split(ROWS_AT_ONCE)
    ]
    return torch.cat(found)


@torch.no_grad()
def spread(model: Decoder, fraction: float, *, seed: int) -> int:
    """Add noise to the embeddings that are like others; returns how many there are.

    fraction: length of the noise, of the embedding's own.
    """
    embedding_VD = model.model.embed_tokens.weight
    alike_V = alike_tokens(embedding_VD)
    rows_ND = embedding_VD[alike_V]
    generator = torch.Generator().manual_seed(seed)
    noise_ND = torch.randn(rows_ND.shape, generator=generator).to(rows_ND)
    noise_ND *= fraction * rows_ND.norm(dim=1, keepdim=True) / noise_ND.norm(dim=1, keepdim=True)
    embedding_VD[alike_V] = rows_ND + noise_ND
    return len(rows_ND)
