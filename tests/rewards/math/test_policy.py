"""The policy table of the documentation says what happens."""

import re
from pathlib import Path

import pytest

from aha.rewards.math import verify

PAGE = Path(__file__).parents[3] / "docs" / "verifiers" / "math.md"
ROW = re.compile(r"\| (.+?) \| `(.+?)` \| `(.+?)` \| (correct|wrong|unparseable) \|", re.MULTILINE)
TEXT = PAGE.read_text(encoding="utf-8")
ROWS = ROW.findall(TEXT)


def test_every_row_of_the_table_is_read():
    lines = [line for line in TEXT.split("## Policy")[1].split("\n") if line.startswith("| ")]
    assert len(ROWS) == len(lines) - 2 > 50


@pytest.mark.parametrize(("choice", "gold", "reply", "kind"), ROWS, ids=[row[0] for row in ROWS])
def test_policy(choice, gold, reply, kind):
    verdict = verify(reply, gold)
    assert verdict.kind == kind, verdict


def test_the_example_of_the_page():
    exec(TEXT.split("```python\n")[1].split("```")[0], {})
