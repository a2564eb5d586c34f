"""Uniform numbers, the inverse of the distribution, and the filters."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aha.engine.sampling import BLOCK, draw, invert, row_keys, uniforms
from aha.engine.types import SamplingParams


def keys(seed=0, step=0, prompt=0, sample=0) -> np.ndarray:
    return row_keys(seed=seed, step=step, prompt_keys=[prompt], samples=[sample])


def one_uniform(**names) -> float:
    return float(uniforms(keys(**names), np.array([0]))[0])


def test_numbers_are_pinned():
    """Any change of these breaks the promise that a seed repeats a run."""
    row = row_keys(seed=1, step=2, prompt_keys=[3, 3], samples=[4, 5])
    assert row.tolist() == [17696682731708307603, 17553508333255566031]
    assert uniforms(row, np.array([0, 7])).tolist() == [0.24036010253435225, 0.23858088429476287]


def test_every_name_changes_the_number():
    names = ("seed", "step", "prompt", "sample")
    drawn = [one_uniform(**{name: value}) for name in names for value in (1, 2, 2**40, -1)]
    assert len({*drawn, one_uniform()}) == 17


def test_numbers_look_uniform_and_uncorrelated():
    row = row_keys(seed=0, step=0, prompt_keys=[0] * 400, samples=list(range(400)))
    table = np.stack([uniforms(row, np.full(400, position)) for position in range(50)])
    assert table.min() >= 0.0 and table.max() < 1.0
    assert abs(table.mean() - 0.5) < 4 * math.sqrt(1 / 12 / table.size)
    counts = np.histogram(table, bins=20, range=(0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 45  # chi-square, 19 degrees, p = 0.0007
    for pair in ((table[1:], table[:-1]), (table[:, 1:], table[:, :-1])):
        assert abs(np.corrcoef(pair[0].ravel(), pair[1].ravel())[0, 1]) < 0.03


@given(
    st.lists(st.floats(0, 1e3) | st.just(0.0), min_size=1, max_size=3 * BLOCK),
    st.floats(0, 1, exclude_max=True),
)
def test_inverse_equals_the_walk_along_the_distribution(weights, uniform):
    if not sum(weights) > 1e-30:
        weights[0] = 1.0
    row = torch.tensor([weights])
    got = int(invert(row, torch.tensor([uniform], dtype=torch.float64)))
    exact, target = row[0].double(), uniform * row[0].double().sum()
    edge = exact.cumsum(0)
    slack = 1e-5 * float(edge[-1])
    assert weights[got] > 0
    assert float(edge[got] - exact[got]) - slack <= target <= float(edge[got]) + slack


@pytest.mark.parametrize("num_tokens", [1, 5, BLOCK, 3 * BLOCK + 1])
def test_inverse_at_the_ends_never_takes_a_token_of_weight_zero(num_tokens):
    for only in {0, num_tokens // 2, num_tokens - 1}:
        weights = torch.zeros(2, num_tokens)
        weights[:, only] = 0.37
        ends = torch.tensor([0.0, 1.0 - 2.0**-53], dtype=torch.float64)
        assert invert(weights, ends).tolist() == [only, only]


def test_frequencies_follow_the_distribution():
    logits = torch.linspace(-3, 2, 100)[None].expand(20000, 100)
    row = row_keys(seed=0, step=0, prompt_keys=[0] * 20000, samples=list(range(20000)))
    uniform = torch.from_numpy(uniforms(row, np.zeros(20000)))
    tokens, logprobs = draw(logits, uniform, SamplingParams(temperature=0.7))
    expected = (logits[0] / 0.7).softmax(0) * 20000
    counts = tokens.bincount(minlength=100)
    assert float(((counts - expected) ** 2 / expected).sum()) < 150  # 99 degrees, p = 0.0007
    exact = (logits[0] / 0.7).log_softmax(0)[tokens]
    assert (logprobs - exact).abs().max() < 1e-5


def drawable(logits: list[float], **options) -> list[int]:
    """The tokens that can be drawn."""
    uniform = torch.linspace(0, 1 - 1e-9, 4001, dtype=torch.float64)
    rows = torch.tensor([logits]).expand(len(uniform), -1)
    tokens, logprobs = draw(rows, uniform, SamplingParams(**options))
    full = (rows[0] / (options.get("temperature") or 1.0)).log_softmax(0)
    assert (logprobs - full[tokens]).abs().max() < 1e-5
    return sorted(set(tokens.tolist()))


LOGITS = [math.log(p) for p in (0.1, 0.4, 0.05, 0.3, 0.15)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"top_k": 2}, [1, 3]),
        ({"top_k": 1}, [1]),
        ({"top_k": 50}, [0, 1, 2, 3, 4]),
        ({"top_p": 0.69}, [1, 3]),
        ({"top_p": 0.71}, [1, 3, 4]),
        ({"top_p": 0.01}, [1]),
        ({"min_p": 0.3}, [1, 3, 4]),
        ({"min_p": 1.0}, [1]),
        ({"top_k": 3, "top_p": 0.8}, [1, 3]),
        ({"forbidden_token_ids": (1, 4)}, [0, 2, 3]),
        ({"forbidden_token_ids": (1,), "top_k": 1}, [3]),
        ({"temperature": 0.0}, [1]),
        ({"temperature": 0.0, "forbidden_token_ids": (1,)}, [3]),
        ({"temperature": 0.5, "min_p": 0.3}, [1, 3]),
    ],
)
def test_filters_keep_exactly_these_tokens_and_log_probs_ignore_them(options, expected):
    assert drawable(LOGITS, **options) == expected


def test_a_token_hundreds_of_nats_down_can_be_drawn_when_the_rest_is_forbidden():
    logits = torch.tensor([[500.0, 0.0, -1.0]])
    params = SamplingParams(forbidden_token_ids=(0,))
    tokens, logprobs = draw(logits, torch.tensor([0.99], dtype=torch.float64), params)
    assert tokens.tolist() == [2]
    assert logprobs.tolist() == [-501.0]


def test_temperature_scales_differences_of_log_probs():
    logits = torch.tensor([[0.3, -1.2, 2.0]]).expand(3, 3)
    uniform = torch.tensor([0.01, 0.5, 0.99], dtype=torch.float64)
    for temperature in (0.5, 1.0, 2.0):
        tokens, logprobs = draw(logits, uniform, SamplingParams(temperature=temperature))
        differences = logits[0][tokens].diff() / temperature
        assert torch.allclose(logprobs.diff(), differences, atol=1e-5)
