"""Finds the program in a reply.

The rules, in order: what stands before the last `</think>` is not looked at, and a reply that
never stops thinking has no program. Among the fenced blocks those count whose tag is the wanted
language; blocks without a tag count when no block has it. The last block that defines what the
tests call is the program, else the last block. Without any fence the whole text is the program if
it is one: prose with code in it is not.
"""

import ast
import re
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from aha.chat.grammar import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN

LANGUAGE_TAGS = {
    "python": ("python", "python3", "py", "py3", "pypy", "pypy3"),
    "cpp": ("cpp", "c++", "cc", "cxx", "c++17", "c++20", "g++"),
    "javascript": ("javascript", "js", "node", "nodejs", "mjs"),
}
_TAG_LANGUAGE = {tag: name for name, tags in LANGUAGE_TAGS.items() for tag in tags}
_OPENING = re.compile(r"(?<![`~])(`{3,}+|~{3,}+)[ \t]*+([\w+#.-]*+)[^`\n]*$")
MOST_CHARACTERS = 1_000_000
"""A longer reply has no program: reading it must not cost more than judging it."""
MOST_SOURCE = 100_000
"""A longer text is not parsed here, only run."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its tag in lower case and its text."""

    tag: str
    text: str

    @property
    def language(self) -> str | None:
        return _TAG_LANGUAGE.get(self.tag)


def normal_language(name: str | None) -> str | None:
    """`python`, `cpp` or `javascript` for any of their names; other names in lower case."""
    return _TAG_LANGUAGE.get(name.strip().lower(), name.strip().lower()) if name else None


def extract_program(
    response: str, language: str | None = None, *, wanted_names: Sequence[str] = ()
) -> str | None:
    """The program of a reply, or None. `wanted_names`: what the tests call, if that is known."""
    found = find_program(response, language, wanted_names=wanted_names)
    return found.text if found else None


def find_program(
    response: str, language: str | None = None, *, wanted_names: Sequence[str] = ()
) -> Block | None:
    """The program as a block, whose language is that of its tag or `language`."""
    text = _final_part(response)
    if text is None or len(text) > MOST_CHARACTERS:
        return None
    language = normal_language(language)
    blocks = find_blocks(text)
    if not blocks:
        return _unfenced(text, language or "python")
    chosen = [b for b in blocks if b.language and language in (None, b.language)]
    chosen = chosen or [b for b in blocks if not b.tag and b.text.strip()]
    if not chosen:
        return None
    named = [b for b in chosen if _defines(b.text, wanted_names)] if wanted_names else []
    last = (named or chosen)[-1]
    tag = last.language or language or "python"
    return Block(tag, last.text) if last.text.strip() else None


def find_blocks(text: str) -> list[Block]:
    """Fenced blocks in order, in linear time.

    A fence may stand at the end of a line of text, or be indented with the code; a block ends with
    a fence of its own kind, where the next block with a tag opens, or with the text.
    """
    blocks: list[Block] = []
    fence, tag = "", ""
    lines: list[str] = []
    for line in text.split("\n"):
        if not fence:
            if opening := _OPENING.search(line):
                fence, tag, lines = opening.group(1), opening.group(2).lower(), []
            continue
        ending = _end_of_block(line, fence)
        if ending is None:
            lines.append(line)
            continue
        blocks.append(Block(tag, _dedent("\n".join([*lines, ending]))))
        opening = _OPENING.match(line.lstrip())
        has_next = opening is not None and opening.group(2) != ""
        fence, tag = opening.groups() if opening and has_next else ("", "")
        tag, lines = tag.lower(), []
    if fence:
        blocks.append(Block(tag, _dedent("\n".join(lines))))
    return blocks


def _end_of_block(line: str, fence: str) -> str | None:
    """What of a line still belongs to the block that it ends; None when it does not end it."""
    bare = line.strip()
    if not bare.endswith(fence) and not bare.startswith(fence):
        return None
    if bare.strip(fence[0]) == "":
        return ""
    if bare.startswith(fence):
        opening = _OPENING.match(bare)
        return "" if opening is not None and opening.group(2) in _TAG_LANGUAGE else None
    return line.rstrip().rstrip(fence[0])


def _dedent(code: str) -> str:
    code = code.replace("\r\n", "\n")
    lines = [line for line in code.split("\n") if line.strip()]
    if lines and all(line[0] in " \t" for line in lines):
        return textwrap.dedent(code)
    return code


def _final_part(response: str) -> str | None:
    """The reply after its thinking, or its answer block; None when the thinking never ends."""
    _, closed, rest = response.rpartition(THINK_CLOSE)
    if not closed and THINK_OPEN in response:
        return None
    if rest.count(ANSWER_OPEN) == 1 and rest.count(ANSWER_CLOSE) == 1:
        rest = rest.partition(ANSWER_OPEN)[2].partition(ANSWER_CLOSE)[0]
    return rest


def _unfenced(text: str, language: str) -> Block | None:
    text = _dedent(text)
    is_program = {"python": is_python, "cpp": _is_cpp, "javascript": _is_javascript}.get(language)
    return Block(language, text) if is_program is not None and is_program(text) else None


def is_python(text: str) -> bool:
    """Whether text is a Python program: it parses, and does more than name things."""
    tree = parse(text)
    if tree is None:
        return False
    return any(
        not isinstance(node, ast.Expr) or isinstance(node.value, ast.Call | ast.Await)
        for node in tree.body
    )


def parse(text: str) -> ast.Module | None:
    """The syntax tree, or None; bounded in size and depth."""
    if len(text) > MOST_SOURCE:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_cpp(text: str) -> bool:
    return "main" in text and text.lstrip().startswith(("#", "//", "/*", "using", "int"))


def _is_javascript(text: str) -> bool:
    starts = ("const", "let", "var", "function", "//", "/*", "'use", '"use', "process", "require")
    return text.lstrip().startswith((*starts, "import", "class", "async", "console"))


def _defines(code: str, names: Sequence[str]) -> bool:
    pattern = "|".join(map(re.escape, names))
    return re.search(rf"(?:\bdef|\bclass|\bfunction|^)\s*(?:{pattern})\b", code, re.M) is not None
