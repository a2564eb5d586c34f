"""Programs that attack their sandbox or their verdict: for tests, benchmarks and the red-team.

Each is to be judged `wrong`, in bounded time, and whatever it tried must not have worked: it
prints ESCAPED, or the bait that lies in a file of the host, where it did.
"""

# ruff: noqa: E501
from collections.abc import Mapping
from dataclasses import dataclass
from string import Template

MARK = "ESCAPED"


@dataclass(frozen=True, slots=True)
class Attack:
    """One hostile program. `runs_on`: it ends only at a limit, so it takes the whole time."""

    name: str
    source: str
    language: str = "python"
    runs_on: bool = False

    def aimed(self, targets: Mapping[str, str]) -> str:
        """The source with its targets on the host: `$bait`, `$port`, `$pid`, `$folder`."""
        return Template(self.source).safe_substitute(targets)


_TRY = """
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def attempt(action):
    try:
        result = action()
    except Exception:
        return
    print("ESCAPED", result)
"""


def _tries(*actions: str) -> str:
    """A program that tries each action; one that works is an escape."""
    return _TRY + "\n".join(f"attempt(lambda: {action})" for action in actions)


def _calls(*calls: str) -> str:
    """A program that makes system calls; one that does not fail is an escape."""
    lines = [f"r = {call}\nif r >= 0: print('ESCAPED', r)" for call in calls]
    return _TRY + "\n".join(lines)


_ESCAPES = [
    Attack("read the bait", _tries("open('$bait').read()")),
    Attack("read private files", _tries(
        "open('/etc/shadow').read()", "os.listdir('/root/.ssh')", "open('/root/.bashrc').read()",
        "open('/proc/1/root$bait').read()", "open('/proc/self/cwd/../../$bait').read()",
    )),
    Attack("write outside", _tries(
        "open('$bait', 'w').write('x')", "open('/usr/bin/x', 'w')", "open('/x', 'w')",
        "os.mkdir('$folder/x')", "open('/etc/passwd', 'a')", "os.remove('/usr/bin/env')",
        "os.chmod('/usr/bin/env', 0o777)", "open('/dev/sda', 'rb')", "open('/dev/mem', 'rb')",
    )),
    Attack("symbolic links", _tries(
        "os.symlink('$bait', 'a') or open('a').read()", "os.link('$bait', 'b')",
        "os.symlink('/proc/1/root', 'c') or open('c$bait').read()",
        "os.symlink('..', 'd') or open('d/d/d$bait').read()",
    )),
    Attack("proc", _tries(
        "open('/proc/$pid/environ').read()", "open('/proc/$pid/mem', 'r+b')",
        "open('/proc/sys/kernel/core_pattern', 'w')", "open('/proc/sysrq-trigger', 'w')",
        "open('/proc/1/oom_score_adj', 'w').write('-1000') and os._exit(0)",
        "[p for p in os.listdir('/proc') if p.isdigit() and p != '1'][0]",
    )),
    Attack("sockets", _tries(
        "socket.create_connection(('127.0.0.1', $port), 1)", "socket.socket()",
        "socket.socket(socket.AF_UNIX)", "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "socket.socket(socket.AF_PACKET)",
        "socket.getaddrinfo('example.com', 80)",
    )),
    Attack("kill others", _TRY + """
for pid in [*range(2, 300), int('$pid'), -1]:
    try:
        os.kill(pid, 9)
        if pid > 0 and pid != os.getpid(): print("ESCAPED", pid)
    except OSError:
        pass
"""),
    Attack("namespaces", _calls(
        "libc.unshare(0x10000000)", "libc.unshare(0x00020000)", "libc.setns(0, 0)",
        "libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)", "libc.umount2(b'/tmp', 2)",
        "libc.chroot(b'/tmp')", "libc.syscall(155, b'.', b'.')", "libc.sethostname(b'x', 1)",
        "libc.clone(None, None, 0x10000000, None)",
    )),
    Attack("kernel", _calls(
        "libc.ptrace(0, 0, 0, 0)", "libc.syscall(321, 0, 0, 0)", "libc.syscall(298, 0, 0, 0, 0, 0)",
        "libc.syscall(323, 0)", "libc.syscall(425, 1, 0)", "libc.syscall(250, 0, 0)",
        "libc.syscall(248, 0, 0, 0, 0, 0)", "libc.syscall(310, 1, 0, 0, 0, 0, 0)",
        "libc.syscall(435, 0, 0)", "libc.syscall(319, b'x', 0)", "libc.syscall(438, 0, 0, 0)",
        "libc.syscall(304, 0, 0, 0)", "libc.syscall(175, 0, 0, 0)", "libc.syscall(169, 0, 0, 0)",
    )),
    Attack("become root", _tries("os.setuid(0)", "os.setgid(0)", "os.setgroups([0])") + """
os.system("sudo -n true && echo ESCAPED")
if os.getuid() == 0: print("ESCAPED root")
"""),
    Attack("shared memory", _calls(
        "libc.shmget(1, 4096, 0o1777)", "libc.msgget(1, 0o1777)", "libc.semget(1, 1, 0o1777)",
        "libc.mq_open(b'/x', 66, 0o777, None)",
    )),
    Attack("environment", _TRY + """
for name, value in os.environ.items():
    if any(word in name for word in ("KEY", "TOKEN", "SECRET", "AWS", "BAIT")):
        print("ESCAPED", name, value)
"""),
    Attack("raise limits", _TRY + """
import resource
for kind in (resource.RLIMIT_AS, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE):
    soft, hard = resource.getrlimit(kind)
    attempt(lambda: resource.setrlimit(kind, (hard * 2, hard * 2)) or "limit raised")
"""),
    Attack("leave things for the next", _TRY + """
if os.path.exists('/tmp/left'): print("ESCAPED: saw another program's file")
open('/tmp/left', 'w').write('x')
os.mkfifo('/tmp/pipe'); os.symlink('$bait', '/tmp/link')
"""),
    Attack("survive", _TRY + """
import signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            import time
            time.sleep(600)
"""),
]  # fmt: skip

_BOMBS = [
    Attack("fork bomb", "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", "python", True),
    Attack("shell fork bomb", "import os\nos.system(':(){ :|:& };:')\nwhile True: pass", "python", True),
    Attack("thread bomb", "import threading, time\nwhile True:\n    threading.Thread(target=time.sleep, args=(60,)).start()", "python", True),
    Attack("memory bomb", "a = []\nwhile True: a.append(bytearray(1 << 26))"),
    Attack("memory in children", """
import os, time
for _ in range(20):
    if os.fork() == 0:
        a = bytearray(900 << 20)
        for i in range(0, len(a), 4096): a[i] = 1
        time.sleep(60)
time.sleep(60)
""", "python", True),
    Attack("big string", "print(len('x' * (1 << 40)))"),
    Attack("big power", "print(9 ** 9 ** 9)", "python", True),
    Attack("endless loop", "while True: pass", "python", True),
    Attack("sleep", "import time\ntime.sleep(600)", "python", True),
    Attack("ignore signals", "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\nwhile True: pass", "python", True),
    Attack("recursion", "import sys\nsys.setrecursionlimit(1 << 30)\ndef f(n): return [f(n + 1)]\nf(0)", "python", True),
    Attack("output flood", "while True: print('x' * 100000)"),
    Attack("error flood", "import sys\nwhile True: print('x' * 100000, file=sys.stderr)"),
    Attack("silent flood", "import os\nwhile True:\n    try: os.write(1, b'x' * 1000000)\n    except OSError: pass", "python", True),
    Attack("fill the disk", "n = 0\nwhile True:\n    n += 1\n    open(f'/tmp/{n}', 'wb').write(b'x' * (1 << 20))"),
    Attack("many files", "n = 0\nwhile True:\n    n += 1\n    open(f'/tmp/{n}', 'w').close()"),
    Attack("many descriptors", "import os\na = [os.open('/dev/null', 0) for _ in range(100000)]"),
    Attack("compile bomb", "x = eval('(' * 90 + ')' * 90)\nexec('-' * 100000 + '1')"),
    Attack("regex bomb", "import re\nre.match('(a+)+$', 'a' * 60 + 'b')", "python", True),
    Attack("crash", "import ctypes\nctypes.string_at(0)"),
    Attack("abort", "import os\nos.abort()"),
    Attack("stop itself", "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nos.kill(os.getpid(), signal.SIGKILL)\nos._exit(0)"),
    Attack("close everything", "import os\nfor fd in range(300):\n    try: os.close(fd)\n    except OSError: pass"),
    Attack("quit early", "import os\nos._exit(0)"),
    Attack("odd bytes", "import os\nos.write(1, bytes(range(256)) * 100)"),
    Attack("closed output", "import sys\nsys.stdout.close()\nsys.stderr.close()"),
]  # fmt: skip

ATTACKS = [*_ESCAPES, *_BOMBS]
"""Whole programs: judged by what they print."""

FORGERIES = [
    Attack("exit in the function", "import sys\ndef answer(x): sys.exit(0)"),
    Attack("exit at once", "import os\nos._exit(0)"),
    Attack("quit in the function", "import os\ndef answer(x): os._exit(0)"),
    Attack("equal to everything", "class A(int):\n    def __eq__(s, o): return True\n    def __ne__(s, o): return False\n    def __hash__(s): return 1\ndef answer(x): return A(1)"),
    Attack("agreeable object", "class A:\n    def __eq__(s, o): return True\n    def __sub__(s, o): return 0\n    def __rsub__(s, o): return 0\n    def __lt__(s, o): return True\n    def __contains__(s, o): return True\n    def __bool__(s): return True\ndef answer(x): return A()"),
    Attack("write results", "import os\nfor fd in range(3, 200):\n    try: os.write(fd, b'{\"test\": 0, \"failure\": \"\", \"label\": \"\"}\\n{\"done\": true}\\n')\n    except OSError: pass\ndef answer(x): return 0"),
    Attack("other builtins", "import builtins, json, math\nbuiltins.print = builtins.abs = builtins.len = lambda *a, **k: 0\njson.dumps = lambda *a, **k: 'null'\nmath.isclose = lambda *a, **k: True\ndef abs(x): return 0\ndef answer(x): return 0"),
    Attack("search the frames", "import gc, sys\ndef answer(x):\n    for o in gc.get_objects():\n        if isinstance(o, dict) and 'tests' in o: return o['tests']\n    frame = sys._getframe()\n    while frame:\n        if 'expected' in frame.f_locals: return frame.f_locals['expected']\n        frame = frame.f_back"),
    Attack("send answers", "import gc\ndef answer(x):\n    for o in gc.get_objects():\n        if type(o).__name__ == 'SolutionPeer':\n            for _ in range(9): o.send({'value': {'root': True, 'nodes': []}})\n    return 0"),
    Attack("garbage on the wire", "import os\ndef answer(x):\n    for fd in range(3, 50):\n        try: os.write(fd, b'\\xff' * 1000)\n        except OSError: pass"),
    Attack("exit later", "import atexit, os, threading\natexit.register(os._exit, 0)\nthreading.Timer(0.01, os._exit, (0,)).start()\ndef answer(x): return 0"),
    Attack("skip the test", "import unittest\nclass Skipped(BaseException): pass\ndef answer(x): raise unittest.SkipTest('no')"),
    Attack("interrupt", "def answer(x): raise KeyboardInterrupt"),
    Attack("deep value", "def answer(x):\n    a = []\n    for _ in range(100000): a = [a]\n    return a"),
    Attack("cyclic value", "def answer(x):\n    a = []\n    a.append(a)\n    return a"),
    Attack("huge value", "def answer(x): return 'x' * (1 << 27)"),
    Attack("endless iterator", "import itertools\ndef answer(x): return itertools.repeat(1)"),
    Attack("hang", "def answer(x):\n    while True: pass", "python", True),
    Attack("hang while loading", "while True: pass", "python", True),
]  # fmt: skip
"""Programs that define `answer(x)` and try to pass a test of it without the answer."""

FORGERY_TESTS = ("assert answer(7) == 282475249", "assert abs(answer(9) - 3486784401) < 1e-6")
RIGHT_PROGRAM = "def answer(x): return x ** 10"
