"""Causal attention of rows that may share one prefix.

Shapes: B rows, H query heads, K key heads (H = K * G), T own tokens, P prefix tokens, d head width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def causal_attention(
    q_BHTd: Tensor,
    k_BKTd: Tensor,
    v_BKTd: Tensor,
    *,
    prefix: tuple[Tensor, Tensor] | None = None,
    window: int | None = None,
) -> Tensor:
    """Each token attends to itself, to what precedes it in its row, and to the prefix [1, K, P, d].

    With a window of w, only to itself and the w - 1 positions before it.
    """
    gqa = q_BHTd.shape[1] != k_BKTd.shape[1]
    if prefix is None and window is None:
        return F.scaled_dot_product_attention(
            q_BHTd, k_BKTd, v_BKTd, is_causal=True, enable_gqa=gqa
        )
    if prefix is not None:
        k_BKTd = torch.cat((prefix[0].expand(k_BKTd.shape[0], -1, -1, -1), k_BKTd), dim=2)
        v_BKTd = torch.cat((prefix[1].expand(v_BKTd.shape[0], -1, -1, -1), v_BKTd), dim=2)
    mask = visible(q_BHTd.shape[2], k_BKTd.shape[2], window=window, device=q_BHTd.device)
    return F.scaled_dot_product_attention(q_BHTd, k_BKTd, v_BKTd, attn_mask=mask, enable_gqa=gqa)


def visible(num_queries: int, num_keys: int, *, window: int | None, device: torch.device) -> Tensor:
    """Which keys each query sees, bool [queries, keys]; the last query sits on the last key."""
    query = torch.arange(num_keys - num_queries, num_keys, device=device)[:, None]
    key = torch.arange(num_keys, device=device)[None]
    seen = key <= query
    return seen if window is None else seen & (key > query - window)
