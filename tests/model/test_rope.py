"""Rotation against complex numbers, and the scalings at their corner frequencies."""

import math

import pytest
import torch

from aha.model.rope import RopeConfig, RopeTable, attention_factor, inverse_frequencies, rotate


def test_rotation_is_a_complex_product_and_depends_on_distance_only():
    table = RopeTable(RopeConfig(), 8, 64)
    cos, sin = table.cos_sin(0, 40, torch.device("cpu"))
    x, y = torch.linspace(-1, 1, 8), torch.linspace(0.3, 2, 8)
    angle = torch.complex(cos[7], sin[7])
    product = torch.complex(x[:4], x[4:]) * angle
    turned = rotate(x, cos[7], sin[7])
    assert (torch.complex(turned[:4], turned[4:]) - product).abs().max() < 1e-6
    scores = [rotate(x, cos[i], sin[i]) @ rotate(y, cos[i + 5], sin[i + 5]) for i in (0, 11, 30)]
    assert max(scores) - min(scores) < 1e-5


def test_a_table_grows_without_changing_what_it_held():
    table = RopeTable(RopeConfig(), 8, 4096)
    early = table.cos_sin(0, 10, torch.device("cpu"))[0].clone()
    late = table.cos_sin(900, 1000, torch.device("cpu"))[1]
    assert torch.equal(table.cos_sin(0, 10, torch.device("cpu"))[0], early)
    exact = math.sin(999 * 10000.0 ** (-2 / 8))
    assert float(late[99, 1]) == pytest.approx(exact, abs=1e-4)


def test_linear_divides_every_frequency():
    plain = inverse_frequencies(RopeConfig(), 16, 64)
    scaled = inverse_frequencies(RopeConfig(kind="linear", factor=4.0), 16, 64)
    assert torch.allclose(scaled * 4, plain)


def test_llama3_keeps_short_waves_and_divides_long_ones():
    rope = RopeConfig(kind="llama3", theta=5e5, factor=8.0, original_max_position_embeddings=8192)
    plain = inverse_frequencies(RopeConfig(theta=5e5), 128, 1)
    ratio = plain / inverse_frequencies(rope, 128, 1)
    wavelength = 2 * math.pi / plain
    assert bool((ratio[wavelength < 8192 / 4] == 1).all())
    assert torch.allclose(ratio[wavelength > 8192], torch.tensor(8.0))
    assert bool((ratio.diff() >= -1e-5).all())


def test_yarn_keeps_fast_pairs_divides_slow_ones_and_raises_the_temperature():
    rope = RopeConfig(kind="yarn", factor=4.0, original_max_position_embeddings=4096)
    plain = inverse_frequencies(RopeConfig(), 128, 1)
    ratio = plain / inverse_frequencies(rope, 128, 1)
    turns = 4096 * plain / (2 * math.pi)
    assert torch.allclose(ratio[turns > 40], torch.tensor(1.0))
    assert torch.allclose(ratio[turns < 0.9], torch.tensor(4.0))
    assert attention_factor(rope) == pytest.approx(0.1 * math.log(4) + 1)
    given = RopeConfig(kind="yarn", factor=4.0, attention_factor=1.5)
    assert attention_factor(given) == 1.5
