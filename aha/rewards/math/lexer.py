"""Tokens of an answer: numbers as people write them, commands, words, signs."""

import re
from fractions import Fraction
from typing import NamedTuple

from aha.rewards.math.clean import clean_latex
from aha.rewards.math.tree import MAX_ANSWER_CHARS, MAX_TOKENS, CannotParse, Number, words
from aha.rewards.math.units import is_unit

MAX_NUMBER_CHARS = 2_000


class Token(NamedTuple):
    kind: str
    """number, command, letter, word (text), unit, joiner (and, or), sign, base, end."""
    text: str
    spaced: bool = False
    """White space stands before it."""


END = Token("end", "")

_TEXT_COMMANDS = (
    r"text|textbf|textit|textrm|textnormal|textsf|texttt|mathrm|mathbf|mathit|mathsf|mathcal|mbox|hbox"
    r"|operatorname\*?|mathop"
)
_TOKEN = re.compile(
    rf"""(?P<space>\s+)
    |(?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{{1,4}}(?![A-Za-z0-9.]))?
        |\.[0-9]+|[0-9]+\.(?![0-9]))
    |\\(?:{_TEXT_COMMANDS})(?![A-Za-z])\s*\{{(?P<words>[^{{}}]*)\}}
    |\\(?P<command>[A-Za-z]+|[{{}}|%#&\\])
    |(?P<run>[A-Za-z]+)
    |(?P<words2>[\u00c0-\u024f\u0370-\u03ff\u0400-\u04ff\u3040-\u30ff\u4e00-\u9fff]+)
    |(?P<sign><=|>=|!=|==|=>|->|\*\*|~=|:=|<|>|[-+*/^_=(){{}}\[\]|,;:!'&%\u20ac\u00a3\u00a5\u20b9#@?.])""",
    re.VERBOSE,
)
# Thousands: groups of three after 1 to 3 digits that do not start with 0.
_GROUPED = re.compile(
    r"(?<![\w.,\x00])([1-9][0-9]{0,2})"
    r"((?:(?P<sep>[,\x00\u202f' ]|\\,)[0-9]{3})(?:(?P=sep)[0-9]{3})*)"
    r"(?![0-9\x00])(?!,[0-9])(?!\s*/)"
)
_DECIMAL_COMMA = re.compile(r"(?<![\w.,])(0|[0-9]+(?=\x00))[,\x00]([0-9]+)(?![0-9,])")
_EUROPEAN = re.compile(r"(?<![\w.,])([1-9][0-9]{0,2}(?:\.[0-9]{3})+),([0-9]+)(?![0-9,.])")
_LETTER_LIST = re.compile(r"[A-Za-z](?:\s?(?:,|and|or|&)\s?[A-Za-z]){1,9}")
_DIGIT = re.compile(r"[0-9]")
_LETTER_LIST = re.compile(r"[A-Za-z](?:\s?(?:,|and|or|&)\s?[A-Za-z]){1,9}")
_DIGIT = re.compile(r"[0-9]")
_NOT_DIGIT = re.compile(r"[^0-9]")
_REPEATING = re.compile(
    r"([0-9]*)\.([0-9]*)\\(?:overline|bar|dot|overset\{\\?\.\})\s*\{?([0-9]+)\}?"
)

FUNCTIONS = words(
    "sin cos tan cot sec csc arcsin arccos arctan arccot sinh cosh tanh log ln lg exp sqrt cbrt max"
    " min gcd lcm det tr rank deg arg asin acos atan abs floor ceil re im frac dfrac tfrac binom"
    " binomial factorial ceiling"
    ""
)
CONSTANT_WORDS = {"pi": "pi", "infinity": "infty", "inf": "infty", "oo": "infty", "infty": "infty"}
GREEK = words(
    "alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi rho sigma tau phi chi psi"
    " omega"
)
_JOINERS = {
    "and": "and", "or": "or", "et": "and", "ou": "or", "y": "and", "und": "and", "oder": "or",
    "\u548c": "and", "\u6216": "or", "\u4e0e": "and", "\u6216\u8005": "or", "as well as": "and",
}  # fmt: skip
_JOINER_COMMANDS = {"lor": "or", "vee": "or", "land": "and", "wedge": "and"}
_PERCENT_WORDS = frozenset({"percent", "percents", "percentage", "pct", "per cent"})


def join_numbers(text: str) -> str:
    """Numbers with thousands separators, decimal commas or repeating digits as plain ones.

    Inside brackets a comma separates items, `(12,102)`, except as `{,}` (here NUL).
    """
    text = _REPEATING.sub(_repeating_fraction, text)
    if "," not in text and "\x00" not in text and " " not in text and "'" not in text:
        return text
    text = _EUROPEAN.sub(lambda found: f"{found[1].replace('.', '')}.{found[2]}", text)
    depth, parts = 0, []
    for piece in re.split(r"([()\[\]{}])", text):
        if piece in "([{" and piece:
            depth += 1
        elif piece in ")]}" and piece:
            depth -= 1
        parts.append(_join_groups(piece, inside=depth > 0))
    return "".join(parts).replace("\x00", ",")


def _join_groups(piece: str, *, inside: bool) -> str:
    def joined(found: re.Match[str]) -> str:
        if inside and found["sep"] == "," and ", " not in piece:
            return found[0]
        return found[1] + _NOT_DIGIT.sub("", found[2])

    piece = _GROUPED.sub(joined, piece)
    return piece if inside else _DECIMAL_COMMA.sub(r"\1.\2", piece)


def _repeating_fraction(found: re.Match[str]) -> str:
    whole, fixed, period = found[1] or "0", found[2], found[3]
    if len(found[0]) > 100:
        return found[0]
    ones = 10 ** len(fixed) * (10 ** len(period) - 1)
    value = Fraction(int(whole + fixed + period) - int(whole + fixed), ones)
    return f"({value.numerator}/{value.denominator})"


def tokenize(text: str) -> list[Token]:
    """Tokens of an answer as written in a reply. Raises CannotParse."""
    if len(text) > MAX_ANSWER_CHARS:
        raise CannotParse(f"{len(text)} characters are too long for an answer")
    text = join_numbers(clean_latex(text))
    tokens: list[Token] = []
    position, spaced = 0, False
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise CannotParse(f"unexpected {text[position]!r}")
        position = match.end()
        if match["space"]:
            spaced = True
            continue
        tokens.extend(_tokens_of(match, spaced, tokens))
        spaced = False
        if len(tokens) > MAX_TOKENS:
            raise CannotParse(f"more than {MAX_TOKENS} tokens")
    return tokens


def _tokens_of(match: re.Match[str], spaced: bool, before: list[Token]) -> list[Token]:
    if number := match["number"]:
        if len(number) > MAX_NUMBER_CHARS:
            raise CannotParse("a number is too long")
        return [Token("number", number, spaced)]
    if (command := match["command"]) is not None:
        if command in _JOINER_COMMANDS:
            return [Token("joiner", _JOINER_COMMANDS[command], spaced)]
        return [Token("command", command, spaced)]
    if match["sign"]:
        return [Token("sign", match["sign"], spaced)]
    content = match["words"] if match["words"] is not None else match["words2"]
    is_minutes = (content or match["run"] or "").strip(" .") == "min"
    if is_minutes and before and not match.string.startswith("(", match.end()):
        return [Token("unit", "min", spaced)]
    if content is not None:
        return _text_tokens(content, spaced)
    return _run_tokens(match["run"], spaced, before)


def _text_tokens(content: str, spaced: bool) -> list[Token]:
    r"""What \text{...} holds: a joiner, a percent sign, a letter or number, or words."""
    plain = " ".join(content.split()).strip(",;: ")
    lowered = plain.casefold()
    if lowered in _JOINERS:
        return [Token("joiner", _JOINERS[lowered], spaced)]
    if lowered in _PERCENT_WORDS:
        return [Token("sign", "%", spaced)]
    if lowered in FUNCTIONS or lowered in CONSTANT_WORDS:
        return [Token("command", CONSTANT_WORDS.get(lowered, lowered), spaced)]
    if not plain:
        return [Token("sign", ",", spaced)] if content.strip() else []
    if len(plain) == 1 and plain.isascii() and plain.isalpha():
        return [Token("letter", plain, spaced or content[0].isspace())]
    if _DIGIT.search(plain) or _LETTER_LIST.fullmatch(plain):
        return tokenize(plain)
    return [Token("word", plain, True)]


def _run_tokens(run: str, spaced: bool, before: list[Token]) -> list[Token]:
    """A run of plain letters: a known name, a unit after a number, a word, or single letters."""
    lowered = run.casefold()
    if lowered in _JOINERS and (len(run) > 1 or lowered not in "y"):
        return [Token("joiner", _JOINERS[lowered], spaced)]
    if lowered in _PERCENT_WORDS:
        return [Token("sign", "%", spaced)]
    if run in FUNCTIONS or run in CONSTANT_WORDS or run in GREEK:
        return [Token("command", CONSTANT_WORDS.get(run, run), spaced)]
    after_number = bool(before) and (before[-1].kind == "number" or before[-1].text in ("}", ")"))
    after_constant = bool(before) and before[-1].kind == "command" and spaced
    if len(run) > 1 and (after_number or after_constant) and is_unit(run):
        return [Token("unit", run, spaced)]
    is_word = len(run) >= 4 or (len(run) == 3 and spaced and after_number)
    if is_word and not run.isupper():
        return [Token("word", run, spaced)]
    split = _split_known(run)
    return [Token(kind, text, spaced and i == 0) for i, (kind, text) in enumerate(split)]


def _split_known(run: str) -> list[tuple[str, str]]:
    """`abc` as a b c, `xsin` as x sin, `pir` as pi r."""
    found: list[tuple[str, str]] = []
    while run:
        name = next((name for name in ("sin", "cos", "tan", "log", "ln", "sqrt", "pi")
                     if run.startswith(name)), None)  # fmt: skip
        found.append(("command", name) if name else ("letter", run[0]))
        run = run[len(name or run[0]) :]
    return found


def raw_argument(tokens: list[Token], start: int) -> tuple[str, int]:
    """Text of the argument at `start`, braces dropped, and where it ends."""
    token = tokens[start] if start < len(tokens) else END
    if not (token.text == "{" and token.kind == "sign"):
        return token.text, start + 1
    depth, index, parts = 0, start, []
    while index < len(tokens):
        text, kind = tokens[index].text, tokens[index].kind
        if kind == "sign" and text in "{}":
            depth += 1 if text == "{" else -1
        else:
            parts.append(text)
        index += 1
        if depth == 0:
            break
    return "".join(parts), index


_NUMBER = re.compile(r"([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?")


def read_number(text: str) -> Number:
    """A literal without separators. Raises CannotParse for exponents over 10000."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise CannotParse(f"{text!r} is not a number")
    whole, decimals, exponent = match[1] or "0", (match[2] or ""), int(match[3] or 0)
    if abs(exponent) > 10_000:
        raise CannotParse("the exponent of a number is too large")
    value = Fraction(int(whole + decimals)) / 10 ** len(decimals)
    value = value * 10**exponent if exponent >= 0 else value / 10**-exponent
    is_integer = not decimals.strip("0") and exponent >= 0
    digits = None if is_integer else len((whole + decimals).lstrip("0"))
    return Number(value, digits, len(decimals) - exponent)
