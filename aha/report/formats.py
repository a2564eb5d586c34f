"""How numbers are written for people: the same in the terminal and on the page."""

import itertools

from aha.report.outcomes import Measured, Outcome, Unit

SPARKS = "".join(map(chr, range(0x2581, 0x2589)))
ASCII_SPARKS = "_.-=+*%#"
MAX_SPARKS = 32
DASH, MINUS, PLUS_MINUS, TIMES = "\u2013", "\u2212", "\u00b1", "\u00d7"


def format_value(value: float, unit: Unit) -> str:
    """`94.2%` for fractions, `75.3` for tokens, `0.97` for words."""
    if unit == "fraction":
        return f"{100 * value:.1f}%"
    return f"{value:,.1f}" if unit == "tokens" else f"{value:,.2f}"


def format_measured(measured: Measured | None, unit: Unit) -> str:
    """The value and its standard error around a plus-minus sign; a dash for None."""
    if measured is None:
        return DASH
    text = format_value(measured.value, unit)
    if measured.stderr is None:
        return text
    return f"{text} {PLUS_MINUS}{format_value(measured.stderr, unit).rstrip('%')}"


def format_change(outcome: Outcome) -> str:
    """How much an outcome moved: a factor, or points where a factor says little."""
    if outcome.before is None or outcome.after is None:
        return ""
    factor = outcome.factor
    if factor is not None and (factor >= 1.5 or (outcome.spec.unit != "fraction" and factor > 0)):
        return f"{TIMES}{factor:,.1f}" if factor < 100 else f"{TIMES}{factor:,.0f}"
    difference = outcome.after.value - outcome.before.value
    sign = "+" if difference >= 0 else MINUS
    if outcome.spec.unit == "fraction":
        return f"{sign}{100 * abs(difference):.1f} points"
    return f"{sign}{format_value(abs(difference), outcome.spec.unit)}"


def format_number(value: float) -> str:
    """A number of unknown unit with four significant digits."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.3g}" if abs(value) < 1e-3 or abs(value) >= 1e6 else f"{value:.4g}"


def format_seconds(seconds: float | None) -> str:
    """`48 s`, `2 min 40 s`, `3 h 05 min`, `2 d 4 h`."""
    if seconds is None:
        return DASH
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def sparkline(values: list[float], *, ascii_only: bool = False, width: int = MAX_SPARKS) -> str:
    """A curve in at most `width` characters, from its lowest to its highest value."""
    if not values:
        return ""
    marks = ASCII_SPARKS if ascii_only else SPARKS
    means = bucket_means(values, width)
    low, high = min(means), max(means)
    if high == low:
        return marks[0] * len(means)
    top = len(marks) - 1
    return "".join(marks[round((value - low) / (high - low) * top)] for value in means)


def bucket_means(values: list[float], num_buckets: int) -> list[float]:
    """Means of up to `num_buckets` equal stretches of the values."""
    count = min(num_buckets, len(values))
    edges = [round(index * len(values) / count) for index in range(count + 1)]
    return [sum(values[start:end]) / (end - start) for start, end in itertools.pairwise(edges)]
