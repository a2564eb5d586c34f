"""Instructions about form: bullets, highlights, sections, titles, JSON, two responses."""

import json
import re

CHOICES = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
RESPONSE_MARK = "******"

_ITALIC = re.compile(r"\*[^\n*]*\*")
_BOLD = re.compile(r"\*\*[^\n*]*\*\*")
_FENCE_OPEN = re.compile(r"```(?:json)?", re.IGNORECASE)


def number_of_bullets(text: str, num_bullets: int) -> bool:
    """Exactly so many lines that begin with `*` (not `**`) or `-`."""
    lines = [line.lstrip() for line in text.split("\n")]
    stars = sum(line[:1] == "*" and line[1:2] not in ("*", "") for line in lines)
    return stars + sum(line[:1] == "-" for line in lines) == num_bullets


def is_one_of_the_choices(text: str) -> bool:
    """One of the three answers stands in the reply."""
    return any(choice in text for choice in CHOICES)


def number_of_highlights(text: str, num_highlights: int) -> bool:
    """At least so many *highlights* or **highlights** that are not empty."""
    single = sum(bool(found.strip("*").strip()) for found in _ITALIC.findall(text))
    double = sum(bool(found[2:-2].strip()) for found in _BOLD.findall(text))
    return single + double >= num_highlights


def number_of_sections(text: str, section_spliter: str, num_sections: int) -> bool:
    """At least so many section heads: the name, and a number behind it."""
    head = re.compile(re.escape(section_spliter.strip()) + r"\s?[0-9]+")
    return sum(1 for _ in head.finditer(text)) >= num_sections


def is_json(text: str) -> bool:
    """The whole reply is one JSON value, bare or in a fence."""
    text = text.strip()
    if opening := _FENCE_OPEN.match(text):
        text = text[opening.end() :]
    text = text.removesuffix("```").strip()
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def has_title(text: str) -> bool:
    """A title in <<double angular brackets>> on one line."""
    return any(_title_of(line) for line in text.split("\n"))


def _title_of(line: str) -> str:
    start, end = line.find("<<"), line.rfind(">>")
    if start < 0 or end <= start + 2:
        return ""
    return line[start : end + 2].lstrip("<").rstrip(">").strip()


def number_of_placeholders(text: str, num_placeholders: int) -> bool:
    """At least so many [placeholders], each on one line."""
    count = 0
    for line in text.split("\n"):
        start = line.find("[")
        while start >= 0 and (end := line.find("]", start)) >= 0:
            count += 1
            start = line.find("[", end)
    return count >= num_placeholders


def has_postscript(text: str, postscript_marker: str) -> bool:
    """The marker is there, in any case; P.S. and P.P.S may have spaces behind their dots."""
    marker = postscript_marker.strip()
    pattern = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}.get(marker)
    lower = text.lower()
    return marker.lower() in lower if pattern is None else re.search(pattern, lower) is not None


def are_two_responses(text: str) -> bool:
    """Two different responses with ****** between them; only the outer parts may be empty."""
    parts = [part.strip() for part in text.split(RESPONSE_MARK)]
    if not all(parts[1:-1]):
        return False
    responses = [part for part in parts if part]
    return len(responses) == 2 and responses[0] != responses[1]
