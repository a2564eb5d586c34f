"""What a program gets in the sandbox, and how its end is told."""

import os
import subprocess
import sys
import threading
import time

import pytest

from aha.rewards import sandbox
from aha.rewards.sandbox import Limits, run, run_python

REASON = sandbox.is_available()
pytestmark = pytest.mark.skipif(REASON is not None, reason=f"no isolation here: {REASON}")
SHORT = Limits(timeout_seconds=0.5, memory_bytes=256 << 20)


def test_a_program_reads_writes_and_ends():
    outcome = run_python(
        "import sys\nprint(input()[::-1])\nprint('e', file=sys.stderr)", stdin=b"ab"
    )
    assert (outcome.status, outcome.exit_code) == ("ok", 0)
    assert (outcome.stdout, outcome.stderr) == (b"ba\n", b"e\n")


@pytest.mark.parametrize(
    ("source", "code", "error"),
    [
        ("raise ValueError('no')", 1, "ValueError: no"),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('so')", 1, "so"),
        ("def f(:", 1, "SyntaxError: invalid syntax"),
        ("import os; os._exit(7)", 7, ""),
        ("import ctypes; ctypes.string_at(0)", -11, ""),
    ],
)
def test_a_crash_has_its_exit_status(source, code, error):
    outcome = run_python(source)
    assert (outcome.status, outcome.exit_code, outcome.last_error) == ("crashed", code, error)


def test_a_traceback_shows_the_program_alone():
    said = run_python("def f():\n    return 1 / 0\nf()").stderr.decode()
    assert said.splitlines()[1:3] == ['  File "main.py", line 3, in <module>', "    f()"]
    assert "guest" not in said


def test_threads_and_exit_functions_are_waited_for():
    source = (
        "import atexit, threading, time\natexit.register(print, 'last')\n"
        "def late():\n    time.sleep(0.05)\n    print('thread')\n"
        "threading.Thread(target=late).start()\nprint('main')"
    )
    assert run_python(source).stdout == b"main\nthread\nlast\n"


def test_files_arguments_and_the_private_folder():
    source = (
        "import os, sys\nprint(open('a/b.txt').read(), sys.argv[1:], os.getcwd())\nopen('c', 'w')"
    )
    outcome = run_python(source, files={"a/b.txt": b"hi"}, argv=["x"])
    assert outcome.stdout == b"hi ['x'] /tmp\n"
    assert run_python("import os\nprint(os.path.exists('c'))").stdout == b"False\n"


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x"])
def test_files_have_plain_names(name):
    with pytest.raises(ValueError, match="plain relative name"):
        run_python("", files={name: b""})


def test_input_can_be_opened_by_name():
    assert run_python("print(open(0).read())", stdin=b"a").stdout == b"a\n"
    assert run_python("print(open('/dev/stdin').read())", stdin=b"a").stdout == b"a\n"


def test_the_end_at_each_limit():
    assert run_python("while True: pass", limits=SHORT).status == "timeout"
    assert run_python("import time; time.sleep(60)", limits=SHORT).status == "timeout"
    assert run_python("a = bytearray(1 << 30)", limits=SHORT).status == "memory"
    assert run_python("while True: print('x' * 9999)").status == "output"
    held = run_python("print('x' * (1 << 24))", limits=Limits(output_bytes=1000))
    assert (held.status, len(held.stdout)) == ("output", 1000)


def test_the_memory_of_all_processes_counts_together():
    source = (
        "import os, time\nfor _ in range(4):\n    if os.fork() == 0:\n"
        "        a = bytearray(120 << 20)\n        for i in range(0, len(a), 4096): a[i] = 1\n"
        "        time.sleep(60)\ntime.sleep(60)"
    )
    limits = Limits(timeout_seconds=20.0, memory_bytes=256 << 20)
    start = time.monotonic()
    assert run_python(source, limits=limits).status == "memory"
    assert time.monotonic() - start < 15


def test_a_command_is_run_with_nothing_of_our_environment(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "do not tell")
    outcome = run(["python", "-c", "import os; print(sorted(os.environ))"])
    assert outcome.status == "ok"
    assert b"SECRET" not in outcome.stdout
    assert run(["no-such-command"]).exit_code == 127
    assert run(["/bin/sh", "-c", "cat; exit 4"], stdin=b"x").stdout == b"x"


def test_jobs_leave_nothing_behind():
    source = (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(60)\nprint('gone')"
    )
    before = set(os.listdir("/tmp"))
    assert run_python(source).stdout == b"gone\n"
    sandbox.close()
    listed = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True
    )
    assert "inside.zygote" not in listed.stdout
    assert not {name for name in set(os.listdir("/tmp")) - before if "aha" in name}


def test_many_threads_share_the_zygotes():
    results = {}

    def work(number):
        results[number] = run_python(f"print({number} ** 2)").stdout

    threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: b"%d\n" % n**2 for n in range(12)}


def test_a_kill_that_comes_too_late_does_not_harm_the_next_job():
    from aha.rewards.sandbox import pool

    assert run_python("print(1)").status == "ok"
    start = time.monotonic()
    for zygote in pool._get()._idle:
        zygote._tell_to_kill()
    assert run_python("print(2)").stdout == b"2\n"
    assert time.monotonic() - start < 5


def test_a_zygote_that_dies_is_replaced():
    from aha.rewards.sandbox import pool

    assert run_python("print(1)").status == "ok"
    for zygote in pool._get()._idle:
        zygote.process.kill()
        zygote.process.wait()
    assert run_python("print(2)").stdout == b"2\n"


def test_a_forked_child_has_zygotes_of_its_own():
    assert run_python("print(1)").status == "ok"
    code = (
        "import os\nfrom aha.rewards.sandbox import run_python\nrun_python('')\n"
        "child = os.fork()\nok = run_python('print(3)').stdout == b'3\\n'\n"
        "os._exit(not ok) if child == 0 else None\n"
        "assert ok and os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_sandbox_ends_with_its_host():
    code = (
        "import os\nfrom aha.rewards.sandbox import pool, run_python\nrun_python('')\n"
        "print(pool._get()._idle[0].process.pid, flush=True)\nos.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    zygote = int(done.stdout)
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{zygote}") and time.monotonic() < deadline:
        with open(f"/proc/{zygote}/stat") as file:
            if file.read().rpartition(")")[2].split()[0] == "Z":
                break  # ended; this container has no init that reaps
        time.sleep(0.05)
    else:
        assert not os.path.exists(f"/proc/{zygote}")
