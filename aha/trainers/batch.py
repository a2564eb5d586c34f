"""From samples to padded rows: what a forward pass sees and where its loss is.

Shapes: B rows, T tokens of a row after the shared prefix, P tokens of the prefix, N sampled tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aha.trainers.rollouts import Sample


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Rows of similar length, padded on the right, behind one prefix that all of them share."""

    samples: list[Sample]
    prefix_P: Tensor
    tokens_BT: Tensor
    mask_BT: Tensor
    """True where `tokens_BT` was sampled, EOS included."""
    old_logp_BT: Tensor
    advantages_B: Tensor

    @property
    def num_tokens(self) -> int:
        return int(self.mask_BT.sum())


def shared_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """Tokens that all prompts begin with; the last token of a prompt is never shared.

    Its state predicts the first token of the response, so it has to be in the row.
    """
    first, shortest = prompts[0], min(map(len, prompts)) - 1
    for index in range(shortest):
        if any(prompt[index] != first[index] for prompt in prompts):
            return index
    return max(0, shortest)


def micro_batches(samples: Sequence[Sample], *, max_tokens: int) -> Iterator[MicroBatch]:
    """Rows sorted by length and cut so that a padded batch holds at most `max_tokens` tokens.

    A single row longer than that still gets a batch of its own.
    """
    if not samples:
        return
    prefix = shared_prefix([sample.prompt_ids for sample in samples])
    rows = sorted(samples, key=lambda sample: len(sample.prompt_ids) + sample.length_tokens)
    batch: list[Sample] = []
    for sample in rows:
        width = len(sample.prompt_ids) + sample.length_tokens - prefix
        if batch and (len(batch) + 1) * width + prefix > max_tokens:
            yield pack(batch, prefix)
            batch = []
        batch.append(sample)
    yield pack(batch, prefix)


def pack(samples: list[Sample], prefix: int) -> MicroBatch:
    """Pad the rows of samples whose prompts share their first `prefix` tokens."""
    rows = [s.prompt_ids[prefix:] + list(s.completion.token_ids) for s in samples]
    shape = (len(rows), max(map(len, rows)))
    tokens_BT = torch.zeros(shape, dtype=torch.int64)
    mask_BT = torch.zeros(shape, dtype=torch.bool)
    old_logp_BT = torch.zeros(shape, dtype=torch.float32)
    for row, (sample, ids) in enumerate(zip(samples, rows, strict=True)):
        start = len(sample.prompt_ids) - prefix
        tokens_BT[row, : len(ids)] = torch.tensor(ids)
        mask_BT[row, start : len(ids)] = True
        old_logp_BT[row, start : len(ids)] = torch.tensor(sample.completion.logprobs)
    return MicroBatch(
        samples=samples,
        prefix_P=torch.tensor(samples[0].prompt_ids[:prefix], dtype=torch.int64),
        tokens_BT=tokens_BT,
        mask_BT=mask_BT,
        old_logp_BT=old_logp_BT,
        advantages_B=torch.tensor([sample.advantage for sample in samples]),
    )
