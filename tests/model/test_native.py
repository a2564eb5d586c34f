"""Life without the C library, and that a step with it is a step without."""

import subprocess
import sys

import pytest
import torch

from aha.model import native
from tests.model.checkpoints import CASES, build, tokens

PROBE = "from aha.model import native; print(native.library() is not None)"


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [("AHA_NATIVE", "0", "False"), ("CC", "/no/such/compiler", "False"), ("CC", "false", "False")],
)
def test_it_can_be_switched_off_and_a_missing_compiler_is_no_error(
    tmp_path, monkeypatch, variable, value, expected
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(variable, value)
    found = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True)
    assert found.stdout.strip() == expected, found.stderr


def test_several_threads_leave_it_alone(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert not native.usable(torch.ones(3, 16))


@pytest.mark.parametrize("case", CASES)
def test_states_and_gradients_do_not_depend_on_it(case, monkeypatch):
    if native.library() is None:
        pytest.skip("no compiler")
    model, rows = build(case), tokens(3, 33)
    rows[:, :13] = rows[0, :13]
    weights = torch.sin(torch.arange(97.0))

    def passes():
        states = model(rows[:, 13:], prefix=rows[0, :13])
        loss = (model.logits(states) @ weights).sum()
        return states, torch.autograd.grad(loss, list(model.parameters()))

    states, grads = passes()
    monkeypatch.setattr(native, "library", lambda: None)
    plain_states, plain_grads = passes()
    assert (states - plain_states).abs().max() < 2e-5
    for one, other in zip(grads, plain_grads, strict=True):
        assert (one - other).abs().max() <= 2e-5 * other.abs().max() + 1e-6
