"""What LaTeX commands and letters stand for."""

CLOSING = {"(": ")", "[": "]", "{": "}", "langle": "rangle"}
FENCES = {"lfloor": ("rfloor", "floor"), "lceil": ("rceil", "ceil"), "lvert": ("rvert", "|"),
           "lVert": ("rVert", "norm"), "|": ("|", "norm")}  # fmt: skip
CURRENCY = frozenset("\u20ac\u00a3\u00a5\u20b9#")
CONSTANT_NAMES = {"pi": "pi", "infty": "infinity", "e": "e", "imath": "i", "degree": "degree"}
EMPTY_SETS = frozenset({"emptyset", "varnothing"})
IGNORED = frozenset({"angle", "triangle", "square", "therefore", "because", "colon", "boxed",
                      "measuredangle", "left", "right", "ensuremath", "quad"})  # fmt: skip
BIG_OPERATORS = frozenset({"int", "sum", "prod", "lim", "iint", "oint", "limsup", "liminf"})
OTHER_NAMES = {"arcctg": "arccot", "ctg": "cot", "tg": "tan", "arctg": "arctan", "asin": "arcsin",
          "acos": "arccos", "atan": "arctan", "dbinom": "binom", "tbinom": "binom", "Re": "re",
          "Im": "im", "cbrt": "cbrt", "varphi": "phi", "varepsilon": "epsilon",
          "vartheta": "theta"}  # fmt: skip
CALLED = frozenset("fghFGPQ")
MARKS = {"circ": "deg", "o": "deg", "prime": "'", "'": "'"} | dict.fromkeys(
    ("th", "st", "nd", "rd"), "ordinal"
)
DECORATIONS = frozenset({"overline", "bar", "vec", "hat", "widehat", "overrightarrow", "tilde",
                          "underline", "dot", "ddot", "overarc"})  # fmt: skip
