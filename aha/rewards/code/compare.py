"""Whether what a program printed or returned is what the test expects.

Output is compared word by word, as the checkers of programming contests do: how words are spread
over lines does not matter. Words are equal as text, or as numbers: exactly where the expected one
is whole, within 1e-6 (relative or absolute) where it has a decimal point or an exponent.
"""

import ast
import json
import math
import re
from decimal import Decimal, InvalidOperation
from typing import Any

TOLERANCE = 1e-6
MOST_DIGITS = 400
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?")


def same_output(actual: str, expected: str, *, tolerance: float = TOLERANCE) -> bool:
    if actual == expected:
        return True
    ours, theirs = actual.split(), expected.split()
    return len(ours) == len(theirs) and all(
        same_word(a, b, tolerance) for a, b in zip(ours, theirs, strict=True)
    )


def same_word(actual: str, expected: str, tolerance: float) -> bool:
    if actual == expected:
        return True
    if len(actual) > MOST_DIGITS or len(expected) > MOST_DIGITS:
        return False
    if not (_NUMBER.fullmatch(actual) and _NUMBER.fullmatch(expected)):
        return False
    if re.search(r"[.eE]", expected):
        return near(float(actual), float(expected), tolerance)
    try:
        return Decimal(actual) == Decimal(expected)
    except InvalidOperation:
        return False


def near(actual: float, expected: float, tolerance: float) -> bool:
    return math.isclose(actual, expected, rel_tol=tolerance, abs_tol=tolerance)


def same_value(actual: Any, expected: Any, *, tolerance: float = TOLERANCE) -> bool:
    """Whether a returned value is the expected one, which came from JSON: tuples are lists there,
    keys are strings, and a float is near."""
    if isinstance(expected, bool) or isinstance(actual, bool):
        return bool(actual == expected) and isinstance(actual, bool | int)
    if isinstance(expected, float) or isinstance(actual, float):
        return (
            _is_number(actual)
            and _is_number(expected)
            and _near_numbers(actual, expected, tolerance)
        )
    if isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        return len(actual) == len(expected) and all(
            same_value(a, b, tolerance=tolerance) for a, b in zip(actual, expected, strict=True)
        )
    if isinstance(expected, dict) and isinstance(actual, dict):
        return _same_mapping(actual, expected, tolerance)
    try:
        return bool(actual == expected)
    except Exception:  # an array of numpy against something else
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _near_numbers(actual: float, expected: float, tolerance: float) -> bool:
    try:
        return near(actual, expected, tolerance)
    except OverflowError:  # a whole number beyond the largest float
        return actual == expected


def _same_mapping(actual: dict[Any, Any], expected: dict[Any, Any], tolerance: float) -> bool:
    if actual.keys() != expected.keys() and all(isinstance(k, str | int | float) for k in actual):
        actual = {str(key): value for key, value in actual.items()}
        expected = {str(key): value for key, value in expected.items()}
    return actual.keys() == expected.keys() and all(
        same_value(actual[key], expected[key], tolerance=tolerance) for key in expected
    )


def read_value(text: str) -> Any:
    """A value as data sets write it: JSON, else a Python literal, else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return text
