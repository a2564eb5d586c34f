"""The chunked loss against cross-entropy on the whole matrix of logits."""

import pytest
import torch
import torch.nn.functional as F

import aha.algorithms.sft as sft
from aha.algorithms.sft import sum_cross_entropy


def case(num_rows: int = 37, width: int = 16, words: int = 50):
    generator = torch.Generator().manual_seed(num_rows)
    hidden = torch.randn(num_rows, width, generator=generator, requires_grad=True)
    weight = torch.randn(words, width, generator=generator, requires_grad=True)
    return hidden, weight, torch.randint(words, (num_rows,), generator=generator)


def plain(hidden, weight, targets):
    return F.cross_entropy(hidden @ weight.T, targets, reduction="sum")


@pytest.mark.parametrize("chunk_rows", [1, 5, 37, 1_000])
def test_loss_and_gradients_are_those_of_cross_entropy(monkeypatch, chunk_rows):
    monkeypatch.setattr(sft, "MIN_CHUNK_ROWS", chunk_rows)
    monkeypatch.setattr(sft, "CHUNK_ELEMENTS", 1)
    for function in (plain, sum_cross_entropy):
        hidden, weight, targets = case()
        loss = function(hidden, weight, targets)
        (loss / 7).backward()
        if function is plain:
            expected = (loss.item(), hidden.grad, weight.grad)
    assert loss.item() == pytest.approx(expected[0], rel=1e-6)
    torch.testing.assert_close(hidden.grad, expected[1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(weight.grad, expected[2], rtol=1e-5, atol=1e-6)


def test_no_positions_cost_nothing():
    hidden, weight, targets = case(num_rows=3)
    loss = sum_cross_entropy(hidden[:0], weight, targets[:0])
    loss.backward()
    assert loss.item() == 0 and not weight.grad.any()


def test_without_gradients_it_is_the_same_number():
    hidden, weight, targets = case()
    with torch.inference_mode():
        assert sum_cross_entropy(hidden, weight, targets).item() == pytest.approx(
            plain(hidden, weight, targets).item(), rel=1e-6
        )


def test_shapes_that_do_not_belong_together():
    hidden, weight, targets = case()
    with pytest.raises(ValueError, match="want hidden states"):
        sum_cross_entropy(hidden, weight, targets[:5])
