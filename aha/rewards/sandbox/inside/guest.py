"""A job's own code: a Python program in this process, or a command that replaces it."""

import atexit
import contextlib
import linecache
import marshal
import os
import sys
import threading
import traceback
import types
from collections.abc import Mapping
from typing import Any

from aha.rewards.sandbox.inside import prelude

MAIN_FILE = "main.py"


def run_program(payload: bytes, channel: int) -> int:
    """Run `source` as `__main__`, as `python main.py` would; returns the exit status."""
    job = marshal.loads(payload)
    write_files(job["files"])
    open_standard_streams()
    sys.argv = [MAIN_FILE, *job["argv"]]
    names = prelude.names_in(job["source"], with_nodes=False) if job["prelude"] else {}
    status = execute(job["source"], new_module("__main__", MAIN_FILE, names), MAIN_FILE)
    return finish(status)


def run_command(payload: bytes, channel: int) -> int:
    """Replace this process by a command; with `has_program`, by the file open at `channel`."""
    job = marshal.loads(payload)
    write_files(job["files"])
    argv: list[str] = job["argv"]
    try:
        if job["has_program"]:
            os.set_inheritable(channel, False)
            os.execve(channel, argv, job["environment"])
        os.environ["PATH"] = job["environment"]["PATH"]
        os.execvpe(argv[0], argv, job["environment"])
    except OSError as error:
        os.write(2, f"{argv[0]}: {error}\n".encode())
    return 127


def write_files(files: Mapping[str, bytes]) -> None:
    """Files of the job in its private folder, which is the working directory."""
    for name, content in files.items():
        folder = os.path.dirname(name)
        if folder:
            os.makedirs(folder, exist_ok=True)
        with open(name, "wb") as file:
            file.write(content)


def open_standard_streams() -> None:
    """Text streams over descriptors 0, 1 and 2, as a fresh interpreter in UTF-8 mode has them."""
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        stream = _stream(fd, mode)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _stream(fd: int, mode: str) -> Any:
    return open(fd, mode, encoding="utf-8", errors="surrogateescape", closefd=False)


def new_module(name: str, file: str, names: Mapping[str, Any]) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__.update(names)
    module.__dict__["__file__"] = file
    sys.modules[name] = module
    return module


def execute(source: str, module: types.ModuleType, file: str) -> int:
    """Run source in a module; a program that raises is reported on stderr, status 1."""
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    try:
        exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)
    except SystemExit as stop:
        return exit_status(stop)
    except BaseException as error:
        report(error)
        return 1
    return 0


def exit_status(stop: SystemExit) -> int:
    if stop.code is None:
        return 0
    if isinstance(stop.code, int):
        return stop.code & 0xFF
    with contextlib.suppress(Exception):
        print(stop.code, file=sys.stderr)
    return 1


def report(error: BaseException) -> None:
    """The traceback without the frames of this file, as Python prints it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    with contextlib.suppress(BaseException):
        traceback.print_exception(type(error), error, trace, limit=20)
        sys.stderr.flush()


def finish(status: int) -> int:
    """What the interpreter does at its end: threads, exit functions, buffers."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except SystemExit as stop:
        status = exit_status(stop)
    except BaseException as error:
        report(error)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            status = status or 120
    return status
