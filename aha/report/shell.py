"""What every page has around its contents: one offline file with its style, script and data inside.

A content-security policy with the script's hash keeps it so: the page can load nothing, and only
its own script runs.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from string import Template

from aha.report.tags import escape

BASE_SCRIPTS = ("plots.js", "samples.js")
"""Elements, numbers, figures; the cards of samples."""


def fill_shell(
    *,
    title: str,
    heading: str,
    lead: str,
    nav: Mapping[str, str],
    main: str,
    footer: str,
    data: str,
    scripts: Sequence[str],
    styles: Sequence[str] = ("page.css",),
) -> bytes:
    """The page in UTF-8. `heading` and `main` are HTML, `data` is inert JSON; the rest is text.

    nav: id of a section -> its name. `scripts` and `styles` are names of files in our assets.
    """
    script = "".join(asset(name) for name in scripts)
    links = "".join(f'<a href="#{name}">{escape(shown)}</a>' for name, shown in nav.items())
    filled = Template(asset("page.html")).substitute(
        title=escape(title),
        heading=heading,
        lead=escape(lead),
        nav=links,
        main=main,
        footer=escape(footer),
        css="".join(asset(name) for name in styles),
        data=data,
        script=script,
        script_hashes=_hash_of(script),
    )
    return filled.encode("utf-8", "replace")


def asset(name: str) -> str:
    """The text of a file that ships with the report."""
    return (files("aha.report") / "assets" / name).read_text(encoding="utf-8")


def _hash_of(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
