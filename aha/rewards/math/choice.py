"""Multiple choice: the one option letter that a reply decides on; none when it names several."""

import re
from collections.abc import Sequence

from aha.rewards.math.clean import unwrap_text
from aha.rewards.math.extraction import (
    _KEYWORD,
    MAX_REPLY_CHARS,
    PHRASE_WINDOW_CHARS,
    after_reasoning,
    boxed_answer,
)

LETTERS = "ABCDEFGHIJ"
MAX_CONTENT_CHARS = 300
_REACH_CHARS = 80

_GOLD = re.compile(r"\(?([A-J])\)?[.,]?")
_GOLD_WITH_TEXT = re.compile(r"(?:\(([A-J])\)|([A-J])[.):])\s+(\S.*)", re.DOTALL)
_CAPITAL = re.compile(r"[A-J]")
_SEVERAL = re.compile(
    r"\(?[A-J]\)?(?:\s?(?:,|and|&|;|\u3001|\uff0c)?\s?(?:and\s)?\(?[A-J]\)?){1,9}"
)
_ANCHOR = re.compile(
    rf"(?:{_KEYWORD}|\u6545\u9009|\u5e94\u9009|\u9009\u62e9|\u9009(?!\u9879)|\b(?:correct|right|best|bonne)\s"
    r"(?:option|choice|one)\b|\b(?:option|choice)\s+is\b|\bI(?:'d|'ll|\swill|\swould)?\s(?:choose|select|pick)\b)",
    re.IGNORECASE,
)
_FIRST = re.compile(
    r"[\s*_\"'$:\uff1a({\[\uff08]*(?:(?:option|choice|letter|la|l'option|die|\u9009\u9879)\s*)?"
    r"[\s*_\"'$({\[\uff08]*(?P<letter>[A-Za-z])(?![A-Za-z0-9'\u2019_])(?!\s*(?:=|[*^+/<>_]\s?[0-9A-Za-z\\(]))",
    re.IGNORECASE,
)
_STANDALONE = re.compile(
    r"(?<![A-Za-z0-9'\\\u2019_])(?P<letter>[A-Z])(?![A-Za-z0-9'\u2019_])(?!\s*(?:=|[*^+/<>]\s?[0-9A-Za-z\\(]))"
)
_ALSO = re.compile(
    r"[)\]}*_\"'$\uff09]*\s*(?:,|/|&|;|\+|\bor\b|\band\b|\bou\b|\bet\b|\u6216|\u548c|\u3001|\uff0c)"
    r"\s*(?:and|or)?\s*[({\[*_\"'$\uff08]*(?P<letter>[A-Z])(?![A-Za-z'\u2019])"
)
_OR_ELSE = re.compile(r"[)\]}*_\"'$\uff09]*\s*(?:or|and/or|ou|oder|\u6216)\b")
_EITHER = re.compile(r"\b(?:or|ou|oder)\b|\u6216|\u8fd8\u662f")
_NEGATED = re.compile(r"(?:\bnot|n't|\bpas|\bnicht|\u4e0d\u662f)[\s*(]*\Z", re.IGNORECASE)
_REFUSED = re.compile(r"[)*]*\s(?:is|was)\s(?:wrong|false|incorrect|not|out)\b")
_OPTION_MARK = re.compile(r"(?:^|[\s(\uff08])([A-J])[).:\uff09\uff0e\u3001]\s*\S", re.MULTILINE)
_ARTICLE = re.compile(
    r"\s+(?!(?:or|and|is|was|because|since|as|are|seems|would|must|can|for|in|due|by)\b)[a-z]"
)
_LOWER = re.compile(r"\s*\(?([a-j])(?:\)(?:\s.*)?|\.?\s*)", re.DOTALL)
_LINE_LETTER = re.compile(r"\W*([A-Z])\W*")


def gold_letter(gold: str) -> str | None:
    """The letter of a gold answer that is one option: B, (B), \\text{(B)}, "(B) text"."""
    text = unwrap_text(gold)
    if match := _GOLD.fullmatch(text):
        return match[1]
    match = _GOLD_WITH_TEXT.fullmatch(text)
    return (match[1] or match[2]) if match else None


def several_letters(text: str) -> frozenset[str] | None:
    """The letters of an answer of several options, `A, C`, `ACD`, in alphabetical order."""
    plain = unwrap_text(text).rstrip(". ")
    if not _SEVERAL.fullmatch(plain):
        return None
    letters = _CAPITAL.findall(plain)
    is_ordered = plain != "".join(letters) or letters == sorted(set(letters))
    return frozenset(letters) if is_ordered and len(set(letters)) > 1 else None


def gold_option_text(gold: str) -> str | None:
    """The text of a gold answer like "(B) text"."""
    match = _GOLD_WITH_TEXT.fullmatch(unwrap_text(gold))
    return match[3] if match else None


def extract_choice(text: str, options: Sequence[str] = LETTERS) -> str | None:
    """The option that a reply decides on, None when it decides on none or on several."""
    if len(text) > MAX_REPLY_CHARS:
        return None
    reply = after_reasoning(text)
    if "<answer>" in reply:
        blocks = [part.partition("</answer>")[0].strip() for part in reply.split("<answer>")[1:]]
        return _decided(blocks[0], options) if len(set(blocks)) == 1 else None
    if "box" in reply and (boxed := boxed_answer(reply)):
        return _decided(boxed, options)
    if "boxed{" in reply:
        return None  # a box that is not closed: the reply was cut off
    if (lower := _LOWER.fullmatch(reply)) and not _lists_options(reply.upper()):
        return lower[1].upper() if lower[1].upper() in options else None
    if "####" in reply:
        return _decided(reply.rpartition("####")[2], options)
    return _in_prose(reply, options)


def _decided(content: str, options: Sequence[str]) -> str | None:
    """A letter that the content of a marking starts with, or that is the only one in it."""
    plain = unwrap_text(content[:MAX_CONTENT_CHARS]).strip()
    if " , " in content or _EITHER.search(plain):
        return None  # a list of boxes, or one answer or another
    match = _FIRST.match(plain)
    if match and not _lists_options(plain):
        return _one_letter(plain, match, options, lower=len(plain) <= 4)
    return _in_prose(plain, options) if len(plain) > 4 and "," not in plain else None


def _one_letter(
    text: str, match: re.Match[str], options: Sequence[str], *, lower: bool = False
) -> str | None:
    """The matched letter, unless other letters are named along with it."""
    letter = match["letter"]
    if lower:
        letter = letter.upper()
    also = _ALSO.match(text, match.end())
    if also and also["letter"] in options and also["letter"] != letter:
        return None
    if _OR_ELSE.match(text, match.end()):
        return None
    return letter if letter in options else None


def _in_prose(reply: str, options: Sequence[str]) -> str | None:
    window = unwrap_lines(reply[-PHRASE_WINDOW_CHARS:])
    for anchor in reversed(list(_ANCHOR.finditer(window))[-30:]):
        found = _after_anchor(window[anchor.end() : anchor.end() + 3 * _REACH_CHARS], options)
        if found is not None:
            return found or None
    last_line = window.rstrip().rpartition("\n")[2]
    if (alone := _LINE_LETTER.fullmatch(last_line)) and alone[1] in options:
        return alone[1]
    return _without_anchor(window, options)


def _after_anchor(rest: str, options: Sequence[str]) -> str | None:
    """The first letter after an anchor; "" when it is one of several, None when there is none."""
    rest = re.split(r"\n\s*\n", rest.lstrip(), maxsplit=1)[0]
    for match in _STANDALONE.finditer(rest):
        if match.start() > _REACH_CHARS or match["letter"] not in options:
            continue
        bracketed = rest[match.start() - 1 : match.start()] in ("(", "*", "{", "[", "\uff08")
        direct = len(rest[: match.start()].split()) <= 1
        is_word = match["letter"] in "AI" and _ARTICLE.match(rest, match.end()) is not None
        if is_word and not (bracketed or (direct and match["letter"] == "A")):
            continue
        if _NEGATED.search(rest[: match.start()]):
            continue
        if _lists_options(rest[: _REACH_CHARS * 3]) or _EITHER.search(rest[: match.start()]):
            return ""
        return _one_letter(rest, match, options) or ""
    return None


def _without_anchor(window: str, options: Sequence[str]) -> str | None:
    """The letter a reply starts with, or the only letter in it."""
    if _lists_options(window):
        return None
    first = _FIRST.match(window[:MAX_CONTENT_CHARS])
    if first and first["letter"].isupper():
        is_article = first["letter"] in "AI" and _ARTICLE.match(window, first.end())
        if not is_article and not _REFUSED.match(window, first.end()):
            return _one_letter(window, first, options)
    letters = {
        match["letter"]
        for match in _STANDALONE.finditer(window[-PHRASE_WINDOW_CHARS:])
        if match["letter"] in options
        and not (match["letter"] in "AI" and _ARTICLE.match(window, match.end()))
    }
    return letters.pop() if len(letters) == 1 else None


def _lists_options(text: str) -> bool:
    return len(set(_OPTION_MARK.findall(text))) > 1


def unwrap_lines(text: str) -> str:
    """`unwrap_text`, line by line."""
    return "\n".join(unwrap_text(line) for line in text.split("\n"))
