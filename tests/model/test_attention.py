"""Attention behind a prefix, in C and in operators, against float64 written out."""

import pytest
import torch

from aha.model import native
from aha.model.attention import Heads, attend
from aha.model.rope import RopeConfig, RopeTable, rotate
from tests.model.test_rows import assert_same_gradients, normal, path  # noqa: F401


def written_out(own, past, heads: Heads, rope) -> torch.Tensor:
    """Every query against every key, float64."""
    rows, num_own, _ = own.shape
    whole = torch.cat((past.expand(rows, -1, -1), own), dim=1).double()
    sizes = [heads.num_queries, heads.num_keys, heads.num_keys]
    q, k, v = whole.unflatten(-1, (-1, heads.width)).split(sizes, dim=2)
    if rope is not None:
        cos, sin = (table.double()[:, None] for table in rope)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
    k, v = (x.repeat_interleave(heads.num_queries // heads.num_keys, dim=2) for x in (k, v))
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / heads.width**0.5
    query, key = torch.arange(whole.shape[1])[:, None], torch.arange(whole.shape[1])[None]
    seen = (key <= query) & (key > query - (heads.window or 10**6))
    weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
    return torch.einsum("bhqk,bkhd->bqhd", weights, v).flatten(2)[:, -num_own:]


@pytest.mark.parametrize("rotates", [True, False])
@pytest.mark.parametrize(
    ("rows", "num_own", "num_prefix", "heads"),
    [
        (1, 1, 0, Heads(1, 1, 16)),
        (3, 8, 0, Heads(2, 2, 32)),
        (2, 33, 13, Heads(4, 2, 16)),
        (3, 70, 80, Heads(4, 4, 32)),
        (2, 41, 7, Heads(6, 2, 48, window=9)),
        (2, 64, 40, Heads(2, 1, 64, window=50)),
        (2, 9, 3, Heads(2, 1, 8)),  # too narrow for C
    ],
)
def test_attention_and_its_gradients(path, rotates, rows, num_own, num_prefix, heads):  # noqa: F811
    floats = (heads.num_queries + 2 * heads.num_keys) * heads.width
    own = (1.5 * normal(rows, num_own, floats)).requires_grad_()
    past = (1.5 * normal(1, num_prefix, floats, seed=1)).requires_grad_()
    total = num_prefix + num_own
    rope = RopeTable(RopeConfig(), heads.width, 512).cos_sin(0, total, own.device)
    rope = rope if rotates else None
    ours = attend(own, heads, rope, past if num_prefix else None)
    exact = written_out(own, past, heads, rope)
    assert (ours - exact).abs().max() < 1e-5
    leaves = (own, past) if num_prefix else (own,)
    assert_same_gradients((ours,), (exact,), leaves, tolerance=2e-5)


def test_large_scores_neither_overflow_nor_lose_their_gradient(path):  # noqa: F811
    """Scores of 130, as the embedded base has them, and far beyond."""
    heads = Heads(2, 2, 32)
    for size in (5.0, 40.0):
        own = (size * normal(2, 24, 192)).requires_grad_()
        ours, exact = attend(own, heads, None), written_out(own, own[:1, :0], heads, None)
        assert (ours - exact).abs().max() < 2e-4 * size
        assert_same_gradients((ours,), (exact,), (own,), tolerance=2e-3)


def test_it_takes_strided_projections(path):  # noqa: F811
    heads, wide = Heads(2, 2, 16), normal(3, 20, 192)
    dense = attend(wide[..., :96].contiguous(), heads, None)
    assert torch.equal(attend(wide[..., :96], heads, None), dense)


def test_both_paths_give_a_bfloat16_model_the_same_result(monkeypatch):
    if native.library() is None:
        pytest.skip("no compiler")
    own, heads = normal(2, 20, 96).bfloat16(), Heads(2, 2, 16)
    assert not native.usable(own)
    kept = attend(own, heads, None)
    monkeypatch.setattr(native, "library", lambda: None)
    assert torch.equal(attend(own, heads, None), kept)
