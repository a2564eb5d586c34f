"""Rows of a forward pass: padding, the shared prefix, and where the loss is."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aha.trainers.batch import micro_batches, pack, shared_prefix
from tests.trainers.tiny import sample

PROMPTS = [[7, 8, 9, 2], [7, 8, 9, 3], [7, 8, 5, 3, 2]]


def test_the_shared_prefix_never_takes_a_whole_prompt():
    assert shared_prefix([[7, 8, 9], [7, 8, 5]]) == 2
    assert shared_prefix([[7, 8, 9], [7, 8, 9]]) == 2  # the last token predicts the response
    assert shared_prefix([[7, 8], [7, 8, 9]]) == 1
    assert shared_prefix([[7], [7]]) == 0
    assert shared_prefix([[7, 8], [6, 8]]) == 0


def test_a_packed_row_is_prompt_rest_response_padding():
    short = sample(PROMPTS[0], (4, 0), logprobs=(-0.5, -0.25), advantage=1.0)
    long = sample(PROMPTS[2], (4, 4, 5), logprobs=(-1.0, -2.0, -3.0), advantage=-1.0)
    batch = pack([short, long], prefix=2)
    assert batch.prefix_P.tolist() == [7, 8]
    assert batch.tokens_BT.tolist() == [[9, 2, 4, 0, 0, 0], [5, 3, 2, 4, 4, 5]]
    assert batch.mask_BT.int().tolist() == [[0, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1]]
    assert batch.old_logp_BT.tolist() == [
        [0, 0, -0.5, -0.25, 0, 0],
        [0, 0, 0, -1.0, -2.0, -3.0],
    ]
    assert batch.advantages_B.tolist() == [1.0, -1.0]
    assert batch.num_tokens == 5


def test_the_mask_covers_the_end_token_that_was_sampled_and_not_the_padding_that_equals_it():
    ended = sample([7, 8], (4, 0), finish_reason="stop")
    cut_off = sample([7, 8], (4, 4, 4), finish_reason="length")
    batch = pack([ended, cut_off], prefix=1)
    assert batch.tokens_BT[0].tolist() == [8, 4, 0, 0]
    assert batch.mask_BT[0].tolist() == [False, True, True, False]


samples_strategy = st.lists(
    st.tuples(
        st.lists(st.integers(1, 9), min_size=1, max_size=6),
        st.lists(st.integers(0, 9), min_size=1, max_size=12),
    ),
    min_size=1,
    max_size=12,
)


@given(rows=samples_strategy, max_tokens=st.integers(4, 80))
def test_every_sampled_token_is_in_one_micro_batch_once(rows, max_tokens):
    samples = [sample(prompt, tuple(response)) for prompt, response in rows]
    batches = list(micro_batches(samples, max_tokens=max_tokens))
    packed = [s for batch in batches for s in batch.samples]
    assert sorted(map(id, packed)) == sorted(map(id, samples))
    for batch in batches:
        rows_read = [
            [*batch.prefix_P.tolist(), *row[: _last(mask) + 1].tolist()]
            for row, mask in zip(batch.tokens_BT, batch.mask_BT, strict=True)
        ]
        assert rows_read == [[*s.prompt_ids, *s.completion.token_ids] for s in batch.samples]
        sampled = [
            row[mask].tolist() for row, mask in zip(batch.tokens_BT, batch.mask_BT, strict=True)
        ]
        assert sampled == [list(s.completion.token_ids) for s in batch.samples]
        size = batch.tokens_BT.numel() + len(batch.prefix_P)
        assert size <= max_tokens or len(batch.samples) == 1


def _last(mask_T: torch.Tensor) -> int:
    return int(mask_T.nonzero().max())


def test_rows_of_one_batch_have_similar_lengths():
    samples = [sample([7], (4,) * length) for length in (9, 1, 8, 2, 9, 1)]
    batches = list(micro_batches(samples, max_tokens=30))
    lengths = [[s.length_tokens for s in batch.samples] for batch in batches]
    assert lengths == [[1, 1, 2], [8, 9, 9]]


def test_no_samples_make_no_batch():
    assert list(micro_batches([], max_tokens=64)) == []


@pytest.mark.parametrize("max_tokens", [1, 10**6])
def test_order_of_samples_does_not_matter_to_what_is_packed(max_tokens):
    samples = [sample(prompt, (4, 5, 0)) for prompt in PROMPTS]
    there = [b.num_tokens for b in micro_batches(samples, max_tokens=max_tokens)]
    back = [b.num_tokens for b in micro_batches(samples[::-1], max_tokens=max_tokens)]
    assert there == back
    assert sum(there) == 9
