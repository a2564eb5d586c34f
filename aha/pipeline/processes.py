"""How processes end: with which status, and children with their parent."""

import ctypes
import os
import signal
import sys
import threading
import time

from aha.errors import HealthError, UserError

POLL_SECONDS = 0.5
PR_SET_PDEATHSIG = 1


def exit_status(error: BaseException) -> int:
    """3: a health rule stopped the run; 2: the user's mistake; 130: Ctrl-C; 1: our bug."""
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, UserError):
        return 3 if isinstance(error, HealthError) else 2
    return 1


def die_with_parent(parent: int) -> None:
    """End this process when process `parent` ends: by the kernel on Linux, else by polling."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel was told
        os._exit(1)
    threading.Thread(target=_poll_parent, args=(parent,), daemon=True).start()


def ignore_interrupts() -> None:
    """Leave Ctrl-C to rank 0, which ends the others in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _poll_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os._exit(1)
