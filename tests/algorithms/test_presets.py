"""Every setting runs, and holds the numbers its paper states."""

import pytest
import torch

from aha.algorithms.advantages import group_advantages
from aha.algorithms.grpo import loss_denominator, policy_loss
from aha.algorithms.presets import SETTINGS


@pytest.mark.parametrize("name", SETTINGS)
def test_a_step_on_policy_raises_the_better_answer(name: str) -> None:
    setting = SETTINGS[name]
    rewards, groups = torch.tensor([1.0, 0.0, 0.0, 0.0]), torch.zeros(4, dtype=torch.long)
    advantages = group_advantages(rewards, groups, scale=setting["scale"]).advantages_N
    logp = torch.full((4, 5), -1.0, requires_grad=True)
    divisor = loss_denominator(
        setting["loss"]["aggregation"], num_sequences=4, num_tokens=20, max_tokens=10
    )
    loss = policy_loss(
        logp,
        logp.detach(),
        advantages,
        torch.ones(4, 5),
        ref_logp_BT=logp.detach(),
        denominator=divisor,
        **setting["loss"],
    )
    loss.loss.backward()
    assert logp.grad is not None
    best = 0.75 if setting["scale"] == "none" else 3**0.5
    tokens = 40 if setting["loss"]["aggregation"] == "constant" else 20
    assert logp.grad[0].tolist() == pytest.approx([-best / tokens] * 5, rel=1e-4)
    torch.testing.assert_close(logp.grad.sum(0), torch.zeros(5), atol=1e-6, rtol=0)


def test_values_the_papers_state() -> None:
    bounds = {n: (s["loss"]["clip_low"], s["loss"]["clip_high"]) for n, s in SETTINGS.items()}
    assert bounds["r1"] == (10.0, 10.0)
    assert bounds["dapo"] == bounds["modern"] == (0.2, 0.28)
    assert bounds["gspo"] == (3e-4, 4e-4)
    assert [n for n, s in SETTINGS.items() if s["loss"]["kl_coef"]] == ["r1"]
    assert SETTINGS["r1"]["loss"]["kl_coef"] == 0.001
    assert [n for n, s in SETTINGS.items() if s["scale"] == "none"] == ["dr_grpo", "modern"]
    assert [n for n, s in SETTINGS.items() if s["drop_equal_groups"]] == ["dapo", "modern"]
    assert [n for n, s in SETTINGS.items() if s["soft_overlong"]] == ["dapo"]
    assert [n for n, s in SETTINGS.items() if s["loss"]["ratio_level"] == "sequence"] == ["gspo"]
    assert [n for n, s in SETTINGS.items() if s["loss"]["surrogate"] == "cispo"] == ["cispo"]
