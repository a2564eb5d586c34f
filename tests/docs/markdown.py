"""What the tests of the documentation read: pages, links, code blocks, command lines."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(page for folder in ("", "docs", "examples") for page in (ROOT / folder).glob("*.md"))
IDS = [str(page.relative_to(ROOT)) for page in PAGES]


@dataclass(frozen=True)
class Block:
    """A code block; `kind` is the word after the fence, empty for an indented one."""

    kind: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The code blocks of a page, in order."""
    found: list[Block] = []
    kind, lines = None, []
    for line in [*page.read_text(encoding="utf-8").split("\n"), ""]:
        fence = re.fullmatch(r"\s*```(\w*)", line)
        if fence and kind in (None, ""):
            kind, lines = fence[1] or "text", []
        elif fence or (kind == "" and line.strip() and not line.startswith("    ")):
            found.append(Block(kind or "", "\n".join(lines)))
            kind, lines = None, []
        elif kind is None and line.startswith("    ") and line.strip():
            kind, lines = "", [line[4:]]
        elif kind is not None:
            lines.append(line[4:] if kind == "" else line)
    return [*found, Block("", "\n".join(lines))] if kind == "" else found


def commands(page: Path, program: str = "aha") -> list[list[str]]:
    """The arguments of every command line of a program in the code blocks, comments left out."""
    texts = [block.text.replace("\\\n", " ") for block in blocks(page)]
    lines = [line for text in texts for line in text.split("\n")]
    texts = [line.removeprefix("$ ").removeprefix(".venv/bin/") for line in lines]
    return [shlex.split(t, comments=True)[1:] for t in texts if t.startswith(f"{program} ")]


def prose(page: Path) -> str:
    """A page without its fenced code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def anchors(page: Path) -> set[str]:
    """What a link may name after its #, as GitHub makes it from headings."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
