"""The verifier service: nothing a verifier does disturbs the next verdict."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from aha.rewards import service
from aha.rewards.process import START_SECONDS
from aha.rewards.service import Call, VerifierPool, default_pool, default_workers, in_order

HOSTILE = "tests.rewards.hostile"
EQUAL = f"{HOSTILE}:equal"


@pytest.fixture(scope="module")
def pool():
    with VerifierPool(num_workers=2, timeout_seconds=0.5, memory_bytes=1 << 29) as pool:
        yield pool


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def check_good(pool):
    assert pool.run(EQUAL, "5", "5").is_correct
    assert pool.run(EQUAL, "5", "6").kind == "wrong"


@pytest.mark.parametrize(
    ("function", "args", "kind", "reason"),
    [
        ("loop", (), "timeout", "no verdict within 0.5 s"),
        ("loop_in_c", (), "timeout", "no verdict within 0.5 s"),
        ("wait", (30,), "timeout", "no verdict within 0.5 s"),
        ("eat", (1 << 30,), "error", "eat ran out of memory"),
        ("raise_", ("key",), "error", "raise_ raised KeyError: 'gone'"),
        ("raise_", ("user",), "error", "no sandbox here (install one)"),
        ("raise_", ("unshowable",), "error", "raise_ raised Unshowable: (its text"),
        ("raise_", ("exit",), "error", "raise_ raised SystemExit: 3"),
        ("raise_", ("deep",), "error", "raise_ raised RecursionError: deep"),
        ("raise_", (), "error", "raise_ raised TypeError"),
        ("unpicklable", (), "error", "unpicklable raised TypeError: cannot pickle"),
        ("pid", (), "error", "returned int"),
        ("nowhere", (), "error", "raised AttributeError: module"),
    ],
)
def test_a_verifier_that_fails_is_a_verdict_and_the_next_one_is_right(
    pool, function, args, kind, reason
):
    verdict = pool.run(f"{HOSTILE}:{function}", *args)
    assert (verdict.kind, verdict.score, verdict.is_scored) == (kind, 0.0, False)
    assert reason in verdict.reason
    check_good(pool)


@pytest.mark.parametrize(
    ("module", "function", "args", "reason"),
    [
        ("os", "_exit", (3,), "the verifier's process ended with exit status 3"),
        ("os", "abort", (), "the verifier's process ended by signal 6"),
        ("ctypes", "string_at", (0,), "the verifier's process ended by signal 11"),
        ("no_such_module", "f", (), "f raised ModuleNotFoundError"),
        ("os", "closerange", (3, 100), "the verifier's process ended"),
    ],
)
def test_a_worker_that_dies_is_an_error_and_is_replaced(pool, module, function, args, reason):
    verdict = pool.run(f"{module}:{function}", *args)
    assert verdict.kind == "error"
    assert reason in verdict.reason
    check_good(pool)


def test_memory_that_no_limit_counts_is_watched():
    with VerifierPool(num_workers=1, timeout_seconds=30, memory_bytes=200 << 20) as pool:
        started = time.monotonic()
        verdict = pool.run(f"{HOSTILE}:eat_shared", 1 << 29)
        assert verdict.kind == "error"
        assert "more than 0.195 GiB of memory" in verdict.reason
        assert time.monotonic() - started < 20
        check_good(pool)


def test_what_a_verifier_prints_and_reads_does_not_reach_the_pipes(capfd):
    with VerifierPool(num_workers=1) as pool:
        assert pool.run(f"{HOSTILE}:print_much").extracted == "still here"
        check_good(pool)
    printed = capfd.readouterr()
    assert "noisenoise" in printed.err
    assert not printed.out


def test_processes_that_a_verifier_started_end_with_it(pool, tmp_path):
    file = tmp_path / "pid"
    assert pool.run(f"{HOSTILE}:start_child", str(file)).kind == "timeout"
    child = int(file.read_text())
    assert wait_until(lambda: not is_alive(child))


def test_a_call_that_a_used_worker_dies_under_is_tried_again():
    with VerifierPool(num_workers=1, timeout_seconds=5) as pool:
        assert pool.run(f"{HOSTILE}:die_later", 0.3).is_correct
        assert pool.run(f"{HOSTILE}:wait", 0.8).is_correct  # its worker died in the middle
        assert (pool.stats.num_errors, pool.stats.num_restarts) == (0, 1)


def test_a_worker_killed_from_outside_is_replaced():
    with VerifierPool(num_workers=1) as pool:
        os.kill(pool.call(Call(f"{HOSTILE}:pid")).value, signal.SIGKILL)
        check_good(pool)


def test_imports_are_outside_the_clock():
    with VerifierPool(num_workers=1, timeout_seconds=0.2) as pool:
        seen = "tests.rewards.slow_start:seen"  # whose warm_up() takes longer
        assert pool.call(Call(seen, ("a", 1))).value == (1, ("a", 1))
        assert pool.call(Call(seen, ("b",))).value == (1, ("b",))
    assert START_SECONDS > 60


def test_imports_of_a_verifier_within_a_verifier_are_outside_the_clock_too():
    with VerifierPool(num_workers=1, timeout_seconds=0.2) as pool:
        for _ in range(2):
            assert pool.call(Call(f"{HOSTILE}:nested_slow_start")).value == 1


def test_the_clock_is_the_calls_own(pool):
    started = time.monotonic()
    assert pool.run(f"{HOSTILE}:loop", timeout_seconds=0.1).reason == "no verdict within 0.1 s"
    assert time.monotonic() - started < 5
    assert pool.run(f"{HOSTILE}:wait", 0.8, timeout_seconds=10).is_correct


def test_ten_megabytes_go_there_and_back(pool):
    text = "\ud83d" + "9" * 10_000_000
    assert pool.run(EQUAL, text, text).extracted == text


def test_many_verdicts_come_in_order_with_hostile_calls_between(pool):
    calls = [
        Call(f"{HOSTILE}:loop", timeout_seconds=0.05) if n % 40 == 7
        else Call("os:_exit", (1,)) if n % 40 == 21
        else Call(EQUAL, (str(n), str(n - n % 2)))
        for n in range(200)
    ]  # fmt: skip
    before = pool.stats.num_restarts
    verdicts = list(pool.map(calls))
    assert [v.kind for v in verdicts] == [
        "timeout" if n % 40 == 7 else "error" if n % 40 == 21 else "wrong" if n % 2 else "correct"
        for n in range(200)
    ]
    assert [v.extracted for v in verdicts if v.is_scored] == [
        str(n) for n in range(200) if n % 40 not in (7, 21)
    ]
    assert pool.stats.num_restarts - before >= 8
    check_good(pool)


def test_no_more_is_taken_than_fits_into_the_queue():
    taken = []

    def calls():
        for n in range(50):
            taken.append(n)
            yield Call(EQUAL, (str(n), str(n)))

    with VerifierPool(num_workers=1, queue_size=4) as pool:
        verdicts = pool.map(calls())
        assert next(verdicts).extracted == "0"
        assert len(taken) == 4
        assert len(list(verdicts)) == 49


def test_threads_may_all_call_at_once(pool):
    results = {}

    def work(number):
        results[number] = [pool.run(EQUAL, str(number), str(n)).is_correct for n in range(20)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: [n == number for n in range(20)] for number in range(8)}


def test_no_signal_handler_is_touched(pool):
    before = [signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGCHLD)]
    pool.run(f"{HOSTILE}:loop", timeout_seconds=0.05)
    assert [signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGCHLD)] == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_closed_pool_says_so_and_its_workers_are_gone():
    pool = VerifierPool(num_workers=1)
    pid = pool.call(Call(f"{HOSTILE}:pid")).value
    pool.close()
    pool.close()
    assert not is_alive(pid)
    assert pool.run(EQUAL, "1", "1").reason == "the verifier pool is closed"


def test_arguments_that_cannot_be_sent_are_our_mistake(pool):
    with pytest.raises(TypeError, match="pickle"):
        pool.run(EQUAL, threading.Lock(), "")
    check_good(pool)


def test_a_verifier_in_a_worker_does_not_start_workers_of_its_own(pool):
    assert pool.run(f"{HOSTILE}:nested", timeout_seconds=0.5).is_correct


def test_a_fork_gets_workers_of_its_own():
    pool = default_pool()
    assert pool is default_pool()
    mine = pool.call(Call(f"{HOSTILE}:pid")).value
    child = os.fork()
    if child == 0:
        other = default_pool().call(Call(f"{HOSTILE}:pid")).value
        os._exit(0 if other != mine and default_pool().run(EQUAL, "1", "1").is_correct else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert pool.call(Call(f"{HOSTILE}:pid")).value == mine


@pytest.mark.parametrize("how", ["kill", "exit"])
def test_workers_die_with_their_parent_even_in_an_endless_loop_in_c(how):
    seconds = 2 if how == "exit" else 60
    code = (
        "import sys, threading, time\n"
        "from aha.rewards.service import Call, default_pool\n"
        f"print(default_pool().call(Call('{HOSTILE}:pid')).value, flush=True)\n"
        "def hang():\n"
        f"    default_pool().run('{HOSTILE}:loop_in_c', timeout_seconds={seconds})\n"
        "threading.Thread(target=hang, daemon=True).start()\n"
        "time.sleep(0.3)\n"
        "sys.exit(0) if sys.argv[1] == 'exit' else time.sleep(60)\n"
    )
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    process = subprocess.Popen(
        [sys.executable, "-c", code, how],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    worker = int(process.stdout.readline())
    time.sleep(0.5)
    if how == "kill":
        process.kill()
    process.wait(20)
    process.stdout.close()
    assert wait_until(lambda: not is_alive(worker))


def test_the_share_of_a_rank_is_a_number_of_workers():
    assert default_workers(8, 1) == 8
    assert default_workers(8, 2) == 4
    assert default_workers(2, 2) == default_workers(2, 8) == default_workers(1, 1) == 1
    assert default_workers(64, 1) == service.MOST_DEFAULT_WORKERS
    assert default_workers() >= 1


def test_in_order_passes_on_what_is_raised():
    def half(number):
        return 1 / number

    results = in_order(half, [1, 2, 0, 4], num_threads=2)
    assert [next(results), next(results)] == [1.0, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(in_order(half, [], num_threads=2)) == []


def test_numbers_of_a_pool_are_above_0():
    with pytest.raises(ValueError, match="above 0"):
        VerifierPool(num_workers=0)
    with pytest.raises(ValueError, match="above 0"):
        VerifierPool(timeout_seconds=0)


def test_a_worker_starts_without_heavy_imports():
    code = (
        "import sys, aha.rewards.worker, aha.rewards.service\n"
        "heavy = ('torch', 'numpy', 'sympy', 'math_verify', 'py3langid')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
