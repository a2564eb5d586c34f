"""The engine samples from the live weights, whatever else is in the batch."""

import dataclasses

import pytest
import torch

from aha.engine import native
from aha.engine.engine import Engine
from aha.engine.types import SamplingParams
from aha.errors import HealthError, UserError
from tests.model.checkpoints import CASES, build
from tests.model.test_hf_folder import word_tokenizer

SHARED = [(7 * i) % 90 + 3 for i in range(20)]
PROMPTS = [[*SHARED, *range(3, 3 + n)] for n in (1, 4, 9, 2, 6, 3)]
FREE = SamplingParams(max_new_tokens=24, stop_at_eos=False)


@pytest.fixture(params=["compiled", "operators"])
def backend(request, monkeypatch) -> str:
    if request.param == "operators":
        monkeypatch.setattr(native, "library", lambda: None)
    elif native.library() is None:
        pytest.skip("no compiler")
    return request.param


def engine(case="mistral", **options) -> Engine:
    return Engine(build(case), word_tokenizer(), **options)


def soft_engine(case="mistral", **options) -> Engine:
    """A model whose distribution is flat enough that every token is drawn."""
    made = engine(case, **options)
    with torch.no_grad():
        made.model.head_weight.mul_(0.2)
    return made


def ids(groups) -> list[list[tuple[int, ...]]]:
    return [[completion.token_ids for completion in group] for group in groups]


def flat(groups) -> list:
    return [completion for group in groups for completion in group]


def trainer_logprobs(model, prompt, completion, temperature=1.0) -> torch.Tensor:
    row = torch.tensor([[*prompt, *completion.token_ids]])
    with torch.no_grad():
        logits = model.logits(model(row))[0, len(prompt) - 1 : -1] / temperature
    return logits.log_softmax(-1).gather(1, row[0, len(prompt) :, None])[:, 0]


@pytest.mark.parametrize("case", CASES)
def test_log_probs_are_those_of_the_trainer(case, backend):
    sampler = soft_engine(case)
    groups = sampler.generate(PROMPTS, FREE, samples_per_prompt=3)
    for prompt, group in zip(PROMPTS, groups, strict=True):
        for completion in group:
            exact = trainer_logprobs(sampler.model, prompt, completion)
            assert (torch.tensor(completion.logprobs) - exact).abs().max() < 1e-5


def test_log_probs_are_of_the_whole_distribution_at_the_temperature():
    sampler = soft_engine()
    params = dataclasses.replace(FREE, temperature=0.7, top_k=5, top_p=0.9)
    for group, prompt in zip(sampler.generate(PROMPTS, params), PROMPTS, strict=True):
        exact = trainer_logprobs(sampler.model, prompt, group[0], 0.7)
        assert (torch.tensor(group[0].logprobs) - exact).abs().max() < 1e-5


@pytest.mark.parametrize("max_batch_rows", [1, 4, 7])
def test_the_batch_size_changes_nothing(max_batch_rows, backend):
    mixed = dataclasses.replace(FREE, stop=("w50", "w70"), max_new_tokens=40)
    whole = soft_engine().generate(PROMPTS, mixed, samples_per_prompt=5)
    small = soft_engine(max_batch_rows=max_batch_rows)
    assert ids(small.generate(PROMPTS, mixed, samples_per_prompt=5)) == ids(whole)
    lengths = {len(completion.token_ids) for group in whole for completion in group}
    assert len(lengths) > 5  # rows did leave and enter at different times


def test_the_cache_budget_changes_nothing(backend):
    whole = soft_engine().generate(PROMPTS, FREE, samples_per_prompt=5)
    tight = soft_engine(max_batch_tokens=200)
    assert ids(tight.generate(PROMPTS, FREE, samples_per_prompt=5)) == ids(whole)


def test_other_prompts_order_and_splits_change_nothing(backend):
    whole = ids(soft_engine().generate(PROMPTS, FREE, samples_per_prompt=4))
    other = soft_engine()
    stranger = [50, 51, 52]  # no common prefix with the rest
    order = [3, 0, 5]
    mixed = other.generate(
        [stranger, *(PROMPTS[i] for i in order)],
        FREE,
        samples_per_prompt=4,
        prompt_keys=[99, *order],
    )
    assert ids(mixed)[1:] == [whole[i] for i in order]
    later = other.generate(PROMPTS, FREE, samples_per_prompt=2, first_sample=2)
    assert ids(later) == [group[2:] for group in whole]


def test_a_response_that_is_continued_draws_what_it_would_have_drawn(backend):
    whole = ids(soft_engine().generate(PROMPTS, FREE, samples_per_prompt=1))
    cuts = [min(3 + i, len(group[0]) - 1) for i, group in enumerate(whole)]
    begun = [(*p, *group[0][:n]) for p, group, n in zip(PROMPTS, whole, cuts, strict=True)]
    rest = ids(soft_engine().generate(begun, FREE, first_positions=cuts))
    kept = [
        group[0][n : n + len(more[0])] for group, more, n in zip(whole, rest, cuts, strict=True)
    ]
    assert [more[0][: len(old)] for more, old in zip(rest, kept, strict=True)] == kept
    assert ids(soft_engine().generate(begun, FREE)) != rest


def test_seed_step_key_and_sample_each_change_the_draw():
    base = ids(soft_engine().generate(PROMPTS[:1], FREE, samples_per_prompt=2))
    assert base[0][0] != base[0][1]
    others = [
        soft_engine(seed=1).generate(PROMPTS[:1], FREE),
        soft_engine().generate(PROMPTS[:1], FREE, step=1),
        soft_engine().generate(PROMPTS[:1], FREE, prompt_keys=[1]),
    ]
    drawn = [group[0][0] for group in map(ids, others)]
    assert len({*drawn, *base[0]}) == 5
    assert ids(soft_engine().generate(PROMPTS[:1], FREE, samples_per_prompt=2)) == base


def test_weights_changed_in_any_way_are_seen(backend):
    sampler = soft_engine()
    greedy = dataclasses.replace(FREE, temperature=0.0)
    before = ids(sampler.generate(PROMPTS, greedy))
    for change in ("data", "no_grad", "replace"):
        for name in ("self_attn.k_proj", "mlp.down_proj"):
            weight = sampler.model.get_parameter(f"model.layers.1.{name}.weight")
            if change == "data":
                weight.data.mul_(-1.0)
            elif change == "no_grad":
                with torch.no_grad():
                    weight.copy_(weight.flip(0))
            else:
                weight.data = torch.roll(weight.data, 3, 0)
        after = sampler.generate(PROMPTS, greedy)
        assert ids(after) != before
        before = ids(after)
        exact = trainer_logprobs(sampler.model, PROMPTS[0], after[0][0])
        assert (torch.tensor(after[0][0].logprobs) - exact).abs().max() < 1e-5


def test_greedy_takes_the_likeliest_token():
    sampler = engine("qwen3")
    params = dataclasses.replace(FREE, temperature=0.0, max_new_tokens=5)
    completion = sampler.generate(PROMPTS[:1], params)[0][0]
    row = torch.tensor([[*PROMPTS[0], *completion.token_ids]])
    with torch.no_grad():
        likeliest = sampler.model.logits(sampler.model(row))[0, len(PROMPTS[0]) - 1 : -1].argmax(-1)
    assert tuple(likeliest.tolist()) == completion.token_ids


def test_eos_ends_a_row_is_kept_in_the_ids_and_dropped_from_the_text():
    sampler = soft_engine()
    params = SamplingParams(max_new_tokens=300)
    group = sampler.generate([[5, 6]], params, samples_per_prompt=64)[0]
    ended = [c for c in group if c.finish_reason == "stop"]
    assert len(ended) > 10
    for completion in ended:
        assert completion.token_ids[-1] == 2 and 2 not in completion.token_ids[:-1]
        assert completion.text == sampler.tokenizer.decode(completion.token_ids[:-1])
        assert len(completion.logprobs) == len(completion.token_ids)
    for completion in group:
        if completion.finish_reason == "length":
            assert len(completion.token_ids) == 254 and 2 not in completion.token_ids


def test_without_stop_at_eos_a_row_goes_on():
    group = soft_engine().generate(
        [[5, 6]], dataclasses.replace(FREE, max_new_tokens=200), samples_per_prompt=8
    )[0]
    assert any(2 in completion.token_ids[:-1] for completion in group)
    assert {len(completion.token_ids) for completion in group} == {200}
    assert {completion.finish_reason for completion in group} == {"length"}


def test_a_stop_string_ends_a_row_and_is_cut_off():
    params = SamplingParams(max_new_tokens=200, stop=("w9 w", "w44"), stop_at_eos=False)
    sampler = soft_engine()
    free = soft_engine().generate(
        PROMPTS, dataclasses.replace(params, stop=()), samples_per_prompt=4
    )
    stopped = sampler.generate(PROMPTS, params, samples_per_prompt=4)
    count = 0
    for one, other in zip(flat(stopped), flat(free), strict=True):
        assert other.token_ids[: len(one.token_ids)] == one.token_ids
        assert not any(s in one.text for s in params.stop)
        if one.finish_reason == "stop":
            count += 1
            assert other.text.startswith(one.text)
            ended = sampler.tokenizer.decode(one.token_ids)
            assert any(ended.find(s) >= 0 for s in params.stop)
            assert not any(s in sampler.tokenizer.decode(one.token_ids[:-1]) for s in params.stop)
        else:
            assert one.token_ids == other.token_ids
    assert count > 5


def test_a_stop_string_of_white_space_is_found():
    group = soft_engine().generate([[5, 6]], SamplingParams(max_new_tokens=20, stop=(" ",)))[0]
    assert " " not in group[0].text and len(group[0].token_ids) == 2


def test_forbidden_tokens_are_never_drawn():
    params = dataclasses.replace(FREE, forbidden_token_ids=tuple(range(3, 90)), max_new_tokens=50)
    drawn = {t for c in soft_engine().generate(PROMPTS, params)[0] for t in c.token_ids}
    assert drawn <= {0, 1, 2, *range(90, 97)} and len(drawn) > 5


def test_the_context_bounds_a_completion():
    prompt = [5] * 250
    completion = engine().generate([prompt], FREE)[0][0]
    assert len(completion.token_ids) == 6 and completion.finish_reason == "length"


@pytest.mark.parametrize(
    ("prompt", "message"),
    [([], "prompt 1 is empty"), ([5] * 256, "256 tokens"), ([97], "outside"), ([-1], "outside")],
)
def test_prompts_that_do_not_fit_are_refused(prompt, message):
    with pytest.raises(UserError, match=message) as caught:
        engine().generate([[5], prompt], FREE)
    assert caught.value.hint


@pytest.mark.parametrize(
    "change",
    [
        {"max_new_tokens": 0},
        {"temperature": -0.1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_k": 0},
        {"min_p": 2.0},
        {"stop": ("",)},
        {"forbidden_token_ids": (97,)},
        {"forbidden_token_ids": tuple(range(97))},
    ],
)
def test_parameters_out_of_range_are_refused(change):
    with pytest.raises(UserError):
        engine().generate(PROMPTS, dataclasses.replace(FREE, **change))


def test_broken_weights_stop_the_run():
    sampler = engine()
    with torch.no_grad():
        sampler.model.get_parameter("model.norm.weight")[3] = float("nan")
    with pytest.raises(HealthError, match="not finite"):
        sampler.generate(PROMPTS, FREE)


def test_progress_and_stats_count_tokens():
    sampler, seen = soft_engine(max_batch_rows=4), []
    groups = sampler.generate(PROMPTS, FREE, samples_per_prompt=2, on_progress=seen.append)
    assert sampler.stats is not None and sampler.stats.new_tokens == 12 * 24
    assert sampler.stats.num_done == sampler.stats.num_rows == 12 == sum(map(len, groups))
    assert sampler.stats.shared_tokens == 20 and sampler.stats.prompt_tokens == sum(
        map(len, PROMPTS)
    )
    done = [stats.num_done for stats in seen]
    assert done == sorted(done) and done[-1] == 12 and len(seen) > 3


def test_no_prompts_and_no_samples():
    assert engine().generate([], FREE) == []
    assert engine().generate([[5]], FREE, samples_per_prompt=0) == [[]]


def test_long_prompts_are_prefilled_in_batches(backend):
    prompts = [[(i * j) % 90 + 3 for j in range(200 - i)] for i in range(60)]
    params = dataclasses.replace(FREE, max_new_tokens=3)
    whole = soft_engine().generate(prompts, params, samples_per_prompt=2)
    for index in (0, 31, 59):
        alone = soft_engine().generate(
            [prompts[index]], params, samples_per_prompt=2, prompt_keys=[index]
        )
        assert ids(alone)[0] == ids(whole)[index]


def test_compiled_and_plain_steps_draw_the_same(monkeypatch):
    if native.library() is None:
        pytest.skip("no compiler")
    compiled = soft_engine("qwen3-window").generate(PROMPTS, FREE, samples_per_prompt=4)
    monkeypatch.setattr(native, "library", lambda: None)
    plain = soft_engine("qwen3-window").generate(PROMPTS, FREE, samples_per_prompt=4)
    assert ids(compiled) == ids(plain)
    for one, other in zip(flat(compiled), flat(plain), strict=True):
        assert torch.allclose(torch.tensor(one.logprobs), torch.tensor(other.logprobs), atol=1e-5)


def test_a_second_generate_reuses_the_cache_cleanly(backend):
    reused = soft_engine()
    reused.generate([[9] * 30, [8] * 20], FREE, samples_per_prompt=9)
    again = reused.generate(PROMPTS, FREE, samples_per_prompt=3)
    assert ids(again) == ids(soft_engine().generate(PROMPTS, FREE, samples_per_prompt=3))
    reused.release()
    assert ids(reused.generate(PROMPTS, FREE, samples_per_prompt=3)) == ids(again)
