"""The policy loss against a loop over tokens, and what must not change it."""

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from aha.algorithms.grpo import PolicyLoss, combine, loss_denominator, policy_loss
from aha.algorithms.kl import kl_estimate

AGGREGATIONS = ["sequence", "token", "constant"]
MAX_TOKENS = 8


def batch() -> dict[str, Any]:
    """Ragged sequences with large moves away from the old policy, one of them masked entirely."""
    torch.manual_seed(0)
    lengths = torch.tensor([7, 1, 4, 0, 6, 3])
    logp = -2 * torch.rand(6, 7)
    return {
        "logp_BT": logp,
        "old_logp_BT": logp + 0.4 * torch.randn(6, 7),
        "advantages_B": torch.tensor([1.5, -0.5, -2.0, 1.0, 0.0, 0.7]),
        "mask_BT": torch.arange(7)[None] < lengths[:, None],
        "ref_logp_BT": logp + 0.3 * torch.randn(6, 7),
    }


def denominator(aggregation: str, mask_BT: Tensor) -> float:
    return loss_denominator(
        aggregation,  # type: ignore[arg-type]
        num_sequences=len(mask_BT),
        num_tokens=int(mask_BT.sum()),
        max_tokens=MAX_TOKENS,
    )


def loss_and_gradient(arguments: dict[str, Any], **keywords: Any) -> tuple[PolicyLoss, Tensor]:
    logp_BT = arguments["logp_BT"].clone().requires_grad_()
    loss = policy_loss(**{**arguments, "logp_BT": logp_BT}, **keywords)
    loss.loss.backward()
    assert logp_BT.grad is not None
    return loss, logp_BT.grad


def naive_token(logp: Tensor, ratio: Tensor, advantage: float, keywords: dict) -> Tensor:
    """One token's loss in the words of the papers."""
    low, high = 1 - keywords["clip_low"], 1 + keywords["clip_high"]
    bounded = min(max(ratio, low), high)
    if keywords["surrogate"] == "cispo":
        return -float(torch.as_tensor(bounded).detach()) * advantage * logp
    gain = min(ratio * advantage, bounded * advantage)
    dual = keywords.get("clip_dual")
    if dual is not None and advantage < 0:
        gain = max(gain, dual * advantage)
    return -gain


def naive_loss(arguments: dict[str, Tensor], logp_BT: Tensor, **keywords) -> Tensor:
    """The loss in float64 token by token; the sequence ratio without any stop-gradient."""
    total = torch.zeros((), dtype=torch.float64)
    for row, mask in enumerate(arguments["mask_BT"]):
        columns = [t for t, kept in enumerate(mask.tolist()) if kept]
        logps = [logp_BT[row, t].double() for t in columns]
        olds = [arguments["old_logp_BT"][row, t].double() for t in columns]
        refs = [arguments["ref_logp_BT"][row, t].double() for t in columns]
        advantage = float(arguments["advantages_B"][row])
        logs = [a - b for a, b in zip(logps, olds, strict=True)]
        ratios = [torch.exp(x) for x in logs]
        if keywords["ratio_level"] == "sequence" and logs:
            ratios = [torch.stack(logs).mean().exp()] * len(logs)
        for logp, ratio, ref in zip(logps, ratios, refs, strict=True):
            x = ref - logp
            term = naive_token(logp, ratio, advantage, keywords)
            term = term + keywords["kl_coef"] * (torch.exp(x) - x - 1)
            total = total + term / (len(logps) if keywords["aggregation"] == "sequence" else 1)
    return total / keywords["denominator"]


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("ratio_level", ["token", "sequence"])
@pytest.mark.parametrize(
    "shape",
    [
        {"surrogate": "clip", "clip_low": 0.2, "clip_high": 0.28},
        {"surrogate": "clip", "clip_low": 10.0, "clip_high": 10.0},
        {"surrogate": "clip", "clip_low": 3e-4, "clip_high": 4e-4},
        {"surrogate": "clip", "clip_low": 0.2, "clip_high": 0.2, "clip_dual": 1.05},
        {"surrogate": "cispo", "clip_low": 1.0, "clip_high": 0.1},
        {"surrogate": "cispo", "clip_low": 0.1, "clip_high": 4.0},
    ],
)
def test_loss_and_gradient_equal_the_loop(aggregation: str, ratio_level: str, shape: dict) -> None:
    arguments = batch()
    keywords = {"aggregation": aggregation, "ratio_level": ratio_level, "kl_coef": 0.3, **shape}
    keywords["denominator"] = denominator(aggregation, arguments["mask_BT"])
    ours, gradient = loss_and_gradient(arguments, **keywords)
    logp_BT = arguments["logp_BT"].clone().requires_grad_()
    expected = naive_loss(arguments, logp_BT, **keywords)
    expected.backward()
    assert float(ours.loss.detach()) == pytest.approx(float(expected.detach()), abs=1e-6)
    assert float(ours.loss.detach()) == pytest.approx(
        float(ours.policy_loss + ours.kl_loss), abs=1e-7
    )
    torch.testing.assert_close(gradient, logp_BT.grad, atol=1e-6, rtol=1e-5)
    assert gradient.abs().max() > 1e-3


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("ratio_level", ["token", "sequence"])
@pytest.mark.parametrize("surrogate", ["clip", "cispo"])
def test_on_policy_the_gradient_is_that_of_reinforce(
    aggregation: str, ratio_level: str, surrogate: str
) -> None:
    arguments = batch()
    arguments["old_logp_BT"] = arguments["logp_BT"].clone()
    mask = arguments["mask_BT"]
    divisor = denominator(aggregation, mask)
    ours, gradient = loss_and_gradient(
        arguments,
        denominator=divisor,
        aggregation=aggregation,
        ratio_level=ratio_level,
        surrogate=surrogate,
    )
    weight = arguments["advantages_B"][:, None] * mask / divisor
    if aggregation == "sequence":
        weight = weight / mask.sum(1, keepdim=True).clamp(min=1)
    torch.testing.assert_close(gradient, -weight, atol=1e-7, rtol=1e-6)
    assert [float(ours.num_clipped), float(ours.old_kl_sum)] == [0.0, 0.0]
    assert float(ours.ratio_max_abs_log) == 0.0


class Bigram(torch.nn.Module):
    """A policy whose sequences share all their parameters."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.table = torch.nn.Parameter(torch.randn(5, 5))

    def logp(self, tokens_BS: Tensor) -> Tensor:
        logp_BTV = self.table[tokens_BS[:, :-1]].log_softmax(-1)
        return logp_BTV.gather(-1, tokens_BS[:, 1:, None]).squeeze(-1)


def bigram_step(sizes: list[int], aggregation: str, ratio_level: str) -> tuple[Tensor, list]:
    """The gradient of one optimizer step that is split into micro-batches of `sizes`."""
    policy, arguments = Bigram(), batch()
    tokens_BS = torch.randint(0, 5, (6, 8), generator=torch.Generator().manual_seed(1))
    divisor = denominator(aggregation, arguments["mask_BT"])
    parts = []
    for rows in torch.arange(6).split(sizes):
        part = policy_loss(
            policy.logp(tokens_BS[rows]),
            *(arguments[name][rows] for name in ("old_logp_BT", "advantages_B", "mask_BT")),
            ref_logp_BT=arguments["ref_logp_BT"][rows],
            denominator=divisor,
            kl_coef=0.1,
            ratio_level=ratio_level,  # type: ignore[arg-type]
            aggregation=aggregation,  # type: ignore[arg-type]
        )
        part.loss.backward()
        parts.append(part)
    assert policy.table.grad is not None
    return policy.table.grad, parts


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("ratio_level", ["token", "sequence"])
@pytest.mark.parametrize("sizes", [[1] * 6, [4, 2], [3, 1, 2]])
def test_micro_batches_leave_gradient_and_metrics_unchanged(
    sizes: list[int], aggregation: str, ratio_level: str
) -> None:
    whole_gradient, whole = bigram_step([6], aggregation, ratio_level)
    gradient, parts = bigram_step(sizes, aggregation, ratio_level)
    torch.testing.assert_close(gradient, whole_gradient, atol=1e-6, rtol=1e-5)
    assert whole_gradient.abs().max() > 1e-2
    a, b = combine(whole), combine(parts)
    for field in ("loss", "policy_loss", "kl_loss", "clip_fraction", "old_kl", "ref_kl"):
        assert getattr(b, field) == pytest.approx(getattr(a, field), rel=1e-5, abs=1e-7), field
    assert (a.num_tokens, a.ratio_max_abs_log) == (b.num_tokens, b.ratio_max_abs_log)
    assert 0 < a.clip_fraction < 1


def test_metrics_are_those_of_a_loop() -> None:
    arguments = batch()
    ours, _ = loss_and_gradient(arguments, denominator=6.0, kl_coef=0.5, kl_estimator="k2")
    clipped, old_kl, ref_kl, largest = 0, 0.0, 0.0, 0.0
    for row, column in arguments["mask_BT"].nonzero().tolist():
        logp, old, ref = (
            float(arguments[name][row, column])
            for name in ("logp_BT", "old_logp_BT", "ref_logp_BT")
        )
        x, advantage = logp - old, float(arguments["advantages_B"][row])
        clipped += (advantage > 0 and x > math.log(1.2)) or (advantage < 0 and x < math.log(0.8))
        old_kl += math.exp(x) - x - 1
        ref_kl += (logp - ref) ** 2 / 2
        largest = max(largest, abs(x))
    assert int(ours.num_tokens) == 21
    assert int(ours.num_clipped) == clipped > 0
    assert float(ours.old_kl_sum) == pytest.approx(old_kl, rel=1e-4)
    assert float(ours.ref_kl_sum) == pytest.approx(ref_kl, rel=1e-4)
    assert float(ours.ratio_max_abs_log) == pytest.approx(largest, rel=1e-6)


@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), -1e30])
@pytest.mark.parametrize("ratio_level", ["token", "sequence"])
def test_masked_positions_may_hold_anything(garbage: float, ratio_level: str) -> None:
    arguments = batch()
    keywords = {"denominator": 6.0, "kl_coef": 0.1, "ratio_level": ratio_level}
    _, expected = loss_and_gradient(arguments, **keywords)
    hidden = ~arguments["mask_BT"]
    for name in ("logp_BT", "old_logp_BT", "ref_logp_BT"):
        arguments[name] = arguments[name].masked_fill(hidden, garbage)
    ours, gradient = loss_and_gradient(arguments, **keywords)
    assert torch.equal(gradient, expected)
    assert torch.isfinite(ours.old_kl_sum + ours.ref_kl_sum + ours.ratio_max_abs_log)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_a_mask_of_nothing_gives_zero(aggregation: str) -> None:
    arguments = batch()
    arguments["mask_BT"] = torch.zeros_like(arguments["mask_BT"])
    divisor = denominator(aggregation, arguments["mask_BT"])
    ours, gradient = loss_and_gradient(
        arguments, denominator=divisor, kl_coef=0.1, aggregation=aggregation
    )
    step = combine([ours])
    assert gradient.abs().max() == 0
    assert (step.loss, step.num_tokens, step.clip_fraction, step.ref_kl) == (0.0, 0, 0.0, 0.0)


def test_an_empty_micro_batch_is_zero() -> None:
    ours, _ = loss_and_gradient({k: v[:0] for k, v in batch().items()}, denominator=6.0)
    assert combine([ours]).ratio_max_abs_log == combine([ours]).loss == 0.0


def test_a_kl_coefficient_of_zero_measures_without_a_gradient() -> None:
    arguments = batch()
    alone = {k: v for k, v in arguments.items() if k != "ref_logp_BT"}
    measured, gradient = loss_and_gradient(arguments, denominator=6.0)
    unmeasured, expected = loss_and_gradient(alone, denominator=6.0)
    assert torch.equal(gradient, expected)
    assert float(measured.kl_loss) == float(unmeasured.ref_kl_sum) == 0.0
    kept = arguments["mask_BT"]
    expected_kl = kl_estimate(arguments["logp_BT"], arguments["ref_logp_BT"])[kept].sum()
    assert float(measured.ref_kl_sum) == pytest.approx(float(expected_kl), rel=1e-5)


def test_arguments_keep_their_values_and_only_logp_and_loss_carry_gradients() -> None:
    arguments = {name: value.clone() for name, value in batch().items()}
    for name in ("old_logp_BT", "ref_logp_BT", "advantages_B"):
        arguments[name].requires_grad_()
    ours, _ = loss_and_gradient(arguments, denominator=6.0, kl_coef=0.1)
    for name, value in batch().items():
        assert torch.equal(arguments[name].detach(), value)
        assert arguments[name].grad is None
    names = [name for name in ours.__slots__ if getattr(ours, name).requires_grad]
    assert names == ["loss"]


def test_bfloat16_is_computed_in_float32() -> None:
    arguments = batch()
    for name in ("logp_BT", "old_logp_BT", "ref_logp_BT"):
        arguments[name] = arguments[name].bfloat16()
    upcast = {k: v if v.dtype == torch.bool else v.float() for k, v in arguments.items()}
    half, _ = loss_and_gradient(arguments, denominator=6.0, kl_coef=0.1)
    full, _ = loss_and_gradient(upcast, denominator=6.0, kl_coef=0.1)
    assert half.loss.dtype == torch.float32
    assert float(half.loss.detach()) == float(full.loss.detach())


def test_loss_denominators() -> None:
    counts = {"num_sequences": 12, "num_tokens": 345, "max_tokens": 100}
    values = [loss_denominator(a, **counts) for a in AGGREGATIONS]  # type: ignore[arg-type]
    assert values == [12.0, 345.0, 1200.0]
    assert loss_denominator("token", num_sequences=2, num_tokens=0) == 1.0
    with pytest.raises(ValueError, match="max_tokens"):
        loss_denominator("constant", num_sequences=2, num_tokens=3)
    with pytest.raises(ValueError, match="unknown"):
        loss_denominator("mean", num_sequences=2, num_tokens=3)  # type: ignore[arg-type]


def test_long_and_short_sequences_weigh_as_their_aggregation_says() -> None:
    """The length bias Dr. GRPO is about: in "sequence" a token of a long answer weighs less."""
    arguments = batch()
    arguments["old_logp_BT"] = arguments["logp_BT"].clone()
    arguments["advantages_B"] = torch.ones(6)
    weights = {}
    for aggregation in AGGREGATIONS:
        divisor = denominator(aggregation, arguments["mask_BT"])
        _, gradient = loss_and_gradient(arguments, denominator=divisor, aggregation=aggregation)
        weights[aggregation] = [-float(gradient[0, 0]), -float(gradient[1, 0])]
    assert weights["sequence"] == pytest.approx([1 / 42, 1 / 6])
    assert weights["token"] == pytest.approx([1 / 21, 1 / 21])
    assert weights["constant"] == pytest.approx([1 / 48, 1 / 48])


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"denominator": 0.0}, "denominator"),
        ({"denominator": float("nan")}, "denominator"),
        ({"kl_coef": 0.1, "ref_logp_BT": None}, "reference"),
        ({"clip_dual": 1.0}, "clip_dual"),
        ({"clip_dual": 3.0, "surrogate": "cispo"}, "clip_dual"),
        ({"surrogate": "ppo"}, "surrogate"),
        ({"aggregation": "mean"}, "aggregation"),
        ({"ratio_level": "batch"}, "ratio_level"),
        ({"kl_estimator": "k9"}, "k9"),
        ({"advantages_B": torch.ones(5)}, "advantages"),
        ({"mask_BT": torch.ones(6, 6)}, "others"),
    ],
)
def test_wrong_arguments_are_errors(keywords: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        policy_loss(**{**batch(), "denominator": 6.0, **keywords})


def test_a_step_has_a_micro_batch() -> None:
    with pytest.raises(ValueError, match="micro-batch"):
        combine([])


def test_settings_of_the_grid_above_do_clip() -> None:
    """Guards the loop test: its data reach every bound on both sides."""
    arguments = batch()
    ratio = (arguments["logp_BT"] - arguments["old_logp_BT"]).exp()[arguments["mask_BT"]]
    signs = arguments["advantages_B"][:, None].sign().expand(6, 7)[arguments["mask_BT"]]
    for sign, (low, high) in itertools.product((-1, 1), [(0.8, 1.2)]):
        assert (ratio[signs == sign] < low).any()
        assert (ratio[signs == sign] > high).any()
