"""The decoder: one pre-norm transformer whose parameter names are those of the HF checkpoints.

Shapes: B rows, T tokens a row, P tokens of a prefix that all rows share, D hidden width,
H query heads, K key heads, d head width, V vocabulary. The residual stream, the norms and the
rotation are float32 whatever the weights are.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aha.model.attention import causal_attention
from aha.model.config import ModelConfig
from aha.model.kernels import dense, head_logits, head_matrix
from aha.model.rope import RopeTable, rotate

KeyValue = tuple[Tensor, Tensor]


class Linear(nn.Module):
    """A dense layer that multiplies in `compute_dtype` (None: the dtype of its weights)."""

    def __init__(
        self, inputs: int, outputs: int, *, bias: bool, compute_dtype: torch.dtype | None = None
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self.compute_dtype = compute_dtype

    def forward(self, x: Tensor) -> Tensor:
        """x [..., inputs] -> [..., outputs]."""
        dtype = self.compute_dtype or self.weight.dtype
        bias = None if self.bias is None else self.bias.to(dtype)
        return dense(x.to(dtype), self.weight.to(dtype), bias)


class RMSNorm(nn.Module):
    """x / rms(x) * weight over the last dimension, in float32 (arXiv:1910.07467, eq. 4)."""

    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), self.weight.shape, self.weight.float(), self.eps)


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

    def forward(
        self, x_BTD: Tensor, cos_sin: tuple[Tensor, Tensor], prefix: KeyValue | None
    ) -> tuple[Tensor, KeyValue]:
        """Attention of the rows; also returns their keys and values [B, K, T, d]."""
        q_BHTd, k_BKTd, v_BKTd = self.project(x_BTD, cos_sin)
        out = causal_attention(q_BHTd, k_BKTd, v_BKTd, prefix=prefix, window=self.window)
        return self.o_proj(out.transpose(1, 2).flatten(2)), (k_BKTd, v_BKTd)

    def project(
        self, x_BTD: Tensor, cos_sin: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [B, heads, T, d], float32, rotated."""
        q, k, v = (
            proj(x_BTD).unflatten(-1, (-1, self.head_dim)).float()
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        if self.rotates:
            cos, sin = (table[:, None] for table in cos_sin)
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)


class MLP(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x)) (arXiv:2002.05202, eq. 6)."""

    def __init__(self, config: ModelConfig, linear_dtype: torch.dtype | None):
        super().__init__()
        width, middle, bias = config.hidden_size, config.intermediate_size, config.mlp_bias
        self.gate_proj = Linear(width, middle, bias=bias, compute_dtype=linear_dtype)
        self.up_proj = Linear(width, middle, bias=bias, compute_dtype=linear_dtype)
        self.down_proj = Linear(middle, width, bias=bias, compute_dtype=linear_dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """Attention, then MLP, each on a normed copy and added to the residual."""

    def __init__(self, config: ModelConfig, layer: int, linear_dtype: torch.dtype | None):
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.norm_eps)
        self.self_attn = Attention(config, layer, linear_dtype)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.norm_eps)
        self.mlp = MLP(config, linear_dtype)

    def forward(
        self, x_BTD: Tensor, cos_sin: tuple[Tensor, Tensor], prefix: KeyValue | None = None
    ) -> tuple[Tensor, KeyValue]:
        attended, keys_values = self.self_attn(self.input_layernorm(x_BTD), cos_sin, prefix)
        x_BTD = x_BTD + attended
        return x_BTD + self.mlp(self.post_attention_layernorm(x_BTD)), keys_values


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
        """linear_dtype: the matrix products of the layers run in it (bfloat16 on a CPU that has

        it is several times faster), with the weights and everything else as they are.
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

    def forward(self, tokens_BT: Tensor, *, prefix: Tensor | None = None) -> Tensor:
        """Final hidden states [B, T, D] of rows that may be padded on the right.

        prefix [P]: tokens that precede every row. They run once, with gradient, and the rows
        attend to them; the result is that of the concatenated rows without their first P states.
        """
        start = 0 if prefix is None else prefix.shape[0]
        cos_sin = self.rope.cos_sin(start, start + tokens_BT.shape[1], tokens_BT.device)
        x_BTD = self.model.embed_tokens(tokens_BT)
        if prefix is None or start == 0:
            for layer in self.model.layers:
                x_BTD, _ = layer(x_BTD, cos_sin)
            return self.model.norm(x_BTD)
        prefix_cos_sin = self.rope.cos_sin(0, start, tokens_BT.device)
        x_1PD = self.model.embed_tokens(prefix[None])
        for layer in self.model.layers:
            x_1PD, keys_values = layer(x_1PD, prefix_cos_sin)
            x_BTD, _ = layer(x_BTD, cos_sin, keys_values)
        return self.model.norm(x_BTD)

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits [..., V], float32, of final hidden states [..., D]."""
        return head_logits(hidden, head_matrix(self.head_weight))

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
