"""Rows that come and go are drawn as the engine draws them alone."""

from collections import deque

import pytest
import torch

from aha.engine import native
from aha.engine.engine import Engine
from aha.engine.types import SamplingParams
from aha.serve import live_batch
from aha.serve.live_batch import BROKEN, LiveBatch, Row
from aha.serve.prompt_reader import Prompt, PromptReader
from aha.serve.service import prompt_key
from tests.serve.api_models import random_model
from tests.trainers.tiny import tiny_model

PROMPTS = [[2 + (i * k) % 14 for i in range(3 + 5 * k)] for k in range(1, 7)]
FREE = SamplingParams()


@pytest.fixture(params=["compiled", "operators", "bfloat16"])
def loaded(request):
    if request.param == "compiled" and native.library() is None:
        pytest.skip("no compiler")
    model = random_model(width=32 if request.param == "operators" else 64)
    if request.param == "bfloat16":
        model.model.to(torch.bfloat16)
    return model


def rows_of(prompts, params, *, seed=3, limit=24):
    from aha.engine.sampling import row_keys

    keys = [
        row_keys(seed=seed, step=0, prompt_keys=[prompt_key(p)], samples=[0])[0] for p in prompts
    ]
    return [Row(prompt=Prompt(p), draws=params, limit=limit, key=int(key))
            for p, key in zip(prompts, keys, strict=True)]  # fmt: skip


def batch_of(loaded, **options):
    options = {"eos_token_ids": (), "context_tokens": 64, "max_rows": 4, **options}
    with torch.inference_mode():
        return LiveBatch(loaded.model, **options)


def run(batch, waiting, *, arrivals=()):
    """Steps until all is over; arrivals: (step, row) that come later. Returns displaced rows."""
    waiting, lost = deque(waiting), 0
    with torch.inference_mode():
        for number in range(10_000):
            waiting.extend(row for step, row in arrivals if step == number)
            if not waiting and not batch.num_rows:
                return lost
            batch.admit(waiting)
            displaced = batch.step()[1]
            lost += len(displaced)
            waiting.extendleft(reversed(displaced))
    raise AssertionError("it does not end")


def expected(loaded, params=FREE, *, seed=3, limit=24):
    params = SamplingParams(
        temperature=params.temperature, top_p=params.top_p, max_new_tokens=limit, stop_at_eos=False
    )
    engine = Engine(loaded.model, loaded.tokenizer, seed=seed)
    keys = [prompt_key(prompt) for prompt in PROMPTS]
    groups = engine.generate(PROMPTS, params, prompt_keys=keys)
    return [list(completion.token_ids) for (completion,) in groups]


@pytest.mark.parametrize(
    "params", [FREE, SamplingParams(temperature=0.0), SamplingParams(top_p=0.6)]
)
def test_tokens_are_the_engines(loaded, params):
    rows = rows_of(PROMPTS, params)
    run(batch_of(loaded), rows)
    assert [row.token_ids for row in rows] == expected(loaded, params)
    assert {row.finish_reason for row in rows} == {"length"}


def test_tokens_do_not_depend_on_who_else_is_there(loaded):
    """Rows that enter at other times, with other parameters and limits beside them."""
    rows, others = rows_of(PROMPTS, FREE), rows_of(PROMPTS, SamplingParams(top_p=0.5), seed=9)
    for number, other in enumerate(others):
        other.limit = 2 + 5 * number
    arrivals = [
        (3 * i, row) for i, pair in enumerate(zip(others, rows, strict=True)) for row in pair
    ]
    run(batch_of(loaded, max_rows=3), [], arrivals=arrivals)
    assert [row.token_ids for row in rows] == expected(loaded)
    assert [len(row.token_ids) for row in others] == [other.limit for other in others]


def test_a_row_outgrows_its_window(monkeypatch):
    if native.library() is None:
        pytest.skip("no compiler")
    monkeypatch.setattr(live_batch, "WINDOW_TOKENS", 16)
    loaded = random_model()
    rows = rows_of(PROMPTS[:3], FREE, limit=44)
    batch = batch_of(loaded)
    assert batch._cache.capacity_tokens == 16
    assert run(batch, rows) == 0
    whole = expected(loaded, limit=44)
    assert [row.token_ids for row in rows] == whole[:3]


def test_where_memory_is_short_rows_lose_their_place_and_go_on(monkeypatch):
    if native.library() is None:
        pytest.skip("no compiler")
    monkeypatch.setattr(live_batch, "WINDOW_TOKENS", 16)
    loaded = random_model()
    rows = rows_of(PROMPTS[:4], FREE, limit=36)
    batch = batch_of(loaded, max_rows=2, max_tokens=128)
    assert batch.max_rows == 2
    assert run(batch, rows) > 0
    assert [row.token_ids for row in rows] == expected(loaded, limit=36)[:4]


def test_a_row_that_is_given_up_makes_room(loaded):
    rows = rows_of(PROMPTS, FREE)
    batch, waiting = batch_of(loaded, max_rows=2), deque(rows)
    with torch.inference_mode():
        batch.admit(waiting)
        assert batch.num_rows == 2
        batch.step()
        rows[0].is_cancelled = rows[3].is_cancelled = True
        batch.step()
        assert batch.num_rows == 1
    run(batch, waiting)
    assert len(rows[0].token_ids) == 1 and rows[3].token_ids == []
    for row, whole in list(zip(rows, expected(loaded), strict=True))[1:3]:
        assert row.token_ids == whole


def test_rows_of_one_prompt_share_its_reading(loaded):
    prompt = Prompt(PROMPTS[5])
    rows = [Row(prompt=prompt, draws=FREE, limit=5, key=key) for key in range(3)]
    batch, waiting = batch_of(loaded), deque(rows)
    with torch.inference_mode():
        batch.admit(waiting)
    assert batch.num_rows == 3 and prompt.read is None


def test_the_beginning_of_a_prompt_is_read_once_and_the_rest_bit_for_bit_the_same():
    model = tiny_model(width=64)
    ids = [2 + i % 13 for i in range(200)]
    from aha.engine.decode import Stepper

    with torch.inference_mode():
        stepper = Stepper(model)
        first, again, longer = Prompt(ids), Prompt(list(ids)), Prompt([*ids, 3, 4])
        reader = PromptReader(stepper, kept_tokens=4096)
        sizes = []
        while not first.is_read:
            sizes.append(reader.read_on(first))
        assert sizes == [64, 64, 72] and reader.num_found == 0
        assert reader.read_on(again) == 72 and reader.num_found == 128
        assert reader.read_on(longer) == 74 and reader.num_found == 256
        assert torch.equal(first.read.hidden_ND, again.read.hidden_ND)
        for a, b in zip(first.read.keys, again.read.keys, strict=True):
            assert torch.equal(a, b)
        whole = stepper.prefill(torch.tensor([ids]), torch.tensor([200]))
        assert (whole.hidden_ND - first.read.hidden_ND).abs().max() < 1e-4


def test_what_is_kept_of_prompts_has_a_limit():
    from aha.engine.decode import Stepper

    with torch.inference_mode():
        reader = PromptReader(Stepper(tiny_model()), kept_tokens=256)
        for start in range(8):
            reader.read_on(Prompt([start] * 70))
        assert sum(map(len, reader._kept)) == 256


def test_a_broken_model_is_told():
    model = tiny_model()
    with torch.no_grad():
        model.model.embed_tokens.weight.fill_(torch.nan)
    rows = rows_of(PROMPTS[:2], FREE)
    with torch.inference_mode():
        batch = LiveBatch(model, eos_token_ids=(), context_tokens=64, max_rows=2)
    run(batch, rows)
    assert [row.error for row in rows] == [BROKEN] * 2
