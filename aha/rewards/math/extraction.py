r"""The answer in a reply, from the surest marking to the loosest.

`<answer>` block, last \boxed (several in one sentence make a list), `####`, an answer phrase in one
of eleven languages, the reply itself when it is nothing but an answer, the last formula, the last
number. Reasoning up to the last `</think>` is not looked at. Patterns run on a bounded end of the
reply only.
"""

import re
from dataclasses import dataclass
from typing import Literal

from aha.rewards.math.boxed import Box, find_boxes, last_boxed_content
from aha.rewards.math.clean import translate_signs, unwrap_text
from aha.rewards.math.lexer import FUNCTIONS, GREEK
from aha.rewards.math.tree import words
from aha.rewards.math.units import is_unit

Where = Literal["tag", "boxed", "hashes", "phrase", "whole", "formula", "number"]
MARKED: frozenset[Where] = frozenset({"tag", "boxed", "hashes", "phrase", "whole"})

MAX_REPLY_CHARS = 1_000_000
BOX_WINDOW_CHARS = 200_000
PHRASE_WINDOW_CHARS = 20_000
FORMULA_WINDOW_CHARS = 4_000
MAX_BARE_CHARS = 2_000
_MAX_BOXES_IN_LIST = 100


@dataclass(frozen=True, slots=True)
class Extracted:
    """An answer as written, and by which marking it was found."""

    text: str
    where: Where
    block: str = ""
    """The whole inside of the answer block when `text` is a part of it."""


_SPECIAL_TOKENS = re.compile(r"(?:<\|[a-z_]{1,30}\|>|</s>|<eos>|<end_of_turn>)\s*\Z")
_KEYWORD = (
    r"(?:\banswers?\b|\br[e\u00e9]ponses?\b|\brespuestas?\b|\bantwort\b|\brisposta\b|\bresposta\b"
    r"|\b\u043e\u0442\u0432\u0435\u0442\b|\u7b54\u6848|\u7b54\u3048|\uc815\ub2f5|\ub2f5"
    r"|\u7b54(?=\s*[:\uff1a]))"
)
_LINK = (
    r"(?:(?:\s(?:is|are|was|equals?|be|est|sont|es|son|ist|lautet|\u00e8|\u00e9|comes\sto)\b"
    r"|\u662f|\u4e3a|\u7b49\u4e8e|\u306f|[:=\uff1a])\s*[:\uff1a]?(?!\s*not\b)|[*_]*\s*\n)"
)
_PHRASE = re.compile(
    rf"{_KEYWORD}[^.!?\u3002\n]{{0,80}}?{_LINK}|^[ \t]*A:(?=\s)", re.IGNORECASE | re.MULTILINE
)
_SENTENCE_END = re.compile(
    r"\.(?=\s+[^\sa-z0-9$\\]|\s*\Z)|[\u3002\n]|(?<!\\)[!?](?=\s+[^\s=]|\s*\Z)"
)
_FORMULA = re.compile(
    r"\$\$(?P<a>.+?)\$\$|\\\[(?P<b>.+?)(?<!\\)\\\]|\\\((?P<c>.+?)\\\)"
    r"|(?<!\\)\$(?P<d>(?:\\\$|[^$\n])+?)(?<!\\)\$",
    re.DOTALL,
)
_AMOUNT = re.compile(r"[0-9][0-9.,]*(?=[\s(])")
_OPEN_END = re.compile(r"(?:[-+*/(]|\b(?:and|or|to))\s*\Z")
_CONNECTOR = re.compile(
    r"[\s,;]*(?:(?:and|or|et|ou|y|und|oder|\u548c|\u6216|\u3001|\uff0c)[\s,;]*)?"
)
_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.,/^\\{])(?:(?<![0-9)\]}])[-+\u2212](?=[$\u20ac\u00a3\u00a5]?\.?[0-9]))?"
    r"[$\u20ac\u00a3\u00a5]?(?:[1-9][0-9]{0,2}(?:,[0-9]{3}|\s[0-9]{3})+(?![0-9])|[0-9]+|(?=\.[0-9]))(?:\.[0-9]+|,[0-9]+(?![0-9,]))?"
    r"(?:\s?/\s?[0-9]+)?(?:\s?(?:\\?%|percent\b))?"
)
_EXPRESSION = re.compile(
    r"(?<![A-Za-z0-9_.,/^\\{})\u4e00-\u9fff])[-+\u2212]?\(*-?[0-9]+(?:\.[0-9]+)?\)*"
    r"(?:\s?[-+*/^\u00d7\u00f7]\s?\(*-?[0-9]+(?:\.[0-9]+)?\)*){1,40}(?![0-9A-Za-z.,]*[0-9A-Za-z])"
)
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z\u00c0-\u024f\u0400-\u04ff]{2,}")
_HAN = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
_NO_PROSE = re.compile(r"\\[A-Za-z]+|\\(?:text|mbox|mathrm)\{[^{}]*\}|\{[a-z]+\*?\}")
_DIGIT = re.compile(r"[0-9]")
_MAX_BARE_WORDS = 3
_JOINING_WORDS = FUNCTIONS | GREEK | words("and or pi infinity percent")


def extract(prediction: str) -> Extracted | None:
    """The answer found in a reply; None when the reply has none. Total: any text in."""
    if len(prediction) > MAX_REPLY_CHARS:
        return None
    text = after_reasoning(prediction)
    if not text:
        return None
    if "<answer>" in text or "</answer>" in text:
        return _tagged(text)
    return _marked(text) or _loose(text)


def after_reasoning(reply: str) -> str:
    """The reply without its reasoning; empty when the reasoning is not closed."""
    _, closed, rest = reply.rpartition("</think>")
    text = rest if closed else reply
    if "<think>" in text:
        return ""
    return _SPECIAL_TOKENS.sub("", text).strip()


def _tagged(text: str) -> Extracted | None:
    """The inside of the answer block; None for several that differ or one that is not closed."""
    blocks = [block.partition("</answer>") for block in text.split("<answer>")[1:]]
    contents = {content.strip() for content, closed, _ in blocks if closed}
    if len(contents) != 1 or not all(closed for _, closed, _ in blocks):
        return None
    inside = contents.pop()
    if not inside:
        return None
    found = _marked(inside) or _loose(inside)
    return Extracted(found.text if found else inside, "tag", inside)


def _marked(text: str) -> Extracted | None:
    if "box" in text:
        boxed = boxed_answer(text)
        if boxed is not None:
            return Extracted(_unnamed(boxed), "boxed")
    if "####" in text:
        line = text.rpartition("####")[2].strip().partition("\n")[0]
        if line.strip():
            return Extracted(line.strip(), "hashes")
    return _phrased(text) or (Extracted(text, "whole") if is_bare(text) else None)


def _unnamed(boxed: str) -> str:
    r"""`\boxed{\text{The answer is } 42}` as 42."""
    plain = unwrap_text(boxed[:MAX_BARE_CHARS]) if "\\text" in boxed else boxed[:MAX_BARE_CHARS]
    named = _PHRASE.search(plain)
    return plain[named.end() :].strip() if named else boxed


def boxed_answer(text: str) -> str | None:
    """The content of the last box, or the list of the last boxes that one sentence joins."""
    text = text[-BOX_WINDOW_CHARS:]
    boxes = find_boxes(text)
    if not boxes:
        return last_boxed_content(text)
    last = [boxes[-1]]
    for box in reversed(boxes[:-1]):
        if len(last) > _MAX_BOXES_IN_LIST or not _are_joined(text, box, last[-1]):
            break
        last.append(box)
    contents = list(dict.fromkeys(_with_unit(text, box) for box in reversed(last)))
    return " , ".join(contents)


_SENTENCE_BREAK = re.compile(r"[.!?\u3002]\s*[$*)\\\]\]]*\s+[^\W\d_a-z]|\n\s*\n")
_JOINED_BY = re.compile(r"\b(?:and|or|et|ou|y|und|oder)\b|[,;\u548c\u6216\u3001\uff0c]")


def _are_joined(text: str, first: Box, second: Box) -> bool:
    between = text[first.end : second.start]
    if len(between) > 100 or _SENTENCE_BREAK.search(between):
        return False
    return len(between.strip(" $\\()[]\n.")) < 3 or bool(_JOINED_BY.search(between))


def _with_unit(text: str, box: Box) -> str:
    """A percent sign right after the box belongs to its number."""
    after = text[box.end : box.end + 12].lstrip("$ ").lstrip()
    is_percent = after.startswith(("\\%", "%", "percent"))
    return f"{box.content}\\%" if is_percent and "%" not in box.content else box.content


def _phrased(text: str) -> Extracted | None:
    """What follows the last answer phrase that anything follows."""
    window = text[-PHRASE_WINDOW_CHARS:]
    for match in reversed(list(_PHRASE.finditer(window))[-20:]):
        answer = _after_phrase(window[match.end() :])
        if answer:
            return Extracted(answer, "phrase")
    return None


def _after_phrase(rest: str) -> str:
    rest = rest[:MAX_BARE_CHARS].lstrip(" \t\n*_:\"'")
    if (formulas := _leading_formulas(rest)) is not None:
        return formulas
    end = _SENTENCE_END.search(rest)
    sentence = rest[: end.start()] if end else rest
    sentence = sentence.strip(" *_\"'")
    if not sentence or is_bare(sentence):
        return sentence
    return _last_formula(sentence) or _number_in(sentence) or sentence


def _leading_formulas(rest: str) -> str | None:
    match = _FORMULA.match(rest)
    if match is None or (match["d"] is not None and _is_money(match["d"])):
        return None
    parts, end = [_inside(match)], match.end()
    while (connector := _CONNECTOR.match(rest, end)) and connector[0]:
        following = _FORMULA.match(rest, connector.end())
        if following is None:
            break
        parts, end = [*parts, _inside(following)], following.end()
    after = rest[end : end + 10].lstrip()
    percent = "\\%" if after.startswith(("%", "\\%", "percent")) else ""
    return _listed(parts) + percent


def _listed(parts: list[str]) -> str:
    """Formulas side by side as a list; one that ends with an equals sign goes on in the next."""
    text = parts[0]
    for part in parts[1:]:
        text += f" {part}" if text.rstrip().endswith("=") else f" , {part}"
    return text


def _formulas(text: str) -> list[re.Match[str]]:
    """Formulas in order. Dollars around prose are money: `costs $5 more, so it is $9.`"""
    found: list[re.Match[str]] = []
    position = 0
    while match := _FORMULA.search(text, position):
        is_money = match["d"] is not None and _is_money(match["d"])
        if is_money:
            position = match.start() + 1
            continue
        found.append(match)
        position = match.end()
    return found


def _is_money(inside: str) -> bool:
    """Whether what stands between two dollar signs is prose after an amount."""
    if _AMOUNT.match(inside) is None:
        return False
    return _OPEN_END.search(inside) is not None or len(_WORD.findall(_NO_PROSE.sub("", inside))) > 1


def _inside(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group is not None).strip()


def _loose(text: str) -> Extracted | None:
    """The last formula or, where a number follows it or there is none, the last number."""
    window = translate_signs(text[-FORMULA_WINDOW_CHARS:])
    formulas = _formulas(window)
    tail = window[formulas[-1].end() :] if formulas else window
    number = _last_number(tail)
    is_display = bool(formulas) and formulas[-1]["d"] is None and formulas[-1]["c"] is None
    if formulas and not (number and (is_display or _CONCLUDES.search(tail))):
        return Extracted(_last_formula(window) or "", "formula")
    number = number or _last_number(window)
    return Extracted(number, "number") if number else None


_CONCLUDES = re.compile(
    r"=|\b(?:so|thus|therefore|hence|total|finally|donc|ainsi)\b|\u56e0\u6b64|\u6240\u4ee5|\u5171",
    re.IGNORECASE,
)


def _last_formula(text: str) -> str | None:
    formulas = _formulas(text)
    if not formulas:
        return None
    first = len(formulas) - 1
    while first > 0 and _CONNECTOR.fullmatch(
        text[formulas[first - 1].end() : formulas[first].start()]
    ):
        first -= 1
    return _leading_formulas(text[formulas[first].start() :])


def _last_number(text: str) -> str | None:
    """The last number, with the arithmetic around it: `so it is 3/4 + 2`."""
    expression = None
    for match in _EXPRESSION.finditer(text):
        expression = match
    numbers = list(_NUMBER.finditer(text))
    if not numbers:
        return None
    found = numbers[-1]
    if expression and expression.start() <= found.start() and expression.end() >= found.end() - 1:
        whole = expression[0].strip()
        if whole.count("(") == whole.count(")"):
            return whole
    return found[0].strip()


def _number_in(sentence: str) -> str | None:
    """A number that the sentence starts with, unless an equation follows; else its last number."""
    first = _NUMBER.match(sentence)
    if first and "=" not in sentence:
        return first[0].strip()
    return _last_number(sentence)


def is_bare(text: str) -> bool:
    """Whether a text is nothing but an answer: no prose around it."""
    if len(text) > MAX_BARE_CHARS or text.count("\n") > 20:
        return False
    first = _FORMULA.search(text)
    if first and not _is_formulas(text, first):
        return False
    plain = _NO_PROSE.sub(" ", text)
    if len(_HAN.findall(plain)) > 4:
        return False
    found = [word for word in _WORD.findall(plain) if word.lower() not in _JOINING_WORDS]
    if (digit := _DIGIT.search(plain)) and _has_prose(plain[: digit.start()]):
        return False
    if sum(not is_unit(word) for word in found) > _MAX_BARE_WORDS:
        return False
    return not (found and _SENTENCE_END.search(text.rstrip(" .!?*\n")))


def _has_prose(text: str) -> bool:
    """Words before the first number, but for names such as AB and joining words."""
    return any(
        not word.isupper() and word.lower() not in _JOINING_WORDS for word in _WORD.findall(text)
    )


def _is_formulas(text: str, first: re.Match[str]) -> bool:
    """Formulas and connectors; after a single formula also words, such as a unit."""
    if _WORD.search(text[: first.start()]):
        return False
    rest = _FORMULA.sub(" ", text)
    found = [word for word in _WORD.findall(rest) if word.lower() not in _JOINING_WORDS]
    return not found or _FORMULA.search(text, first.end()) is None
