"""The few pieces of HTML that every section of the page uses; all text is escaped here."""

import html
from collections.abc import Iterable, Sequence
from typing import Any

from aha.report.markup import visible


def escape(value: Any) -> str:
    """Text for between tags or inside an attribute; what would reorder or hide is made visible."""
    return html.escape(visible(str(value)))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain text that scrolls by itself on a narrow screen."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def section(name: str, title: str, body: str) -> str:
    """A section with its heading; nothing where there is nothing in it."""
    return f'<section id="{name}" class="facts"><h2>{title}</h2>{body}</section>' if body else ""
