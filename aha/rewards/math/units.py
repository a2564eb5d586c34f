"""Units and number words: what may follow a number without changing which number it is."""

from fractions import Fraction

from aha.rewards.math.tree import words

_PREFIXED = {
    # canonical dimension: {unit: factor}
    "length": {
        "mm": "1/1000", "cm": "1/100", "dm": "1/10", "m": "1", "km": "1000", "meter": "1",
        "metre": "1", "millimeter": "1/1000", "centimeter": "1/100", "centimetre": "1/100",
        "kilometer": "1000", "kilometre": "1000", "in": "127/5000", "inch": "127/5000",
        "ft": "381/1250", "foot": "381/1250", "feet": "381/1250", "yd": "1143/1250",
        "yard": "1143/1250", "mi": "201168/125", "mile": "201168/125",
    },
    "mass": {
        "mg": "1/1000", "g": "1", "kg": "1000", "gram": "1", "kilogram": "1000", "gm": "1",
        "milligram": "1/1000", "t": "1000000", "tonne": "1000000", "lb": "45359237/100000",
        "pound": "45359237/100000", "oz": "45359237/1600000", "ounce": "45359237/1600000",
    },
    "time": {
        "s": "1", "sec": "1", "second": "1", "min": "60", "minute": "60", "h": "3600",
        "hr": "3600", "hour": "3600", "day": "86400", "week": "604800", "ms": "1/1000",
    },
    "volume": {
        "ml": "1/1000", "l": "1", "liter": "1", "litre": "1", "milliliter": "1/1000",
        "millilitre": "1/1000",
    },
    "money": {"cent": "1/100", "dollar": "1", "usd": "1"},
}  # fmt: skip
CONVERSIONS: dict[str, tuple[str, Fraction]] = {
    unit: (dimension, Fraction(factor))
    for dimension, units in _PREFIXED.items()
    for unit, factor in units.items()
}
OTHER_UNITS = words(
    "acre hectare mph kmh kmph kph mpg euro eur rupee rs yuan rmb gbp yen gallon gal quart pint cup"
    " month year yr rad radian unit square sq cubic cu per degree deg celsius fahrenheit kelvin"
    " watt kw kwh joule newton volt ohm amp hz mol pa st nd rd th dollar people person"
    " men women student time way hours item piece point apple book digit integer"
)
_COUNTING = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen twenty"
)
NUMBER_WORDS = {word: value for value, word in enumerate(_COUNTING.split())} | {
    "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
    "ninety": 90, "hundred": 100, "thousand": 1000,
}  # fmt: skip


def canonical_unit(word: str) -> str:
    """One name for a unit's spellings: lower case, no dots, no plural."""
    word = word.strip().casefold().replace(".", "")
    if word in CONVERSIONS or len(word) < 3:
        return word
    for ending in ("es", "s"):
        if word.endswith(ending) and word.removesuffix(ending) in CONVERSIONS:
            return word.removesuffix(ending)
    return word.removesuffix("s")


def is_unit(word: str) -> bool:
    """Whether a word is a known unit."""
    name = canonical_unit(word)
    return name in CONVERSIONS or name in OTHER_UNITS


def number_word(text: str) -> int | None:
    """The value of "seven", "twenty-one", or None."""
    words = text.casefold().replace("-", " ").split()
    if not 1 <= len(words) <= 2 or any(word not in NUMBER_WORDS for word in words):
        return None
    values = [NUMBER_WORDS[word] for word in words]
    if len(values) == 1:
        return values[0]
    tens, ones = values
    if ones in (100, 1000) and 1 <= tens < 100:
        return tens * ones
    return tens + ones if 20 <= tens < 100 and 1 <= ones < 10 else None


def conversion_factor(left: str, right: str) -> Fraction | None:
    """How many `right` one `left` is; None when a unit is unknown; 0 when they do not compare."""
    (dimension, factor), (other, divisor) = (
        CONVERSIONS.get(canonical_unit(unit), ("", Fraction(1))) for unit in (left, right)
    )
    if not dimension or not other:
        return None
    return factor / divisor if dimension == other else Fraction(0)
