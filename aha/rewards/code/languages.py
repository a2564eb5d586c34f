"""How a program of each language is run: Python in a warm fork, C++ compiled once, JavaScript."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from aha.errors import UserError
from aha.rewards.sandbox import Limits, Outcome, run, run_python
from aha.rewards.sandbox.host import buffer_file
from aha.rewards.sandbox.layout import tool

LANGUAGES = ("python", "cpp", "javascript")
TOOLS = {"cpp": "g++", "javascript": "node"}
COMPILE_SECONDS = 30.0
COMPILE = "g++ -std=c++17 -O2 -w -o program main.cpp >&2 && cat program"
"""The program comes back over stdout: nothing that the compiler wrote is left for the program."""
BINARY_BYTES = 256 << 20


class Runner(Protocol):
    """Runs one program any number of times."""

    def __call__(self, stdin: str, limits: Limits) -> Outcome: ...


class CompileError(Exception):
    """The program does not compile: the model's fault."""


@dataclass(frozen=True, slots=True)
class _Python:
    source: str
    files: Mapping[str, bytes]

    def __call__(self, stdin: str, limits: Limits) -> Outcome:
        return run_python(
            self.source, stdin=encode(stdin), files=self.files, limits=limits, prelude=True
        )


@dataclass(frozen=True, slots=True)
class _Node:
    source: str
    files: Mapping[str, bytes]

    def __call__(self, stdin: str, limits: Limits) -> Outcome:
        files = {**self.files, "main.js": encode(self.source)}
        heap = f"--max-old-space-size={limits.memory_bytes >> 20}"
        return run(["node", heap, "main.js"], stdin=encode(stdin), files=files, limits=limits)


@dataclass(frozen=True, slots=True)
class _Binary:
    program: int
    files: Mapping[str, bytes]

    def __call__(self, stdin: str, limits: Limits) -> Outcome:
        return run(
            ["program"],
            stdin=encode(stdin),
            files=self.files,
            limits=replace(limits, stack_bytes=256 << 20),
            program=self.program,
        )


@contextmanager
def runner(language: str, source: str, files: Mapping[str, bytes]) -> Iterator[Runner]:
    """A program ready to run. Raises CompileError, or UserError where a toolchain is missing."""
    check_language(language)
    if language == "cpp":
        program = compile_cpp(source)
        try:
            yield _Binary(program, files)
        finally:
            os.close(program)
    elif language == "javascript":
        yield _Node(source, files)
    else:
        yield _Python(source, files)


def check_language(language: str) -> None:
    """Raises UserError for a language that cannot be run here."""
    if language not in LANGUAGES:
        raise UserError(
            f"programs in {language!r} cannot be run", hint=f"languages: {', '.join(LANGUAGES)}"
        )
    needed = TOOLS.get(language)
    if needed and tool(needed) is None:
        raise UserError(f"{language} needs {needed}, which is not installed", hint="install it")


def compile_cpp(source: str) -> int:
    """A read-only file in memory with the compiled program. Raises CompileError.

    The compiler runs in a sandbox of its own, since what it reads is foreign as well.
    """
    limits = Limits(
        timeout_seconds=COMPILE_SECONDS, memory_bytes=2 << 30, output_bytes=BINARY_BYTES,
        tmp_bytes=BINARY_BYTES,
    )  # fmt: skip
    outcome = run(["/bin/sh", "-c", COMPILE], files={"main.cpp": encode(source)}, limits=limits)
    if outcome.status != "ok" or not outcome.stdout:
        said = outcome.stderr.decode(errors="replace").strip().splitlines()
        problem = next((line for line in said if "error" in line), outcome.status)
        raise CompileError(problem[:300])
    return buffer_file(outcome.stdout, read_only=True)


def encode(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogateescape" if _has_only_escapes(text) else "replace")


def _has_only_escapes(text: str) -> bool:
    try:
        text.encode("utf-8", errors="surrogateescape")
    except UnicodeEncodeError:
        return False
    return True
