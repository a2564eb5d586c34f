"""Whole steps in the C library: what they compute for a row, and that the row alone decides it."""

import dataclasses
import shutil

import pytest
import torch

from aha.engine import native, native_step
from aha.engine.decode import Stepper
from aha.engine.engine import Engine
from aha.engine.native_cache import NativeCache
from aha.engine.scheduler import MOST_STEPS
from aha.engine.types import SamplingParams
from aha.model.decoder import Decoder
from tests.model.checkpoints import CASES, build, tokens
from tests.model.test_hf_folder import word_tokenizer

FREE = SamplingParams(max_new_tokens=MOST_STEPS + 30, stop_at_eos=False)
FITTING = [case for case in CASES if build(case).config.head_dim % native.LANES == 0]


@pytest.fixture(autouse=True)
def _compiled():
    if native.library() is None:
        pytest.skip("no compiler")


def soft(case: str) -> Decoder:
    model = build(case)
    with torch.no_grad():
        model.head_weight.mul_(0.2)
    return model


def step(stepper: Stepper, rows: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Hidden states after one more token than the rows' lengths."""
    cache = NativeCache(
        stepper.config, num_slots=len(rows), capacity_tokens=32, device=torch.device("cpu")
    )
    with torch.inference_mode():
        cache.set_prefix(None)
        prompts = stepper.prefill(rows[:, :20], torch.full((len(rows),), 20))
        index = torch.arange(len(rows))
        cache.fill(index, prompts, index, lengths)
        fed = rows[index, lengths]
        return stepper.step(fed, lengths, cache, int(lengths.max()) + 1)


def test_the_library_builds_where_there_is_a_compiler():
    assert shutil.which("cc") is None or native.library() is not None


@pytest.mark.parametrize("case", FITTING)
def test_small_float32_models_run_whole_steps(case):
    assert Stepper(build(case)).program is not None
    assert Stepper(build(case).bfloat16()).program is None


def test_large_models_stay_with_torch(monkeypatch):
    monkeypatch.setattr(native_step, "MAX_PACKED_WEIGHTS", 1000)
    assert Stepper(build("mistral")).program is None


@pytest.mark.parametrize("num_tokens", [97, 96, 100, 113, 17])
def test_logits_are_the_product_with_the_head(num_tokens):
    model = build("mistral")
    model = Decoder(dataclasses.replace(model.config, vocab_size=num_tokens))
    hidden = torch.sin(torch.arange(13 * 48.0)).view(13, 48) * 3
    program = Stepper(model).program
    assert program is not None
    exact = hidden.double() @ model.head_weight.double().T
    assert program.logits(hidden).shape == exact.shape
    assert (program.logits(hidden) - exact).abs().max() < 1e-6


@pytest.mark.parametrize("case", ["qwen3-biases", "llama-biases", "smollm3-window"])
def test_a_row_is_the_same_bits_whatever_is_beside_it(case):
    stepper, rows = Stepper(build(case)), tokens(21, 24)
    lengths = torch.arange(21) % 5 + 12
    together = step(stepper, rows, lengths)
    assert stepper.program is not None
    logits = stepper.program.logits(together)
    for part in (slice(0, 1), slice(3, 8), slice(5, 21)):
        chosen = torch.cat((rows[part], rows))  # prefilled in one batch of the same size: as many
        alone = step(stepper, chosen[:21], torch.cat((lengths[part], lengths))[:21])
        size = len(rows[part])
        assert torch.equal(alone[:size], together[part])
        assert torch.equal(stepper.program.logits(together[part]), logits[part])


@pytest.mark.parametrize("case", ["qwen3-window", "mistral"])
def test_many_steps_in_one_call_draw_what_single_steps_draw(case):
    """Keeping all tokens as the likeliest 97 changes nothing but the way it is computed."""
    single = dataclasses.replace(FREE, top_k=97)
    prompts = [[5, 6, 7, 8], [9, 10], [11] * 9]
    many = Engine(soft(case), word_tokenizer()).generate(prompts, FREE, samples_per_prompt=6)
    one = Engine(soft(case), word_tokenizer()).generate(prompts, single, samples_per_prompt=6)
    for group, other in zip(many, one, strict=True):
        for a, b in zip(group, other, strict=True):
            assert a.token_ids == b.token_ids and len(a.token_ids) == FREE.max_new_tokens
            assert torch.tensor(a.logprobs).sub(torch.tensor(b.logprobs)).abs().max() < 2e-6


def test_rows_that_ended_wait_without_being_drawn_for():
    """Sixteen rows and more are left alone until an eighth of them has ended."""
    ending = SamplingParams(max_new_tokens=60, stop=("w40",))
    free = dataclasses.replace(ending, stop=(), stop_at_eos=False)
    sampler = Engine(soft("qwen3"), word_tokenizer())
    ended = sampler.generate([[5, 6, 7]], ending, samples_per_prompt=48)[0]
    assert sampler.stats is not None
    assert sampler.stats.new_tokens == sum(len(c.token_ids) for c in ended)
    whole = sampler.generate([[5, 6, 7]], free, samples_per_prompt=48)[0]
    lengths = set()
    for one, other in zip(ended, whole, strict=True):
        ends = [i for i, t in enumerate(other.token_ids) if t == 2 or "w40" in f"w{t}"]
        assert len(one.token_ids) == (ends[0] + 1 if ends else 60)
        assert one.token_ids == other.token_ids[: len(one.token_ids)]
        lengths.add(len(one.token_ids))
    assert len(lengths) > 10
