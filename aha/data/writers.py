"""Who writes and who judges: a model folder with a chat template, or an endpoint.

Both take prompts and give replies, and both remember them by the hash of what was asked: a stage
that is killed, or run again, pays for none of them twice. (The writer `rules` is no model; it lives
in `aha.data.cold_start`.)
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import torch

from aha.chat.grammar import ends_in_open_think
from aha.chat.templates import render_prompt
from aha.engine.endpoint import Endpoint
from aha.engine.engine import Engine
from aha.engine.replies import Reply, ReplyCache, default_cache, parted
from aha.engine.types import Completion, SamplingParams
from aha.errors import UserError
from aha.model.hf_folder import load_model
from aha.pipeline.endpoints import is_endpoint
from aha.pipeline.sources import fingerprint, resolve_model

WRITER_TEMPERATURE, WRITER_TOP_P = 0.6, 0.95
"""Of summaries, translations and repeated judgements; the paper samples R1 so (v2, D.1)."""


class Writer(Protocol):
    """Replies to prompts."""

    def sample(
        self, prompts: Sequence[str], params: SamplingParams, *, samples: int = 1
    ) -> list[list[Reply]]:
        """`samples` replies to each prompt, in order; the same ones whenever they are asked for."""


def write(writer: Writer, prompts: Sequence[str], params: SamplingParams) -> list[str | None]:
    """One text for each prompt, thoughts left out; None where the writer did not come to an end."""
    replies = [group[0] for group in writer.sample(prompts, params)]
    return [reply.text if reply.is_whole and reply.text else None for reply in replies]


def load_writer(
    reference: str,
    folder: Path | None = None,
    *,
    seed: int = 0,
    dtype: str = "float32",
    max_batch_rows: int = 64,
) -> Writer:
    """The writer that a reference names: an endpoint or a model. Raises UserError.

    folder: where the model lies when it is an input of the stage; else the reference is resolved.
    """
    if is_endpoint(reference):
        return EndpointWriter(Endpoint.parse(reference), seed=seed)
    if "://" in reference:
        raise UserError(f"unknown model {reference!r}", hint=f"write endpoint:{reference}")
    found = folder or resolve_model(reference)
    return ModelWriter(found, seed=seed, dtype=dtype, max_batch_rows=max_batch_rows)


class EndpointWriter:
    """A model behind an OpenAI-compatible endpoint."""

    def __init__(self, endpoint: Endpoint, *, seed: int = 0):
        self.endpoint, self.seed = endpoint, seed

    def sample(
        self, prompts: Sequence[str], params: SamplingParams, *, samples: int = 1
    ) -> list[list[Reply]]:
        conversations = [[{"role": "user", "content": prompt}] for prompt in prompts]
        return self.endpoint.sample(conversations, params, samples=samples, seed=self.seed)


class ModelWriter:
    """A model folder, asked through its chat template."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int = 0,
        dtype: str = "float32",
        max_batch_rows: int = 64,
        cache: ReplyCache | None = None,
    ):
        loaded = load_model(folder, dtype=getattr(torch, dtype))
        if loaded.tokenizer.chat_template is None:
            raise UserError(
                f"{folder} has no chat template, so it cannot be asked to write or to judge",
                hint="name an instruction-tuned model, or an endpoint",
            )
        self.seed, self.tokenizer = seed, loaded.tokenizer
        self.cache = cache or default_cache()
        self._engine = Engine(
            loaded.model, loaded.tokenizer, max_batch_rows=max_batch_rows, seed=seed
        )
        self._most_tokens = loaded.config.max_positions
        self._identity = f"{fingerprint(folder)}/{dtype}"

    def sample(
        self, prompts: Sequence[str], params: SamplingParams, *, samples: int = 1
    ) -> list[list[Reply]]:
        texts = [render_prompt("chat", prompt, self.tokenizer) for prompt in prompts]
        requests = [self._request(text, params, samples) for text in texts]
        replies = [self.cache.get(request) for request in requests]
        new = [index for index, found in enumerate(replies) if found is None]
        made = self._made([texts[index] for index in new], params, samples)
        for index, group in zip(new, made, strict=True):
            self.cache.put(requests[index], group)
            replies[index] = group
        return [group or [] for group in replies]

    def _request(self, text: str, params: SamplingParams, samples: int) -> dict[str, Any]:
        asked = {"model": self._identity, "prompt": text, "seed": self.seed, "samples": samples}
        return {**asked, **asdict(params)}

    def _made(
        self, texts: Sequence[str], params: SamplingParams, samples: int
    ) -> list[list[Reply]]:
        """New replies; a prompt that fills the model's context gets empty ones.

        The random stream of a prompt is named by its text, not by its place among the others.
        """
        ids = [self.tokenizer.encode(text, with_bos=True) for text in texts]
        fits = [index for index, prompt in enumerate(ids) if len(prompt) < self._most_tokens]
        groups = self._engine.generate(
            [ids[index] for index in fits],
            params,
            samples_per_prompt=samples,
            prompt_keys=[_key(texts[index]) for index in fits],
        )
        made = dict(zip(fits, groups, strict=True))
        return [
            [_reply(one, text) for one in made[index]]
            if index in made
            else [Reply(text="", finish_reason="length")] * samples
            for index, text in enumerate(texts)
        ]


def _reply(completion: Completion, prompt: str) -> Reply:
    opened = ends_in_open_think(prompt)
    text, reasoning = parted(completion.text, prompt_opens_think=opened)
    return Reply(text=text, reasoning=reasoning, finish_reason=completion.finish_reason)


def _key(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8])
