"""The C library against torch, and life without it."""

import subprocess
import sys

import pytest
import torch

from aha.engine import native
from aha.engine.sampling import draw
from aha.engine.types import SamplingParams


@pytest.fixture
def compiled():
    if native.library() is None:
        pytest.skip("no compiler")


@pytest.mark.parametrize("width", [16, 48, 128])
def test_rms_norm(compiled, width):
    x = torch.linspace(-3, 5, 7 * width).view(7, width)
    weight = torch.linspace(0.5, 2, width)
    exact = torch.nn.functional.rms_norm(x.double(), (width,), weight.double(), 1e-5)
    assert (native.rms_norm(x, weight, 1e-5) - exact).abs().max() < 2e-6


@pytest.mark.parametrize("num_tokens", [1, 3, 16, 17, 64, 97, 130, 1000])
@pytest.mark.parametrize("temperature", [1.0, 0.6, 3.0])
def test_sampling_equals_the_operators(compiled, monkeypatch, num_tokens, temperature):
    generator = torch.Generator().manual_seed(num_tokens)
    logits = torch.randn(500, num_tokens, generator=generator) * 3
    logits[::7] -= 200.0
    logits[::5, num_tokens // 2] += 150.0
    uniform = torch.rand(500, generator=generator, dtype=torch.float64)
    uniform[:2] = torch.tensor([0.0, 1.0 - 2.0**-53], dtype=torch.float64)
    params = SamplingParams(temperature=temperature)
    tokens, logprobs = draw(logits.clone(), uniform, params)
    monkeypatch.setattr(native, "library", lambda: None)
    expected, expected_logprobs = draw(logits.clone(), uniform, params)
    assert torch.equal(tokens, expected)
    assert (logprobs - expected_logprobs).abs().max() < 2e-5


def test_non_finite_logits_give_a_token_in_range_and_no_finite_log_prob(compiled):
    logits = torch.full((3, 97), float("nan"))
    uniform = torch.tensor([0.0, 0.5, 0.999], dtype=torch.float64)
    tokens, logprobs = draw(logits, uniform, SamplingParams())
    assert bool(((tokens >= 0) & (tokens < 97)).all())
    assert not bool(torch.isfinite(logprobs).any())


PROBE = "from aha.engine import native; print(native.library() is not None)"


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [("AHA_NATIVE", "0", "False"), ("CC", "/no/such/compiler", "False"), ("CC", "false", "False")],
)
def test_it_can_be_switched_off_and_a_missing_compiler_is_no_error(
    tmp_path, monkeypatch, variable, value, expected
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(variable, value)
    out = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == expected


def test_it_is_built_once_and_in_the_cache(compiled, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    command = [sys.executable, "-c", PROBE]
    for _ in range(2):
        out = subprocess.run(command, capture_output=True, text=True, check=True)
        assert out.stdout.strip() == "True"
        monkeypatch.setenv("PATH", "")  # the second time no compiler is needed
    (built,) = (tmp_path / "aha" / "native").iterdir()
    assert built.suffix == ".so"


def test_a_cache_that_cannot_be_written_is_replaced(compiled, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    out = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "True"
