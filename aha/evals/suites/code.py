"""Programs, run against tests: competitions by standard input, functions by calls and asserts."""

import base64
import io
import json
import pickle
import zlib
from collections.abc import Sequence
from typing import Any

from aha.evals.suites import prompts
from aha.evals.suites.entry import Entry, Row, renamed
from aha.evals.suites.graders import program
from aha.evals.suites.suite import Protocol

WINDOW = ("2024-08-01", "2025-02-01")
"""The contests of LiveCodeBench that the paper measures on: August 2024 to January 2025."""
MAX_TESTS_BYTES = 64 << 20
_STDIN = Protocol(instruction=prompts.STDIN)
_PYTHON = Protocol(instruction=prompts.PYTHON)


class _TextOnly(pickle.Unpickler):
    """LiveCodeBench keeps JSON text inside a pickle: that, and no object of any class."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} in a data file")


def _hidden_tests(value: Any) -> list[Any]:
    """Tests as JSON, or as JSON that was pickled, compressed and written in base64."""
    if not isinstance(value, str):
        return list(value or ())
    if value.lstrip().startswith("["):
        return list(json.loads(value))
    inflate = zlib.decompressobj()
    raw = inflate.decompress(base64.b64decode(value), MAX_TESTS_BYTES)
    try:
        text = _TextOnly(io.BytesIO(raw)).load()
    except (pickle.UnpicklingError, EOFError, AttributeError) as error:
        raise ValueError(f"tests that cannot be read: {error}") from error
    return list(json.loads(text))


def _live(row: Row) -> Row | None:
    """LiveCodeBench's columns; contests outside the paper's window are left out."""
    date = str(row.get("contest_date") or WINDOW[0])
    if not WINDOW[0] <= date < WINDOW[1]:
        return None
    return _any_live(row)


def _any_live(row: Row) -> Row:
    if "question_content" not in row:
        return {**row, "answer": row.get("answer")}
    metadata = row.get("metadata") or {}
    metadata = json.loads(metadata) if isinstance(metadata, str) else metadata
    name = metadata.get("func_name")
    tests = _hidden_tests(row["public_test_cases"]) + _hidden_tests(row.get("private_test_cases"))
    starter = str(row.get("starter_code") or "")
    begin = f"\n\nBegin with this code:\n```python\n{starter}\n```" if starter.strip() else ""
    return {
        "id": row.get("question_id"),
        "question": row["question_content"] + begin,
        "answer": None,
        "tests": [{**test, "fn_name": name} if name else test for test in tests],
        **{key: row[key] for key in ("difficulty", "contest_date", "platform") if key in row},
    }


def _code_contests(row: Row) -> Row:
    """DeepMind's columns: three sets of tests, each with lists of inputs and outputs."""
    if "public_tests" not in row:
        return {**row, "answer": row.get("answer")}
    parts = [row[key] for key in ("public_tests", "private_tests", "generated_tests") if key in row]
    tests = [test for part in parts for test in _pairs(part["input"], part["output"])]
    question = row["description"]
    return {"id": row.get("name"), "question": question, "answer": None, "tests": tests}


def _codeforces(row: Row) -> Row | None:
    """open-r1's columns; rows that need a checker program of their own are left out."""
    if "official_tests" not in row:
        return {**row, "answer": row.get("answer")}
    tests = row["official_tests"] or row.get("examples")
    if not tests or row.get("generated_checker"):
        return None
    parts = ("description", "input_format", "output_format", "note")
    texts = [row["title"], *(row[part] for part in parts if row.get(part))]
    return {
        "id": row["id"],
        "question": "\n\n".join(texts),
        "answer": None,
        "tests": tests,
        **{key: row[key] for key in ("rating", "time_limit") if row.get(key)},
    }


def _pairs(inputs: Sequence[str], outputs: Sequence[str]) -> list[dict[str, str]]:
    return [{"input": i, "output": o} for i, o in zip(inputs, outputs, strict=True)]


def _mbpp(row: Row) -> Row | None:
    """The test split, problems 11 to 510, where rows of several splits are together."""
    if row.get("split", "test") != "test":
        return None
    return renamed(question="text", answer="code")(row)


def _leetcode(row: Row) -> Row:
    if "query" not in row:
        return row
    named = {"id": row.get("task_id"), "question": row["query"], "answer": row["completion"]}
    return {**named, "test": row["test"], "entry_point": row["entry_point"]}


CODE = (
    Entry(
        name="livecodebench",
        description="Contest problems of August 2024 to January 2025, with hidden tests",
        hub="livecodebench/code_generation_lite:release_v5@test",
        licence="CC; statements (c) their sites",
        adapt=_live,
        grade=program,
        needs=("tests",),
        needs_gold=False,
        protocol=Protocol(instruction=prompts.STDIN, samples=8),
        paper_samples=True,
    ),
    Entry(
        name="livecodebench-all",
        description="LiveCodeBench, contests of all dates",
        hub="livecodebench/code_generation_lite:release_v5@test",
        files=("livecodebench",),
        licence="CC; statements (c) their sites",
        adapt=_any_live,
        grade=program,
        needs=("tests",),
        needs_gold=False,
        protocol=Protocol(instruction=prompts.STDIN, samples=8),
    ),
    Entry(
        name="codeforces",
        description="Codeforces problems with tests: the share solved, no rating",
        hub="open-r1/codeforces:verifiable@test",
        licence="CC-BY-4.0; statements (c) Codeforces",
        adapt=_codeforces,
        grade=program,
        needs=("tests",),
        needs_gold=False,
        protocol=Protocol(instruction=prompts.STDIN, samples=16),
        paper_samples=True,
    ),
    Entry(
        name="code-contests",
        description="DeepMind's CodeContests, test split",
        hub="deepmind/code_contests@test",
        licence="CC-BY-4.0",
        adapt=_code_contests,
        grade=program,
        needs=("tests",),
        needs_gold=False,
        protocol=_STDIN,
    ),
    Entry(
        name="humaneval",
        description="164 Python functions to complete",
        hub="openai/openai_humaneval@test",
        licence="MIT",
        adapt=renamed(answer="canonical_solution"),
        grade=program,
        needs=("tests",),
        protocol=_PYTHON,
    ),
    Entry(
        name="mbpp",
        description="Mostly Basic Python Problems, test split (11 to 510), zero-shot with asserts",
        hub="google-research-datasets/mbpp:full@test",
        licence="CC-BY-4.0",
        adapt=_mbpp,
        grade=program,
        needs=("tests",),
        protocol=_PYTHON,
    ),
    Entry(
        name="leetcode",
        description="LeetCode problems with a class to complete",
        hub="newfacade/LeetCodeDataset@test",
        licence="Apache-2.0; statements (c) LeetCode",
        adapt=_leetcode,
        grade=program,
        needs=("tests",),
        protocol=_PYTHON,
    ),
)
