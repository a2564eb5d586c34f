"""Links between pages lead somewhere, and files that pages name are there."""

import re

import pytest

from tests.docs.markdown import IDS, PAGES, ROOT, anchors, prose

LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:aha|docs|tests|examples|benchmarks)/[\w./-]+)`")


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_resolve(page):
    for link in LINK.findall(prose(page)):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.is_relative_to(ROOT) and target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_files_that_are_named_exist(page):
    for name in PATH.findall(prose(page)):
        assert (ROOT / name).exists(), name
