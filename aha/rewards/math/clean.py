"""From what people write to one spelling: Unicode signs, spacing, delimiters, wrappers.

Only signs that stand for an operation or a name are translated. Digits and letters of other
scripts that look like ASCII ones are left alone: a reward that takes look-alikes teaches them.
"""

import re

_SIGNS = {
    "\u2212": "-", "\u2013": "-", "\u2010": "-", "\u2011": "-", "\u00ad": "",
    "\u00d7": r"\times ", "\u00b7": r"\cdot ", "\u22c5": r"\cdot ", "\u2219": r"\cdot ",
    "\u00f7": "/", "\u2215": "/", "\u2044": "/", "\u2236": ":",
    "\u221e": r"\infty ", "\u221a": r"\sqrt ", "\u221b": r"\sqrt[3] ",
    "\u2264": r"\le ", "\u2265": r"\ge ", "\u2a7d": r"\le ", "\u2a7e": r"\ge ",
    "\u2260": r"\ne ", "\u2248": r"\approx ", "\u2245": r"\approx ",
    "\u222a": r"\cup ", "\u2229": r"\cap ", "\u2208": r"\in ", "\u2205": r"\emptyset ",
    "\u2216": r"\setminus ", "\u00b1": r"\pm ", "\u2213": r"\mp ", "\u00b0": r"^\circ ",
    "\u211d": r"\mathbb{R}", "\u2124": r"\mathbb{Z}", "\u211a": r"\mathbb{Q}",
    "\u2115": r"\mathbb{N}", "\u2102": r"\mathbb{C}", "\u27e8": r"\langle ",
    "\u27e9": r"\rangle ", "\u2220": r"\angle ", "\u25b3": r"\triangle ",
    "\u00bd": r"\frac{1}{2}", "\u00bc": r"\frac{1}{4}", "\u00be": r"\frac{3}{4}",
    "\u2153": r"\frac{1}{3}", "\u2154": r"\frac{2}{3}", "\u215b": r"\frac{1}{8}",
    "\u2032": "'", "\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"',
    "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u3000": " ", "\u2007": " ",
    "\uff08": "(", "\uff09": ")", "\uff0c": ", ", "\uff1a": ":", "\uff1b": ";",
    "\uff05": "%", "\uff0b": "+", "\uff0d": "-", "\uff0f": "/", "\uff1d": "=",
    "\u3001": ", ", "\u3002": ".", "\uff0e": ".", "\uff3b": "[", "\uff3d": "]",
}  # fmt: skip
_GREEK = {
    "\u03b1": "alpha", "\u03b2": "beta", "\u03b3": "gamma", "\u03b4": "delta",
    "\u03b5": "epsilon", "\u03b8": "theta", "\u03bb": "lambda", "\u03bc": "mu", "\u03c0": "pi",
    "\u03c1": "rho", "\u03c3": "sigma", "\u03c4": "tau", "\u03c6": "phi", "\u03c9": "omega",
    "\u0394": "Delta", "\u03a9": "Omega", "\u03a3": "Sigma", "\u03d5": "phi",
}  # fmt: skip
_TABLE = str.maketrans(_SIGNS | {sign: f"\\{name} " for sign, name in _GREEK.items()})
_RAISED = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207b\u207f"
_LOWERED = "\u2080\u2081\u2082\u2083\u2084\u2085\u2086\u2087\u2088\u2089"
_PLAIN = str.maketrans(_RAISED + _LOWERED, "0123456789-n" + "0123456789")
_RAISED_RUN = re.compile(f"[{_RAISED}]+")
_LOWERED_RUN = re.compile(f"[{_LOWERED}]+")

_DELIMITERS = re.compile(r"\\?\$|(?<!\\)\\[()\[\]]")
_SIZES = re.compile(
    r"\\(?:left|right|[bB]igg?[lrm]?|displaystyle|textstyle|scriptstyle|limits|nolimits|hfill"
    r"|rm|bf|it|boldsymbol|bm|hline|nonumber|middle)(?![A-Za-z])"
    r"|\\[hv]space\*?\{[^{}]*\}|\\(?:h|v)?phantom\{[^{}]*\}"
)
_ENVIRONMENTS = re.compile(
    r"\\(?:begin|end)\{(?:align|aligned|equation|gather|gathered|split|multline|center|displaymath"
    r"|math)\*?\}"
)
_SPACES = re.compile(
    r"\\(?:quad|qquad|enspace|thinspace)(?![A-Za-z])|(?<!\\)\\[,;:> ]|(?<![\\])~|\s+"
)
_FRACTIONS = re.compile(r"\\[dtcx]frac(?![A-Za-z])")
_DOUBLED = re.compile(r"\\\\(?=[A-Za-z])")
_BACK_SPACE = re.compile(r"\\!\s*")
_ESCAPED_N = re.compile(r"(?:\\n)+(?![A-Za-z])")
_TRAILING = " \t\n\r\f\v.,;:!?\u3002"
_TAG = re.compile(r"</?(?:answer|think|b|i|p|br|math)\s*/?>", re.IGNORECASE)
_REVERSED = re.compile(
    r"(?:(?<=[\s=])|\A)([\[\]])([^\[\]()]{1,80}?[,;][^\[\]()]{1,80}?)([\[\]])(?=\s|\Z)"
)
_LOOSE_SPACE = re.compile(r"\s*([^\w\s])\s*")
_EMPHASIS = re.compile(r"\*\*|__|`")


def translate_signs(text: str) -> str:
    """Typographic signs in their LaTeX or ASCII spelling."""
    if text.isascii():
        return text
    text = _RAISED_RUN.sub(lambda run: "^{" + run[0].translate(_PLAIN) + "}", text)
    text = _LOWERED_RUN.sub(lambda run: "_{" + run[0].translate(_PLAIN) + "}", text)
    return text.translate(_TABLE)


def clean_latex(text: str) -> str:
    r"""One spelling for the parser: no delimiters, sizes or spacing commands; \frac; one space."""
    text = translate_signs(text).replace("{,}", "\x00")  # a separator without its space
    if "\\" in text:
        text = _clean_commands(text)
    text = _DELIMITERS.sub(" ", _strip_emphasis(text))
    text = _SPACES.sub(" ", text)
    return _REVERSED.sub(_usual_brackets, strip_trailing(text))


def _usual_brackets(found: re.Match[str]) -> str:
    """`]a, b[`, the French open interval, as (a, b)."""
    opening = "[" if found[1] == "[" else "("
    return f"{opening}{found[2]}{']' if found[3] == ']' else ')'}"


def _clean_commands(text: str) -> str:
    if not any(name in text for name in ("matrix", "array", "cases")):
        text = _DOUBLED.sub(r"\\", text).replace("\\&", "and").replace("&", " ")
    text = _ESCAPED_N.sub(" ", text)
    text = _BACK_SPACE.sub("", _ENVIRONMENTS.sub(" ", text))
    return _FRACTIONS.sub(r"\\frac", _SIZES.sub("", text))


def _strip_emphasis(text: str) -> str:
    """Markdown emphasis around an answer, unless ** is a power."""
    if text.startswith(("**", "`", "__")):
        text = _EMPHASIS.sub("", text)
    return text


def strip_trailing(text: str) -> str:
    """Without the punctuation, spaces and lone backslashes at its end."""
    text = text.strip()
    while text:
        shorter = text.rstrip(_TRAILING)
        if len(shorter) - len(shorter.rstrip("\\")) == 1:
            shorter = shorter[:-1]
        if shorter == text or not shorter:
            return _keep_factorial(text, shorter)
        text = _keep_factorial(text, shorter)
        if text != shorter:
            return text
    return text


def _keep_factorial(before: str, after: str) -> str:
    """`5!` keeps its sign: only what follows a word loses an exclamation mark."""
    removed = before[len(after) :]
    is_factorial = (
        removed.startswith("!") and after[-1:] and (after[-1].isdigit() or after[-1] in ")}n")
    )
    return after + "!" * (len(removed) - len(removed.lstrip("!"))) if is_factorial else after


_TEXT_WRAPPER = re.compile(
    r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mathit|mbox|hbox)\s*\{([^{}]*)\}"
)
_PUNCTUATION = re.compile(r"[\s\"',;:!?*`$.()]+")
_WORDS = re.compile(r"[^\W\d_][^\W\d_'-]+(?:[\s,.'-]+[^\W\d_]+)*[.)]*")
_TIME = re.compile(r"([0-9]{1,2})(?::([0-9]{2}))?\s*([ap])\.?\s*m\.?", re.IGNORECASE)


def compact(text: str) -> str:
    """The cleaned text without spaces that separate nothing: for formulas that are not parsed."""
    return _LOOSE_SPACE.sub(r"\1", clean_latex(text))


def unwrap_text(text: str) -> str:
    r"""Without \text{} and its kin and without math delimiters; spaces collapsed."""
    text = translate_signs(text)
    if "\\" in text or "$" in text:
        text = _TEXT_WRAPPER.sub(r" \1 ", _SIZES.sub("", text.replace("\\!", "")))
        text = _SPACES.sub(" ", _DELIMITERS.sub(" ", text))
    return " ".join(text.split())


def words_key(text: str) -> str | None:
    """What two answers in words must share: case, spacing, punctuation aside; None: not words."""
    plain = unwrap_text(text)
    if not _WORDS.fullmatch(plain):
        return None
    return _PUNCTUATION.sub(" ", plain).strip().casefold()


def time_key(text: str) -> tuple[int, int, str] | None:
    """A time of day with a.m. or p.m.: (hour, minute, "a" or "p")."""
    match = _TIME.fullmatch(unwrap_text(text).rstrip())
    return (int(match[1]), int(match[2] or 0), match[3].lower()) if match else None
