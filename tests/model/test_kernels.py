"""oneDNN and plain dense layers agree, gradients included."""

import pytest
import torch
import torch.nn.functional as F

from aha.model import kernels


@pytest.fixture(params=["onednn", "plain"])
def path(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setattr(kernels, "onednn", lambda: None)
    elif kernels.onednn() is None:
        pytest.skip("this torch has no oneDNN linear")
    return request.param


def operands(*shape: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(*shape, 40, generator=generator)
    weights = [torch.randn(24, 40, generator=generator) / 6 for _ in range(2)]
    biases = [torch.randn(24, generator=generator) for _ in range(2)]
    return x, *weights, *biases


@pytest.mark.parametrize("shape", [(1,), (7,), (64,), (5, 9), (2, 3, 4)])
@pytest.mark.parametrize("biased", [True, False])
def test_dense_and_its_gradients(path, shape, biased):
    x, weight, _, bias, _ = operands(*shape)
    leaves = [t.requires_grad_() for t in ((x, weight, bias) if biased else (x, weight))]
    upstream = torch.randn(*shape, 24, generator=torch.Generator().manual_seed(1))
    exact = F.linear(*(t.double() for t in leaves))
    ours = kernels.dense(*leaves)
    assert (ours - exact).abs().max() < 1e-5
    expected = torch.autograd.grad(exact, leaves, upstream.double())
    for got, want in zip(torch.autograd.grad(ours, leaves, upstream), expected, strict=True):
        assert got.shape == want.shape
        assert (got - want).abs().max() < 1e-4


def test_dense_takes_strided_operands_and_expanded_gradients(path):
    x, weight, *_ = operands(6, 9)
    turned = x.transpose(0, 1).requires_grad_()
    weight.requires_grad_()
    kernels.dense(turned, weight).sum().backward()
    expected = x.sum((0, 1)).expand(24, 40)
    assert (weight.grad - expected).abs().max() < 1e-4
    assert (turned.grad - weight.sum(0)).abs().max() < 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fused_forms(path, dtype):
    x, gate, up, gate_bias, up_bias = (t.to(dtype) for t in operands(16))
    other = torch.randn(16, 24)
    tolerance = 1e-5 if dtype == torch.float32 else 0.1
    with torch.no_grad():
        middle = kernels.dense_silu_mul(x, gate, up, (gate_bias, up_bias)).float()
        a, b = (F.linear(x, w, v).float() for w, v in ((gate, gate_bias), (up, up_bias)))
        assert (middle - F.silu(a) * b).abs().max() < tolerance
        added = kernels.dense_add(x, gate, gate_bias, other)
        assert added.dtype == torch.float32
        assert (added - (other + a)).abs().max() < tolerance


def test_the_operator_reads_the_weights_of_the_moment(path):
    x, weight, *_ = operands(16)
    with torch.no_grad():
        before = kernels.dense(x, weight)
        weight.data.mul_(2.0)
        assert torch.allclose(kernels.dense(x, weight), before * 2)


@pytest.mark.parametrize("rows", [1, 5, 32, 70])
def test_packed_weights_give_the_same_bits_and_are_never_trained(rows):
    if not kernels.packs():
        pytest.skip("this processor or torch packs no bfloat16 weights")
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(*size, generator=generator).bfloat16()
        for size in ((rows, 576), (960, 576), (960,))
    )
    stored = kernels.packed(weight)
    assert stored.is_mkldnn and tuple(stored.shape) == tuple(weight.shape)
    with torch.no_grad():
        assert torch.equal(kernels.dense(x, stored, bias), F.linear(x, weight, bias))
        whole = kernels.dense(x, stored, None)
        assert all(torch.equal(kernels.dense(x[:n], stored, None), whole[:n]) for n in (1, rows))
        other = torch.randn(rows, 960)
        plain = kernels.dense_add(x, weight, bias, other)
        assert torch.equal(kernels.dense_add(x, stored, bias, other), plain)


def test_other_weights_stay_as_they_are(path):
    weight = operands(1)[1]
    assert kernels.packed(weight) is weight
