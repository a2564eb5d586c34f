"""Whole decoding steps in the C library: a small float32 model on one CPU thread.

Measured on one core of an AMD EPYC with AVX-512: products with packed weights run at 255 of the
260 GFLOP/s that the core can do, and between two of them there is no Python and no operator.
"""

import ctypes
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from aha.engine import native
from aha.engine.native_cache import NativeCache, whole

if TYPE_CHECKING:
    from aha.engine.decode import Stepper
    from aha.engine.scheduler import Slots

MAX_PACKED_WEIGHTS = 64 << 20
"""Weights are packed anew for every `generate`: 0.7 ms a million. With more of them that takes
memory and time, and the matrix products are large enough for torch."""


class _Layer(ctypes.Structure):
    """`struct layer` of decode.c."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("norm", "qkv", "qkv_bias")),
        *((name, ctypes.c_void_p) for name in ("query_norm", "key_norm", "out", "out_bias")),
        *((name, ctypes.c_void_p) for name in ("mlp_norm", "gate_up", "gate_up_bias")),
        *((name, ctypes.c_void_p) for name in ("down", "down_bias")),
        *((name, ctypes.c_int64) for name in ("window", "rotates")),
        ("cache", native.Arrays),
    )


class _Model(ctypes.Structure):
    """`struct model` of decode.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("num_layers", "hidden", "middle", "vocab")),
        ("eps", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in ("embedding", "norm", "head", "head_rows")),
        ("layers", ctypes.POINTER(_Layer)),
    )


class _Batch(ctypes.Structure):
    """`struct batch` of decode.c."""

    _fields_ = (
        ("shape", native.Shape),
        *((name, ctypes.c_void_p) for name in ("turns", "last", "position", "states")),
        *((name, ctypes.c_void_p) for name in ("workspace", "active", "limit", "key")),
        *((name, ctypes.c_void_p) for name in ("num_new", "tokens", "logprobs")),
        ("room", ctypes.c_int64),
        ("ends", ctypes.c_void_p),
        ("temperature", ctypes.c_double),
    )


def serves(stepper: "Stepper") -> bool:
    """Whether whole steps of this model can run in the library."""
    config = stepper.config
    sizes = (config.head_dim, config.hidden_size, config.intermediate_size)
    all_float32 = all(p.dtype == torch.float32 for p in stepper.model.parameters())
    return (
        all(native.usable(stepper.device, size) for size in sizes)
        and (all_float32 and stepper.dtype == torch.float32)
        and stepper.model.num_parameters <= MAX_PACKED_WEIGHTS
    )


class Program:
    """A decoder's weights as decode.c wants them. It holds what its addresses point to."""

    def __init__(self, stepper: "Stepper"):
        library = native.library()
        assert library is not None
        self.library, self.config = library, stepper.config
        self._held: list[Tensor] = []
        self._workspace = torch.empty(0)
        config = stepper.config
        self._layers = (_Layer * config.num_layers)()
        for index, part in enumerate(stepper.layers):
            layer, target = part.layer, self._layers[index]
            target.norm = self._address(layer.input_layernorm.weight)
            target.mlp_norm = self._address(layer.post_attention_layernorm.weight)
            target.qkv, target.qkv_bias = self._pack(part.weight), self._address(part.bias)
            if part.q_norm is not None and part.k_norm is not None:
                target.query_norm = self._address(part.q_norm.weight)
                target.key_norm = self._address(part.k_norm.weight)
            target.out, target.out_bias = self._pack(part.o_weight), self._address(part.o_bias)
            target.gate_up = self._pack(torch.cat((part.gate, part.up)))
            target.gate_up_bias = self._address(_joined(part.gate_up_bias))
            target.down, target.down_bias = self._pack(part.down), self._address(part.down_bias)
            target.window = config.windows[index] or 0
            target.rotates = part.attention.rotates
        model = _Model(
            num_layers=config.num_layers,
            hidden=config.hidden_size,
            middle=config.intermediate_size,
            vocab=config.vocab_size,
            eps=config.norm_eps,
            embedding=self._address(stepper.model.model.embed_tokens.weight),
            norm=self._address(stepper.norm.weight),
            head=self._pack(stepper.head),
            head_rows=self._address(stepper.head),
            layers=self._layers,
        )
        self.model = ctypes.byref(model)

    def logits(self, hidden_RD: Tensor) -> Tensor:
        """Next-token logits [R, V], a view of lines of whole vectors."""
        hidden_RD = hidden_RD.contiguous()
        out = torch.empty(len(hidden_RD), whole(self.config.vocab_size))
        rows = ctypes.c_int64(len(hidden_RD))
        self.library.aha_logits(self.model, rows, *map(native.pointer, (hidden_RD, out)))
        return out[:, : self.config.vocab_size]

    def step(
        self, tokens_R: Tensor, positions_R: Tensor, cache: NativeCache, turns: Tensor
    ) -> Tensor:
        """As `Stepper.step`; turns: exp(i * angle) of at least all positions after the step."""
        states = torch.empty(len(tokens_R), self.config.hidden_size)
        tokens_R, positions_R = tokens_R.contiguous(), positions_R.contiguous()
        batch = _Batch(
            turns=torch.view_as_real(turns).data_ptr(),
            last=tokens_R.data_ptr(),
            position=positions_R.data_ptr(),
            states=states.data_ptr(),
        )
        self.bind(cache)
        self.prepare(batch, cache, len(tokens_R))
        self.library.aha_step(self.model, ctypes.byref(batch))
        return states

    def bind(self, cache: NativeCache) -> None:
        """Take keys and values from this cache, as it is since its last `set_prefix`."""
        for layer, arrays in zip(self._layers, cache.arrays, strict=True):
            layer.cache = arrays

    def prepare(self, batch: _Batch, cache: NativeCache, num_rows: int) -> None:
        """Give a batch its sizes and room to work in."""
        batch.shape = cache.shape(num_rows)
        room = self.library.aha_workspace_room(self.model, ctypes.byref(batch))
        if len(self._workspace) < room:
            self._workspace = torch.zeros(room)
        batch.workspace = self._workspace.data_ptr()

    def _address(self, tensor: Tensor | None) -> int | None:
        if tensor is None:
            return None
        self._held.append(tensor.detach().contiguous())
        return self._held[-1].data_ptr()

    def _pack(self, weight: Tensor) -> int:
        weight = weight.contiguous()
        outputs, inputs = weight.shape
        packed = torch.empty(whole(outputs) * inputs)
        sizes = ctypes.c_int64(outputs), ctypes.c_int64(inputs)
        self.library.aha_pack(*sizes, native.pointer(weight), native.pointer(packed))
        self._held.append(packed)
        return packed.data_ptr()


class Drawing:
    """The rows of a rollout that stay in the library until one may end."""

    def __init__(self, program: Program, cache: NativeCache, slots: "Slots"):
        self.program, self.cache, self.slots = program, cache, slots
        self._held: list[Tensor] = []
        program.bind(cache)
        self._batch = _Batch(
            last=slots.last.data_ptr(),
            position=slots.position.ctypes.data,
            states=slots.hidden.data_ptr(),
            active=slots.active.ctypes.data,
            limit=slots.limit.ctypes.data,
            key=slots.key.ctypes.data,
            num_new=slots.num_new.ctypes.data,
            tokens=slots.tokens.data_ptr(),
            logprobs=slots.logprobs.data_ptr(),
            room=slots.tokens.shape[1],
        )

    def set_rules(self, turns: Tensor, ends_V: Tensor, temperature: float) -> None:
        """What holds for all rows.

        turns: exp(i * angle) of every position there will be. ends, uint8: 1 for tokens that end a
        row, 2 for those that may.
        """
        self._held = [torch.view_as_real(turns), ends_V]
        self._batch.turns, self._batch.ends = (tensor.data_ptr() for tensor in self._held)
        self._batch.temperature = temperature

    def draw(self, *, enough: int, most_steps: int) -> int:
        """Draw and advance until after a draw `enough` rows have ended or one may have.

        Returns the number of draws, negative when a log-prob was not finite.
        """
        self.program.prepare(self._batch, self.cache, self.slots.num_rows)
        batch, numbers = ctypes.byref(self._batch), map(ctypes.c_int64, (enough, most_steps))
        return int(self.program.library.aha_draw(self.program.model, batch, *numbers))

    def advance(self) -> None:
        """Append the drawn tokens and compute the next hidden states."""
        self.program.prepare(self._batch, self.cache, self.slots.num_rows)
        self.program.library.aha_step(self.program.model, ctypes.byref(self._batch))


def _joined(biases: tuple[Tensor | None, Tensor | None]) -> Tensor | None:
    gate, up = biases
    return None if gate is None or up is None else torch.cat((gate, up))
