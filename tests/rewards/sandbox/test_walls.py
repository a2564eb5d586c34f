"""Fails closed: what programs must not do, and what happens where walls cannot be had."""

import os
import subprocess
import sys

import pytest

from aha.errors import UserError
from aha.rewards import sandbox
from aha.rewards.code.hostile import ATTACKS, MARK
from aha.rewards.sandbox import Limits, pool, run_python
from aha.rewards.sandbox.host import Zygote
from aha.rewards.sandbox.inside import seccomp

REASON = sandbox.is_available()
needs_isolation = pytest.mark.skipif(REASON is not None, reason=f"no isolation here: {REASON}")
QUICK = [attack for attack in ATTACKS if not attack.runs_on]
LASTING = [attack for attack in ATTACKS if attack.runs_on]


@pytest.fixture
def targets(tmp_path, monkeypatch):
    """A bait on the host: a file with a secret in it, and the secret in the environment."""
    bait = tmp_path / "bait.txt"
    bait.write_text("the-secret-of-this-host")
    monkeypatch.setenv("AHA_BAIT_SECRET", "the-secret-of-this-host")
    return {"bait": str(bait), "port": "9", "pid": str(os.getpid()), "folder": str(tmp_path)}


def attack_with(attack, targets):
    limits = Limits(timeout_seconds=0.6, memory_bytes=512 << 20)
    outcome = run_python(attack.aimed(targets), limits=limits)
    printed = (outcome.stdout + outcome.stderr).decode(errors="replace")
    assert MARK not in printed and "the-secret-of-this-host" not in printed, printed[:500]
    bait = targets["bait"]
    with open(bait) as file:
        assert file.read() == "the-secret-of-this-host"
    assert os.stat(bait).st_nlink == 1 and os.listdir(targets["folder"]) == ["bait.txt"]
    assert "SyntaxError" not in printed or "bomb" in attack.name
    return outcome


@needs_isolation
@pytest.mark.parametrize("attack", QUICK, ids=lambda attack: attack.name)
def test_an_attack_does_not_get_through(attack, targets):
    assert attack_with(attack, targets).seconds < 10


@needs_isolation
@pytest.mark.slow
@pytest.mark.parametrize("attack", LASTING * 10, ids=lambda attack: attack.name)
def test_a_lasting_attack_ends_at_its_limit(attack, targets):
    outcome = attack_with(attack, targets)
    assert outcome.status in ("timeout", "memory", "output") and outcome.seconds < 10


@needs_isolation
def test_after_attacks_a_right_program_runs(targets):
    for attack in LASTING[:2]:
        attack_with(attack, targets)
    assert run_python("print(40 + 2)").stdout == b"42\n"


@needs_isolation
@pytest.mark.parametrize("backend", pool.BACKENDS)
def test_each_backend_holds_or_says_why_not(backend):
    try:
        zygote = Zygote.start(backend)
    except sandbox.SandboxFailure as failure:
        pytest.skip(f"{backend}: {failure}")
    try:
        problem = pool.check_walls(zygote)
    finally:
        zygote.close()
    if backend == "bwrap" and os.getuid() == 0:  # it maps root alone, whom the kernel never counts
        assert problem is not None and "processes is not limited" in problem
    else:
        assert problem is None


@needs_isolation
def test_the_check_of_the_walls_sees_that_there_are_none():
    zygote = Zygote.start("unsafe")
    try:
        assert pool.check_walls(zygote) is not None
    finally:
        zygote.close()


@pytest.fixture
def without_walls(monkeypatch):
    """A machine where no backend works."""
    sandbox.close()
    monkeypatch.setattr(pool, "BACKENDS", ())
    monkeypatch.setattr(pool, "_reason", "user namespaces are forbidden")
    monkeypatch.delenv(pool.UNSAFE_VARIABLE, raising=False)
    monkeypatch.delenv(pool.BACKEND_VARIABLE, raising=False)
    yield
    sandbox.allow_unsafe(False)
    sandbox.close()


def test_without_walls_it_refuses_with_a_hint(without_walls):
    assert sandbox.is_available() == "user namespaces are forbidden"
    with pytest.raises(UserError, match="user namespaces are forbidden") as raised:
        run_python("print(1)")
    assert "--unsafe-code" in raised.value.hint


@pytest.mark.skipif(sys.platform != "linux", reason="programs run on Linux only")
def test_unsafe_execution_is_asked_for_and_still_limited(without_walls, monkeypatch):
    monkeypatch.setenv(pool.UNSAFE_VARIABLE, "1")
    assert run_python("print(1)").stdout == b"1\n"
    assert sandbox.backend() == "unsafe"
    marker = f"{os.getpid()}-orphan"
    source = (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n"
        f"    if os.fork() == 0: os.execvp('sleep', ['{marker}', '60'])\ntime.sleep(60)"
    )
    assert run_python(source, limits=Limits(timeout_seconds=0.5)).status == "timeout"
    listed = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True).stdout
    assert marker not in listed
    assert not [name for name in os.listdir("/tmp") if name.startswith("aha-unsafe-")]


def test_an_unknown_sandbox_is_refused(without_walls, monkeypatch):
    monkeypatch.setattr(pool, "_reason", None)
    monkeypatch.setenv(pool.BACKEND_VARIABLE, "chroot")
    with pytest.raises(UserError, match="AHA_SANDBOX=chroot"):
        run_python("print(1)")


def interpret(program, data):
    """What a filter says about a system call: a small BPF machine."""
    accumulator, position = 0, 0
    while True:
        code, if_true, if_false, value = program[position]
        position += 1
        if code == 0x20:
            accumulator = data[value]
        elif code == 0x06:
            return value
        else:
            test = {0x15: accumulator == value, 0x35: accumulator >= value}
            holds = test.get(code, bool(accumulator & value))
            position += if_true if holds else if_false


ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x50001, 0x50026


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_says_what_it_should(machine):
    arch = seccomp.AUDIT_ARCH[machine]
    program = seccomp.build(machine)
    read, clone, ioctl, pair = {
        "x86_64": (0, 56, 16, 53),
        "aarch64": (63, 220, 29, 199),
    }[machine]

    def says(number, first=0, second=0, architecture=arch):
        return interpret(program, {0: number, 4: architecture, 16: first, 24: second})

    assert says(read) == ALLOW
    assert says(read, architecture=0x40000003) == KILL
    for name, number in seccomp.DENIED[machine].items():
        assert says(number) == EPERM, name
    assert says(435) == ENOSYS and says(500) == ENOSYS
    assert says(clone, 0x11) == ALLOW  # a plain fork
    assert says(clone, 0x10000011) == EPERM  # a user namespace
    assert says(pair, 1) == ALLOW and says(pair, 2) == EPERM
    assert says(ioctl, 0, 0x5401) == ALLOW and says(ioctl, 0, 0x5412) == EPERM
    assert says(clone, 0x3D0F00) == ALLOW  # a thread
    if machine == "x86_64":
        assert says(0x40000000 + read) == KILL
