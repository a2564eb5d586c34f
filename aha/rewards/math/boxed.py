r"""\boxed{...} and XML fields in a reply: one pass over the text, whatever its nesting."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_BRACES = re.compile(r"(?<=\\)(?:boxed|fbox|framebox)\s*\{|\\[^\\bf]|[{}]")
_BARE_BOX = re.compile(r"\\boxed\s+([^\s$\\{}]+)")
_WRAPPED = re.compile(r"\s*\\+(?:boxed|fbox|framebox)\s*\{(.*)\}\s*", re.DOTALL)
_FIELD = re.compile(r"<([A-Za-z_][\w-]*)>")


@dataclass(frozen=True, slots=True)
class Box:
    """A box that is closed. `text[start:end]` is the whole command, braces included."""

    start: int
    end: int
    content: str


def find_boxes(text: str) -> list[Box]:
    """Every closed box that is not inside another one, in order."""
    found: list[Box] = []
    open_braces: list[tuple[int, int] | None] = []
    for match in _BRACES.finditer(text):
        token = match[0]
        if token == "{":
            open_braces.append(None)
        elif token == "}":
            opened = open_braces.pop() if open_braces else None
            if opened is not None:
                start, inside = opened
                while found and found[-1].start > start:
                    found.pop()
                found.append(Box(start, match.end(), text[inside : match.start()]))
        elif len(token) > 2:
            open_braces.append((match.start() - 1, match.end()))
    return found


def last_boxed_string(text: str | None) -> str | None:
    r"""The last closed box as written: `\boxed{...}`; None when there is none."""
    boxes = find_boxes(text) if text else []
    return text[boxes[-1].start : boxes[-1].end] if text and boxes else None


def unwrap_boxed(text: str | None) -> str | None:
    r"""The inside of a text that is one box, as `\boxed{1}` -> `1`; None for anything else."""
    match = _WRAPPED.fullmatch(text) if text else None
    boxes = find_boxes(text) if text and match else []
    return match[1] if match and len(boxes) == 1 and boxes[0].content == match[1] else None


def last_boxed_content(text: str | None) -> str | None:
    r"""The inside of the last box, also of `\boxed 42` without braces; None without a box."""
    if not text:
        return None
    if boxes := find_boxes(text):
        return boxes[-1].content
    bare = _BARE_BOX.findall(text)
    return bare[-1].rstrip(".,") if bare else None


def xml_fields(text: str | None, fields: Sequence[str] | None = None) -> dict[str, str]:
    """The stripped content of each field's last closed `<name>...</name>`.

    `fields` limits what is looked for; without it every name that occurs is a field.
    """
    names = fields if fields is not None else list(dict.fromkeys(_FIELD.findall(text or "")))[:100]
    found = {name: last_tag_content(text or "", name) for name in names}
    return {name: content for name, content in found.items() if content is not None}


def last_tag_content(text: str, name: str) -> str | None:
    """The stripped text between the last `</name>` and the `<name>` before it."""
    closing = text.rfind(f"</{name}>")
    opening = text.rfind(f"<{name}>", 0, closing) if closing >= 0 else -1
    return text[opening + len(name) + 2 : closing].strip() if opening >= 0 else None
