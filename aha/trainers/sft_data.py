"""The data of supervised fine-tuning: held back, packed, ordered, and shown before the first step.

The batches follow from the file, the config and the seed, so a step number is all it takes to find
the place again.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from aha.data.conversations import TokenSample, fit_samples, load_samples
from aha.data.packing import best_fit_decreasing
from aha.errors import UserError
from aha.model.tokenizer import Tokenizer
from aha.pipeline.files import write_text
from aha.pipeline.stage import StageContext
from aha.trainers.config import SftConfig

MASK_FILE = "mask.txt"
NUM_SHOWN = 4
"""Samples in mask.txt; one of them is printed."""
SHOWN_CHARS = 600
"""Of each piece in the printed sample."""

Row = list[TokenSample]


@dataclass(frozen=True)
class Dataset:
    """Samples to train on, their order in each epoch, and samples that are held back."""

    train: Sequence[TokenSample]
    validation: Sequence[TokenSample]
    num_overlong: int
    batch_samples: int
    row_tokens: int
    seed: int
    _orders: dict[int, list[TokenSample]] = field(default_factory=dict)

    @property
    def steps_per_epoch(self) -> int:
        """Updates that an epoch is spread over evenly."""
        return -(-len(self.train) // self.batch_samples)

    def batch(self, step: int) -> list[TokenSample]:
        """The samples of step 1, 2, ... on all ranks, longest first."""
        epoch, place = divmod(step - 1, self.steps_per_epoch)
        first, last = (len(self.train) * i // self.steps_per_epoch for i in (place, place + 1))
        drawn = self._order(epoch)[first:last]
        return sorted(drawn, key=lambda sample: -sample.num_tokens)

    def cursor(self, step: int) -> dict[str, Any]:
        """Where step `step` ends, and in which data."""
        epoch, steps = divmod(step, self.steps_per_epoch)
        sample = len(self.train) * steps // self.steps_per_epoch
        return {"epoch": epoch, "sample": sample, "data": self._digest}

    def counts(self) -> dict[str, int]:
        """Numbers for DONE.json."""
        return {
            "samples": len(self.train),
            "validation_samples": len(self.validation),
            "overlong_samples": self.num_overlong,
        }

    def sentence(self, num_steps: int) -> str:
        """The size of the run for people."""
        tokens = sum(sample.num_tokens for sample in self.train)
        trained = sum(sample.num_trained for sample in self.train)
        held_back, overlong = len(self.validation), self.num_overlong
        return (
            f"{len(self.train):,} samples, {tokens:,} tokens of which {trained:,} are trained on; "
            + (f"{overlong:,} samples too long; " if overlong else "")
            + f"{held_back:,} held back; {num_steps:,} steps of at most {self.batch_samples:,} "
            f"samples, {num_steps / self.steps_per_epoch:.3g} epochs."
        )

    def _order(self, epoch: int) -> list[TokenSample]:
        """Every sample once, in another order each epoch."""
        if epoch not in self._orders:
            self._orders.clear()
            self._orders[epoch] = list(self.train)
            random.Random(f"{self.seed}/sft/{epoch}").shuffle(self._orders[epoch])
        return self._orders[epoch]

    @cached_property
    def _digest(self) -> str:
        """Of every token, so that a checkpoint knows its data."""
        digest = hashlib.sha256()
        for sample in (*self.train, *self.validation):
            digest.update(sample.tokens.tobytes())
        return digest.hexdigest()


def load_dataset(
    ctx: StageContext[SftConfig], tokenizer: Tokenizer, *, context_tokens: int
) -> Dataset:
    """Read, render and split the input `data`. Raises UserError where nothing is left."""
    config, path = ctx.config, ctx.inputs["data"]
    limit = min(config.row_tokens, context_tokens)
    everything = load_samples(path, tokenizer, ctx.ranks)
    samples, num_overlong = fit_samples(everything, max_tokens=limit, cut=config.overlong == "cut")
    if not samples:
        raise UserError(
            f"none of the {len(everything)} samples in {path} fits into {limit} tokens",
            hint=f"raise row_tokens (the model's context is {context_tokens}), or set overlong=cut",
        )
    train, validation = hold_back(samples, config.validation_fraction, config.seed)
    return Dataset(
        train=train,
        validation=validation,
        num_overlong=num_overlong,
        batch_samples=config.batch_samples,
        row_tokens=config.row_tokens,
        seed=config.seed,
    )


def hold_back(
    samples: Sequence[TokenSample], fraction: float, seed: int
) -> tuple[list[TokenSample], list[TokenSample]]:
    """Samples to train on, and all samples of a share of the prompts; each keeps at least one.

    With a single prompt, or a fraction of 0, nothing is held back.
    """
    prompts = list(dict.fromkeys(sample.group for sample in samples))
    random.Random(f"{seed}/sft/validation").shuffle(prompts)
    count = min(max(1, round(fraction * len(prompts))), len(prompts) - 1) if fraction else 0
    held_back = set(prompts[:count])
    return (
        [sample for sample in samples if sample.group not in held_back],
        [sample for sample in samples if sample.group in held_back],
    )


def pack_rows(samples: Sequence[TokenSample], row_tokens: int) -> list[Row]:
    """The samples in rows of at most `row_tokens`."""
    rows = best_fit_decreasing([sample.num_tokens for sample in samples], row_tokens)
    return [[samples[item] for item in row] for row in rows]


def micro_batches(rows: Sequence[Row], *, max_tokens: int) -> Iterator[list[TokenSample]]:
    """Whole rows, as many as `max_tokens` hold, one at least."""
    batch: list[TokenSample] = []
    num_tokens = 0
    for row in rows:
        size = sum(sample.num_tokens for sample in row)
        if batch and num_tokens + size > max_tokens:
            yield batch
            batch, num_tokens = [], 0
        batch = [*batch, *row]
        num_tokens += size
    if batch:
        yield batch


def mask_picture(sample: TokenSample, tokenizer: Tokenizer, *, max_chars: int | None = None) -> str:
    """The sample as text, what is trained on in [[ ]], special tokens shown."""
    parts = []
    places = range(sample.num_tokens)
    for is_trained, run in groupby(places, key=lambda place: bool(sample.is_trained[place])):
        ids = [int(sample.tokens[place]) for place in run]
        text = _shortened(tokenizer.decode(ids, skip_special_tokens=False), max_chars)
        parts.append(f"[[{text}]]" if is_trained else text)
    return "".join(parts)


def show_mask(ctx: StageContext[SftConfig], data: Dataset, tokenizer: Tokenizer) -> None:
    """Print the mask of the first sample of the file, and write those of a few to mask.txt."""
    first = data.train[:NUM_SHOWN]
    end = tokenizer.id_to_token(int(first[0].tokens[-1]))
    ends = first[0].is_trained[-1] and first[0].tokens[-1] in tokenizer.eos_token_ids
    stop = (
        f"the end, {end}, is trained on too"
        if ends
        else "this sample is cut off, so its end is not trained on"
    )
    head = "The loss is on the tokens in [[ ]]"
    if ctx.ranks.is_main:
        pictures = [
            f"--- {sample.id}: {sample.num_trained} of {sample.num_tokens} tokens\n"
            + mask_picture(sample, tokenizer)
            for sample in first
        ]
        write_text(_mask_path(ctx.directory), "\n".join([f"{head}; {stop}.", *pictures, ""]))
    shown = mask_picture(first[0], tokenizer, max_chars=SHOWN_CHARS)
    safe = "".join(char if char.isprintable() or char == "\n" else "?" for char in shown)
    ctx.log.note(f"{head}; {stop}:\n" + "\n".join("    | " + line for line in safe.split("\n")))


def _mask_path(directory: Path) -> Path:
    return directory / MASK_FILE


def _shortened(text: str, max_chars: int | None) -> str:
    if max_chars is None or len(text) <= max_chars:
        return text
    half = max_chars // 2
    return f"{text[:half]} ... {text[-half:]}"
