"""Verifiers that misbehave, for the tests of the service: workers import this module."""

import os
import sys
import threading
import time

from aha.errors import UserError
from aha.rewards.verdict import Verdict


def equal(prediction, gold):
    return Verdict.correct(prediction) if prediction == gold else Verdict.wrong(prediction, "no")


def loop():
    while True:
        pass


def loop_in_c():
    return 7 ** (10**9)


def eat(num_bytes):
    return len(bytearray(num_bytes))


def eat_shared(num_bytes):
    """Memory that the limit on private memory does not count."""
    import mmap

    memory = mmap.mmap(-1, num_bytes)
    for start in range(0, num_bytes, 1 << 20):
        memory[start : start + (1 << 20)] = b"x" * (1 << 20)
    time.sleep(60)


def print_much():
    print("noise" * 3, flush=True)
    os.write(1, b"R\0\0\0\0\0\0\0\0")
    return Verdict.correct("still here") if sys.stdin.read() == "" else None


def start_child(path):
    """A child that outlives its verifier, unless it is killed too."""
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    with open(path, "w") as file:
        file.write(str(pid))
    loop()


def die_later(seconds):
    threading.Timer(seconds, os._exit, (9,)).start()
    return Verdict.correct("not yet")


def wait(seconds):
    time.sleep(seconds)
    return Verdict.correct(str(seconds))


def pid():
    return os.getpid()


def nested():
    from aha.rewards.service import default_pool

    return default_pool().run("tests.rewards.hostile:equal", "1", "1")


def nested_slow_start():
    from aha.rewards.service import Call, default_pool

    return default_pool().call(Call("tests.rewards.slow_start:seen_alone")).value


class Unshowable(Exception):
    def __str__(self):
        raise ValueError("no text")


def raise_(what):
    errors = {
        "key": KeyError("gone"),
        "user": UserError("no sandbox here", hint="install one"),
        "unshowable": Unshowable(),
        "exit": SystemExit(3),
        "deep": RecursionError("deep"),
    }
    raise errors[what]


def unpicklable():
    return threading.Lock()
