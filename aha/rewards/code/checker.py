"""Checker programs: for problems with more than one right answer.

A checker is Python source, in one of two forms:

- it defines `check` (or `checker`, `grade`, `verify`) of two or three arguments, `(input, output)`
  or `(input, output, expected)`, text each, and returns whether the output is right;
- a script that is called as `checker.py input.txt expected.txt output.txt` and says so with its
  exit status, or with the last word it prints: 0, false, wrong, no mean no.

It is the task's code, but it reads what a model's program wrote: it runs in the sandbox as well.
"""

import ast
import json

from aha.rewards.code.extract import parse
from aha.rewards.code.languages import encode
from aha.rewards.code.results import TestResult, shown
from aha.rewards.sandbox import Limits, run_python

FUNCTIONS = ("check", "checker", "grade", "verify", "check_solution")
NO_WORDS = ("0", "0.0", "false", "wrong", "no", "wa")
CHECKER_SECONDS = 20.0
_CALL = """
import json as _json
_given = _json.load(open("given.json", encoding="utf-8"))
print()
print("1" if {name}(*_given[:{count}]) else "0")
"""


class CheckerFailure(Exception):
    """The checker itself failed: an error of the data."""


def check(source: str, given: str, printed: str, expected: str) -> TestResult:
    """Ask the checker. Raises CheckerFailure when it crashes or does not end."""
    tree = parse(source)
    if tree is None:
        raise CheckerFailure("it does not compile")
    function = next(
        (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in FUNCTIONS), None
    )
    files = {
        "input.txt": encode(given),
        "expected.txt": encode(expected),
        "output.txt": encode(printed),
        "given.json": json.dumps([given, printed, expected]).encode(),
    }
    if function is not None:
        count = min(3, len(function.args.args))
        source += _CALL.format(name=function.name, count=count)
    argv = ["input.txt", "expected.txt", "output.txt"]
    limits = Limits(timeout_seconds=CHECKER_SECONDS)
    came = run_python(source, files=files, argv=argv, limits=limits, prelude=True)
    if came.status not in ("ok", "crashed") or "Traceback" in came.stderr.decode(errors="replace"):
        raise CheckerFailure(f"{came.status}: {came.last_error}")
    words = came.stdout.decode(errors="replace").split()
    is_right = came.status == "ok" and not (words and words[-1].lower() in NO_WORDS)
    if is_right:
        return TestResult("pass")
    return TestResult("wrong", f"the checker refuses {shown(printed)}")
