"""The decoder: one pre-norm transformer whose parameter names are those of the HF checkpoints.

Shapes: B rows, T tokens a row, P tokens of a prefix that all rows share, D hidden width,
H query heads, K key heads, d head width, V vocabulary. The residual stream, the norms and the
rotation are float32 whatever the weights are.
"""

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aha.model.attention import Heads, Rope, attend, split
from aha.model.config import ModelConfig
from aha.model.kernels import dense, dense_add
from aha.model.rope import RopeTable
from aha.model.rows import branch_norm, rms_norm, swiglu


@dataclass(frozen=True, slots=True)
class Prefix:
    """Tokens that precede all rows: their projections [1, P, (H + 2K) d] in every layer."""

    heads: list[Tensor]

    @property
    def num_tokens(self) -> int:
        return self.heads[0].shape[1]


class Linear(nn.Module):
    """A dense layer that multiplies in `compute_dtype` (None: the dtype of its weights)."""

    def __init__(
        self, inputs: int, outputs: int, *, bias: bool, compute_dtype: torch.dtype | None = None
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self.compute_dtype = compute_dtype

    def forward(self, x: Tensor, *, added_to: Tensor | None = None) -> Tensor:
        """x [..., inputs] -> [..., outputs], or its sum with `added_to`."""
        dtype = self.dtype
        bias = None if self.bias is None else self.bias.to(dtype)
        if added_to is None:
            return dense(x.to(dtype), self.weight.to(dtype), bias)
        return dense_add(x.to(dtype), self.weight.to(dtype), bias, added_to)

    @property
    def dtype(self) -> torch.dtype:
        """Of the product."""
        return self.compute_dtype or self.weight.dtype


def joined(x: Tensor, *layers: Linear) -> Tensor:
    """The outputs of several layers of one kind, side by side, as one product."""
    dtype = layers[0].dtype
    weight = torch.cat([layer.weight.to(dtype) for layer in layers])
    biases = [layer.bias.to(dtype) for layer in layers if layer.bias is not None]
    return dense(x.to(dtype), weight, torch.cat(biases) if biases else None)


class RMSNorm(nn.Module):
    """x / rms(x) * weight over the last dimension, in float32 (arXiv:1910.07467, eq. 4)."""

    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight, self.eps)

    def branch(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x itself and its norm, where a layer leaves the residual stream."""
        return branch_norm(x, self.weight, self.eps)


class Attention(nn.Module):
    """Grouped-query self-attention (arXiv:2305.13245)."""

    def __init__(self, config: ModelConfig, layer: int, linear_dtype: torch.dtype | None):
        super().__init__()
        width, head_dim = config.hidden_size, config.head_dim
        wide, narrow = config.num_heads * head_dim, config.num_kv_heads * head_dim
        bias, dtype = config.qkv_bias, linear_dtype
        self.q_proj = Linear(width, wide, bias=bias, compute_dtype=dtype)
        self.k_proj = Linear(width, narrow, bias=bias, compute_dtype=dtype)
        self.v_proj = Linear(width, narrow, bias=bias, compute_dtype=dtype)
        self.o_proj = Linear(wide, width, bias=config.o_bias, compute_dtype=dtype)
        self.q_norm = RMSNorm(head_dim, config.norm_eps) if config.qk_norm else None
        self.k_norm = RMSNorm(head_dim, config.norm_eps) if config.qk_norm else None
        self.head_dim = head_dim
        self.window = config.windows[layer]
        self.rotates = config.rope_layers[layer]
        self.heads = Heads(config.num_heads, config.num_kv_heads, head_dim, self.window)

    def projections(self, x_BTD: Tensor) -> Tensor:
        """Queries, keys and values [B, T, (H + 2K) d] before the rotation, float32."""
        heads = joined(x_BTD, self.q_proj, self.k_proj, self.v_proj).float()
        if self.q_norm is None or self.k_norm is None:
            return heads
        sizes = [layer.weight.shape[0] for layer in (self.q_proj, self.k_proj, self.v_proj)]
        q, k, v = heads.split(sizes, dim=-1)
        q, k = (
            norm(part.unflatten(-1, (-1, self.head_dim))).flatten(-2)
            for norm, part in ((self.q_norm, q), (self.k_norm, k))
        )
        return torch.cat((q, k, v), dim=-1)

    def project(self, x_BTD: Tensor, rope: Rope) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [B, heads, T, d], float32, rotated."""
        return split(self.projections(x_BTD), self.heads, rope if self.rotates else None, 0)

    def mix(self, heads_BTX: Tensor, rope: Rope, past: Tensor | None) -> Tensor:
        """Attention [B, T, H d] of projections, behind those of a prefix [1, P, (H + 2K) d]."""
        return attend(heads_BTX, self.heads, rope if self.rotates else None, past)


class MLP(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x)) (arXiv:2002.05202, eq. 6)."""

    def __init__(self, config: ModelConfig, linear_dtype: torch.dtype | None):
        super().__init__()
        width, middle, bias = config.hidden_size, config.intermediate_size, config.mlp_bias
        self.gate_proj = Linear(width, middle, bias=bias, compute_dtype=linear_dtype)
        self.up_proj = Linear(width, middle, bias=bias, compute_dtype=linear_dtype)
        self.down_proj = Linear(middle, width, bias=bias, compute_dtype=linear_dtype)

    def forward(self, x: Tensor, *, added_to: Tensor | None = None) -> Tensor:
        middle = swiglu(joined(x, self.gate_proj, self.up_proj))
        return self.down_proj(middle, added_to=added_to)


class Layer(nn.Module):
    """Attention, then MLP, each on a normed copy and added to the residual."""

    def __init__(self, config: ModelConfig, layer: int, linear_dtype: torch.dtype | None):
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.norm_eps)
        self.self_attn = Attention(config, layer, linear_dtype)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.norm_eps)
        self.mlp = MLP(config, linear_dtype)

    def forward(self, x_BTD: Tensor, rope: Rope, past: Tensor | None) -> tuple[Tensor, Tensor]:
        """The layer's output; also the projections of its attention, for rows that follow."""
        x_BTD, normed = self.input_layernorm.branch(x_BTD)
        heads = self.self_attn.projections(normed)
        mixed = self.self_attn.mix(heads, rope, past)
        x_BTD, normed = self.post_attention_layernorm.branch(
            self.self_attn.o_proj(mixed, added_to=x_BTD)
        )
        return self.mlp(normed, added_to=x_BTD), heads


class Table(nn.Module):
    """The embedding of the vocabulary [V, D]."""

    def __init__(self, vocab_size: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Embeddings [..., D], float32."""
        return F.embedding(tokens, self.weight).float()


class Trunk(nn.Module):
    """Embedding, layers and final norm; the `model.` part of the parameter names."""

    def __init__(self, config: ModelConfig, linear_dtype: torch.dtype | None):
        super().__init__()
        self.embed_tokens = Table(config.vocab_size, config.hidden_size)
        layers = [Layer(config, index, linear_dtype) for index in range(config.num_layers)]
        self.layers = nn.ModuleList(layers)
        self.norm = RMSNorm(config.hidden_size, config.norm_eps)


class Decoder(nn.Module):
    """A causal language model. Fresh weights are random; `load_model` fills them from a folder."""

    def __init__(self, config: ModelConfig, *, linear_dtype: torch.dtype | None = None):
        """Layers with random weights.

        linear_dtype: the matrix products of the layers run in it (bfloat16 on a CPU that has it is
        several times faster), with the weights and everything else as they are.
        """
        super().__init__()
        self.config = config
        self.linear_dtype = linear_dtype
        self.model = Trunk(config, linear_dtype)
        wide = (config.hidden_size, config.vocab_size)
        self.lm_head = None if config.tie_embeddings else Linear(*wide, bias=False)
        self.rope = RopeTable(config.rope, config.head_dim, config.max_positions)
        if self.head_weight.device.type != "meta":
            self.init_weights()

    def forward(self, tokens_BT: Tensor, *, prefix: Tensor | Prefix | None = None) -> Tensor:
        """Final hidden states [B, T, D] of rows that may be padded on the right.

        prefix: tokens [P] that precede every row, or what `run_prefix` made of them. They run once,
        with gradient, and the rows attend to them; the result is that of the concatenated rows
        without their first P states.
        """
        if isinstance(prefix, Tensor):
            prefix = self.run_prefix(prefix)
        start = 0 if prefix is None else prefix.num_tokens
        past = prefix.heads if prefix is not None and start else [None] * len(self.model.layers)
        rope = self.rope.cos_sin(0, start + tokens_BT.shape[1], tokens_BT.device)
        x_BTD = self.model.embed_tokens(tokens_BT)
        for layer, heads in zip(self.model.layers, past, strict=True):
            x_BTD, _ = layer(x_BTD, rope, heads)
        return self.model.norm(x_BTD)

    def run_prefix(self, tokens_P: Tensor) -> Prefix:
        """Tokens that precede all rows, made ready for any number of forward passes."""
        rope = self.rope.cos_sin(0, len(tokens_P), tokens_P.device)
        x_1PD = self.model.embed_tokens(tokens_P[None])
        heads = []
        for layer in self.model.layers[:-1]:
            x_1PD, projected = layer(x_1PD, rope, None)
            heads.append(projected)
        last = cast(Layer, self.model.layers[-1])
        heads.append(last.self_attn.projections(last.input_layernorm(x_1PD)))
        return Prefix(heads)

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits [..., V], float32, of final hidden states [..., D]."""
        return dense(hidden.to(self.head_weight.dtype), self.head_weight).float()

    @property
    def head_weight(self) -> Tensor:
        """The output matrix [V, D], which is the embedding when the two are tied."""
        if self.lm_head is None:
            return self.model.embed_tokens.weight
        return self.lm_head.weight

    @property
    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    @torch.no_grad()
    def init_weights(self, generator: torch.Generator | None = None) -> None:
        """Normal weights; those that write to the residual are smaller by sqrt(2 * layers)."""
        std = self.config.initializer_range
        small = std / math.sqrt(2 * self.config.num_layers)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif name.endswith("norm.weight"):
                parameter.fill_(1.0)
            else:
                residual = name.endswith(("o_proj.weight", "down_proj.weight"))
                parameter.normal_(0.0, small if residual else std, generator=generator)


class PrefixedDecoder:
    """A decoder behind tokens [P] that all rows share: they run once for any number of passes."""

    def __init__(self, model: Decoder, prefix_P: Tensor):
        self.model = model
        self._heads = model.run_prefix(prefix_P).heads if len(prefix_P) else []
        self._ends = [heads.detach().requires_grad_(heads.requires_grad) for heads in self._heads]

    def __call__(self, tokens_BT: Tensor) -> Tensor:
        """Final hidden states [B, T, D]; a backward pass ends at the prefix."""
        return self.model(tokens_BT, prefix=Prefix(self._ends) if self._ends else None)

    def backward(self) -> None:
        """Through the prefix, once, with the gradients of all backward passes so far."""
        pairs = zip(self._heads, self._ends, strict=True)
        reached = [(heads, end.grad) for heads, end in pairs if end.grad is not None]
        if reached:
            torch.autograd.backward([h for h, _ in reached], [grad for _, grad in reached])
