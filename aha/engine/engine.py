"""The rollout engine: sampled completions from the weights that are being trained."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from aha.engine import native
from aha.engine.block_cache import BlockCache
from aha.engine.cache import Cache
from aha.engine.decode import Stepper
from aha.engine.native_cache import NativeCache
from aha.engine.room import cached_rows, token_bytes
from aha.engine.sampling import row_keys
from aha.engine.scheduler import Requests, Rollout
from aha.engine.stops import Stops
from aha.engine.types import Completion, EngineStats, SamplingParams
from aha.errors import UserError
from aha.model.config import ModelConfig
from aha.model.decoder import Decoder
from aha.model.tokenizer import Tokenizer

MIN_SHARED_TOKENS = 8
"""A shorter common prefix costs more operators than it saves reads."""
CPU_CACHE_BYTES = 2 << 30


class Engine:
    """Samples from a decoder. It reads the weights anew at every `generate`, so none are stale."""

    def __init__(
        self,
        model: Decoder,
        tokenizer: Tokenizer,
        *,
        max_batch_rows: int = 256,
        max_batch_tokens: int | None = None,
        seed: int = 0,
    ):
        """How much is decoded at once.

        max_batch_rows: most completions; where whole steps are compiled, fewer if only their keys
        and values stay in the processor's cache (`room.cached_rows`).
        max_batch_tokens: room in the cache, rows times tokens a row; None: what fits 2 GiB (on a
        GPU, half of what is free).
        """
        if max_batch_rows < 1 or (max_batch_tokens is not None and max_batch_tokens < 1):
            raise UserError("max_batch_rows and max_batch_tokens must be at least 1")
        self.model, self.tokenizer, self.seed = model, tokenizer, seed
        self.max_batch_rows, self.max_batch_tokens = max_batch_rows, max_batch_tokens
        self.stats: EngineStats | None = None
        """Of the last `generate`."""
        self._cache: Cache | None = None

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        params: SamplingParams,
        *,
        samples_per_prompt: int = 1,
        step: int = 0,
        prompt_keys: Sequence[int] | None = None,
        first_sample: int = 0,
        first_positions: Sequence[int] | None = None,
        on_progress: Callable[[EngineStats], None] | None = None,
    ) -> list[list[Completion]]:
        """samples_per_prompt completions of each prompt, in order.

        A token depends on the weights, the prompt, and (engine seed, step, prompt key, sample
        number, position) alone: not on the batch. prompt_keys default to the index of the prompt;
        sample numbers start at first_sample. first_positions: how many tokens at the end of each
        prompt were drawn before, so that a response that is continued draws what it would have
        drawn. Raises UserError for a prompt that does not fit.
        """
        _check_params(params, self.model.config.vocab_size)
        if not prompts or samples_per_prompt < 1:
            return [[] for _ in prompts]
        with torch.inference_mode():
            requests = self._requests(
                prompts,
                params,
                samples_per_prompt,
                step,
                prompt_keys,
                first_sample,
                first_positions,
            )
            stops = Stops(self.tokenizer, params, self.model.config.vocab_size)
            stepper = Stepper(self.model)
            cache = self._cache_for(requests, stepper)
            rollout = Rollout(stepper, requests, params, stops, cache, on_progress)
            completions = rollout.run()
        self.stats = rollout.stats()
        return [
            completions[start : start + samples_per_prompt]
            for start in range(0, len(completions), samples_per_prompt)
        ]

    def release(self) -> None:
        """Give the cache's memory back; the next `generate` allocates it again."""
        self._cache = None

    def _requests(
        self,
        prompts: Sequence[Sequence[int]],
        params: SamplingParams,
        samples_per_prompt: int,
        step: int,
        prompt_keys: Sequence[int] | None,
        first_sample: int,
        first_positions: Sequence[int] | None,
    ) -> Requests:
        config = self.model.config
        for number, prompt in enumerate(prompts):
            _check_prompt(number, prompt, config)
        keys = range(len(prompts)) if prompt_keys is None else prompt_keys
        if len(keys) != len(prompts):
            raise UserError(f"{len(keys)} prompt keys for {len(prompts)} prompts")
        index = np.repeat(np.arange(len(prompts)), samples_per_prompt)
        starts = np.zeros(len(prompts), int) if first_positions is None else first_positions
        samples = np.tile(np.arange(samples_per_prompt) + first_sample, len(prompts))
        room = config.max_positions - np.array([len(prompt) for prompt in prompts])
        return Requests(
            prompts=prompts,
            prompt=index,
            keys=row_keys(
                seed=self.seed,
                step=step,
                prompt_keys=[int(keys[i]) for i in index.tolist()],
                samples=samples.tolist(),
                positions=np.asarray(starts)[index],
            ),
            limits=np.minimum(room, params.max_new_tokens)[index],
            num_shared=_num_shared(prompts),
        )

    def _cache_for(self, requests: Requests, stepper: Stepper) -> Cache:
        """The cache of the last time if it is large enough and not far too large."""
        config, device, old = self.model.config, self.model.head_weight.device, self._cache
        compiled = native.usable(device, config.head_dim)
        tokens = requests.most_new_tokens + (0 if compiled else requests.most_prompt_tokens)
        capacity = -(-tokens // 16) * 16
        slots = max(1, min(self._most_rows(requests, stepper), len(requests.prompt)))
        kind = NativeCache if compiled else BlockCache
        alike = isinstance(old, kind) and old.num_slots == slots
        if old is not None and alike and capacity <= old.capacity_tokens <= 2 * capacity:
            return old
        self._cache = None  # before the next one takes memory
        self._cache = kind(config, num_slots=slots, capacity_tokens=capacity, device=device)
        return self._cache

    def _most_rows(self, requests: Requests, stepper: Stepper) -> int:
        """Rows decoded at once if there are so many."""
        tokens = requests.most_new_tokens + requests.most_prompt_tokens
        rows = min(self.max_batch_rows, self._budget() // tokens)
        if stepper.program is None:
            return rows
        weights = self.model.num_parameters
        few = cached_rows(self.model.config, num_weights=weights, tokens_per_row=tokens)
        return rows if few is None else min(rows, few)

    def _budget(self) -> int:
        """Tokens that the cache may hold."""
        if self.max_batch_tokens is not None:
            return self.max_batch_tokens
        config, device = self.model.config, self.model.head_weight.device
        free = CPU_CACHE_BYTES
        if device.type == "cuda":
            free = torch.cuda.mem_get_info(device)[0] // 2
        return free // token_bytes(config)


def _check_params(params: SamplingParams, vocab_size: int) -> None:
    forbidden = set(params.forbidden_token_ids)
    rules = (
        (params.max_new_tokens >= 1, "max_new_tokens must be at least 1"),
        (params.temperature >= 0.0, "temperature must be at least 0 (0 is greedy)"),
        (0.0 < params.top_p <= 1.0, "top_p must be above 0 and at most 1 (1 keeps everything)"),
        (params.top_k is None or params.top_k >= 1, "top_k must be at least 1, or None"),
        (0.0 <= params.min_p <= 1.0, "min_p must be between 0 and 1 (0 keeps everything)"),
        (all(params.stop), "a stop string must not be empty"),
        (
            all(0 <= token < vocab_size for token in forbidden) and len(forbidden) < vocab_size,
            f"forbidden_token_ids must be some of the {vocab_size} token ids",
        ),
    )
    for kept, message in rules:
        if not kept:
            raise UserError(message, hint="see aha.engine.types.SamplingParams")


def _check_prompt(number: int, prompt: Sequence[int], config: ModelConfig) -> None:
    if not prompt:
        raise UserError(f"prompt {number} is empty", hint="give at least one token")
    if len(prompt) >= config.max_positions:
        raise UserError(
            f"prompt {number} has {len(prompt)} tokens, the model's context is "
            f"{config.max_positions}",
            hint="shorten the prompt or use a model with a longer context",
        )
    if min(prompt) < 0 or max(prompt) >= config.vocab_size:
        raise UserError(
            f"prompt {number} has token ids outside the model's vocabulary of {config.vocab_size}",
            hint="encode it with the model's own tokenizer",
        )


def _num_shared(prompts: Sequence[Sequence[int]]) -> int:
    """Length of the longest common prefix that leaves every prompt a token, 0 when short."""
    ordered = sorted(list(prompt) for prompt in prompts)
    first, last = ordered[0], ordered[-1]
    most = min(len(first), len(last)) - 1
    length = next((i for i in range(most) if first[i] != last[i]), most)
    return length if length >= MIN_SHARED_TOKENS else 0
