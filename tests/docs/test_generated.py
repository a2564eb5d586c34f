"""The generated parts of the pages are what the code says now."""

import pytest

from docs import generate
from tests.docs.markdown import ROOT

PAGES = generate.PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_up_to_date(page):
    text = page.read_text(encoding="utf-8")
    assert generate.filled(text) == text, "run: python -m docs.generate"


def test_every_part_stands_in_a_page():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert set(generate.PART.findall(text)) == set(generate.PARTS)
    assert text.count("<!-- generated: ") == len(generate.PART.findall(text))


def test_a_stale_number_is_noticed():
    page = (ROOT / "docs" / "algorithms.md").read_text(encoding="utf-8")
    assert "| 0.28 |" in page
    assert generate.filled(page.replace("| 0.28 |", "| 0.29 |")) == page
