"""Dense layers through oneDNN where torch has it, with a plain form that gives the same numbers.

On an AMD EPYC core torch sends float32 products to MKL at 100 GFLOP/s; oneDNN reaches 160 to 240
(256 x 128 x 768: 478 us against 215 us), needs no packed copy of the weights, and adds an
activation, a product or a sum without another pass over memory. The operator is private to torch,
so it is tried once on a small example and dropped if it is missing or disagrees.
"""

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

PACKED_FOR_ROWS = 32
"""The number of rows that packed weights are laid out for; they serve any number."""
MIN_ROWS = 8
"""Below this many rows MKL's matrix-vector path is as fast."""


@functools.cache
def onednn() -> Any:
    """torch's private `_linear_pointwise`, or None where it is missing or wrong."""
    try:
        operator = torch.ops.mkldnn._linear_pointwise
        with torch.no_grad():
            x, weight = torch.arange(24.0).view(3, 8), torch.arange(40.0).view(5, 8) / 40
            other = torch.ones(3, 5)
            plain = F.linear(x, weight)
            right = (
                torch.allclose(operator(x, weight, None, "none", [], ""), plain)
                and torch.allclose(operator(x, weight, None, "swish", [], ""), F.silu(plain))
                and torch.allclose(operator.binary(x, other, weight, None, "add"), plain + 1)
            )
    except (AttributeError, RuntimeError, NotImplementedError):
        return None
    return operator if right else None


@functools.cache
def packs() -> bool:
    """Whether bfloat16 weights can be packed here, and give the numbers of unpacked ones."""
    if onednn() is None:
        return False
    try:
        x = (torch.arange(33.0 * 64).view(33, 64) / 999).bfloat16()
        weight = (torch.arange(48.0 * 64).view(48, 64) / 1_999).bfloat16()
        stored = torch.ops.mkldnn._reorder_linear_weight(weight, PACKED_FOR_ROWS)
        with torch.no_grad():
            return all(
                torch.equal(onednn()(x[:n], stored, None, "none", [], ""), F.linear(x[:n], weight))
                for n in (1, 8, 33)
            )
    except (AttributeError, RuntimeError, NotImplementedError):
        return False


def packed(weight: Tensor) -> Tensor:
    """A weight in oneDNN's own layout, for products without gradients; else as it is.

    Only bfloat16 on a CPU; the copy takes as much memory as the weight. All products of
    SmolLM2-135M take 28 ms in place of 35 ms at 32 rows, 11 ms in place of 20 ms at one row (an AMD
    EPYC core).
    """
    if weight.device.type != "cpu" or weight.dtype != torch.bfloat16 or not packs():
        return weight
    stored: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), PACKED_FOR_ROWS)
    return stored


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """F.linear, of packed weights too."""
    if weight.is_mkldnn:
        result: Tensor = onednn()(x, weight, bias, "none", [], "")
        return result
    return F.linear(x, weight, bias)


def uses_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether this product goes through oneDNN: CPU, float32 and more than a few rows."""
    return (
        x.device.type == "cpu"
        and weight.dtype == torch.float32
        and x.numel() >= MIN_ROWS * x.shape[-1]
        and onednn() is not None
    )


def dense(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight.T + bias, with gradients: x [..., inputs], weight [outputs, inputs], one dtype."""
    if uses_onednn(x, weight):
        if torch.is_grad_enabled():
            result: Tensor = _Dense.apply(x, weight, bias)  # type: ignore[no-untyped-call]
            return result
        return onednn()(x, weight, bias, "none", [], "")
    return _linear(x, weight, bias)


def dense_silu_mul(x: Tensor, gate: Tensor, up: Tensor, biases: tuple[Any, Any]) -> Tensor:
    """silu(x @ gate.T) * (x @ up.T), without gradients."""
    if uses_onednn(x, gate):
        gated = onednn()(x, gate, biases[0], "swish", [], "")
        return onednn().binary(x, gated, up, biases[1], "mul")
    return F.silu(_linear(x, gate, biases[0])).mul_(_linear(x, up, biases[1]))


def dense_add(x: Tensor, weight: Tensor, bias: Tensor | None, other: Tensor) -> Tensor:
    """x @ weight.T + bias + other, with gradients; other may have a wider dtype."""
    if uses_onednn(x, weight) and other.dtype == weight.dtype:
        if torch.is_grad_enabled():
            result: Tensor = _DenseAdd.apply(x, weight, bias, other)  # type: ignore[no-untyped-call]
            return result
        return onednn().binary(x, other, weight, bias, "add")
    return other + _linear(x, weight, bias)


def weight_gradient(grad: Tensor, x: Tensor) -> Tensor:
    """grad.T @ x through oneDNN: grad [N, outputs], x [N, inputs] -> [outputs, inputs].

    The longer side of the result goes last: 128 x 1024 at 212 GFLOP/s, 1024 x 128 at 158.
    """
    if grad.shape[1] <= x.shape[1]:
        return onednn()(grad.t(), x.t(), None, "none", [], "")
    return onednn()(x.t(), grad.t(), None, "none", [], "").t()


class _Dense(torch.autograd.Function):
    """The three products of a dense layer through oneDNN."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return onednn()(x, weight, bias, "none", [], "")

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _dense_backward(ctx, grads[0])


class _DenseAdd(torch.autograd.Function):
    """A dense layer and what its output is added to."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, other: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return onednn().binary(x, other, weight, bias, "add")

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return *_dense_backward(ctx, grads[0]), grads[0]


def _dense_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of x, weight and bias, as far as they are needed."""
    x, weight = ctx.saved_tensors
    grad_x = grad_weight = grad_bias = None
    if ctx.needs_input_grad[0]:
        grad_x = onednn()(grad, weight.t(), None, "none", [], "")
    flat = grad.reshape(-1, grad.shape[-1])
    if ctx.needs_input_grad[1]:
        grad_weight = weight_gradient(flat, x.reshape(-1, x.shape[-1]))
    if ctx.needs_input_grad[2]:
        grad_bias = flat.sum(0)
    return grad_x, grad_weight, grad_bias
